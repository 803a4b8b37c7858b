//! For a while after Ready nothing is written: no resource version of what the operator makes moves (a hot reconcile
//! loop would move them).

use std::time::Duration;

use super::{Outcome, PATIENCE};
use crate::rehearsal::settled;
use crate::stage::{NAMESPACE, Stage};

const QUIET: Duration = Duration::from_mins(1);

pub(super) async fn run(stage: &Stage) -> Outcome {
    stage.wait("settled with 3 members", PATIENCE, |_| {}, |c| settled(c, 3)).await?;
    // Status is written at most once in two seconds: let the last one out.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = versions(stage).await?;
    tokio::time::sleep(QUIET).await;
    let after = versions(stage).await?;
    let moved: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    if moved.is_empty() {
        Ok(())
    } else {
        Err(format!("written though nothing changed: {}", moved.join(", ")).into())
    }
}

async fn versions(stage: &Stage) -> Result<String, Box<dyn std::error::Error>> {
    let kinds =
        "dyn,statefulsets,services,configmaps,secrets,poddisruptionbudgets,persistentvolumeclaims,pods";
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    Ok(stage.door().kubectl(&["-n", NAMESPACE, "get", kinds, "--no-headers", "-o", columns]).await?)
}
