//! 5 -> 3 before 3 -> 5 has ended: the members that were to join let go of what they had copied, and go.

use super::{Outcome, PATIENCE, Trial, mid_move};
use crate::rehearsal::settled;
use crate::stage::Stage;

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "mind-").await?;
    let before = stage.record().await?;
    stage.scale(5).await?;
    mid_move(stage).await?;
    stage.scale(3).await?;
    stage.wait("settled with 3 members", PATIENCE, |_| {}, |c| settled(c, 3)).await?;
    let after = stage.record().await?;
    if after.stable().epoch() <= before.stable().epoch() + 1 {
        return Err("the change of mind came after the move had ended: nothing was shown".into());
    }
    trial.judge().await
}
