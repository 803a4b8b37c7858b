//! A joining pod and then a serving one are killed without grace while partitions are on their way.

use super::{Outcome, PATIENCE, Trial, mid_move};
use crate::rehearsal::settled;
use crate::stage::{NAMESPACE, STORE, Stage};

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "pods-").await?;
    stage.scale(5).await?;
    mid_move(stage).await?;
    for ordinal in [4, 1] {
        let pod = format!("{STORE}-{ordinal}");
        stage
            .door()
            .kubectl(&["-n", NAMESPACE, "delete", "pod", &pod, "--grace-period=0", "--force"])
            .await?;
    }
    stage.wait("settled with 5 members", PATIENCE, |_| {}, |c| settled(c, 5)).await?;
    stage.scale(3).await?;
    stage.wait("settled with 3 members", PATIENCE, |_| {}, |c| settled(c, 3)).await?;
    trial.judge().await
}
