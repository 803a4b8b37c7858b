//! 3 -> 6 -> 3 -> 5 without waiting for anything, while pods and the operator are killed; then back to 3.

use std::time::Duration;

use super::killer::Killer;
use super::{Outcome, Trial};
use crate::stage::Stage;

/// Between two changes of mind: some of the pods are up by then, and some of the data has moved.
const MOMENT: Duration = Duration::from_secs(7);

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "quick-").await?;
    let before = stage.record().await?.stable().epoch();
    let killer = Killer::start(stage);
    for to in [6, 3, 5] {
        stage.scale(to).await?;
        tokio::time::sleep(MOMENT).await;
    }
    trial.settled(5).await?;
    killer.stop().await?;
    trial.settled(5).await?;
    println!("    epochs taken: {}", stage.record().await?.stable().epoch() - before);
    stage.scale(3).await?;
    trial.settled(3).await?;
    trial.judge().await
}
