//! 3 -> 5 -> 3 under load.

use super::{Outcome, PATIENCE, Trial};
use crate::rehearsal;
use crate::stage::Stage;

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "resize-").await?;
    for to in [5, 3] {
        let change = rehearsal::change(stage, &trial.load, to, PATIENCE, |_| {}).await?;
        println!(
            "    {} -> {}: {} replicas, {} bytes of {} at the least, {:.1} s",
            change.from,
            change.to,
            change.replicas_moved,
            change.bytes_moved,
            change.bytes_least,
            change.seconds
        );
        if change.replicas_moved == 0 || change.bytes_moved == 0 {
            return Err("the size changed and nothing moved".into());
        }
    }
    trial.judge().await
}
