//! The operator is killed without grace while partitions are on their way, and again while a member leaves.

use super::{Outcome, PATIENCE, Trial, mid_move};
use crate::rehearsal::settled;
use crate::stage::{SYSTEM, Stage};

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "operator-").await?;
    for to in [5, 3] {
        stage.scale(to).await?;
        mid_move(stage).await?;
        kill_operator(stage).await?;
        stage.wait(&format!("settled with {to} members"), PATIENCE, |_| {}, |c| settled(c, to)).await?;
    }
    trial.judge().await
}

async fn kill_operator(stage: &Stage) -> Outcome {
    let label = "app.kubernetes.io/name=dynamo-operator";
    stage
        .door()
        .kubectl(&["-n", SYSTEM, "delete", "pod", "-l", label, "--grace-period=0", "--force"])
        .await?;
    Ok(())
}
