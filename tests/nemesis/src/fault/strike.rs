//! Performs faults, each to its end.

use std::sync::Arc;
use std::time::Duration;

use dynamo_client::local::cluster::LocalError;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};

use super::plan::{Kind, Strike};
use crate::ground::disk::DiskError;
use crate::ground::tool::ToolError;
use crate::record::Recorder;
use crate::scene::{NODES, Scene};

/// How long a node may take to stop in good order.
const STOP: Duration = Duration::from_secs(15);

/// A fault that could not be performed: the run proves nothing then.
#[derive(Debug, thiserror::Error)]
pub enum StrikeError {
    /// A process.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A process.
    #[error("a node's process: {0}")]
    Process(#[from] std::io::Error),
    /// A cut.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// All faults of a plan, each at its time; returns when the last one is over.
///
/// # Errors
/// The first that could not be performed.
pub async fn all(scene: &Arc<Scene>, recorder: &Recorder, plan: &[Strike]) -> Result<(), StrikeError> {
    let begun = Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for strike in plan {
        let (scene, recorder, strike) = (Arc::clone(scene), recorder.clone(), strike.clone());
        under_way.spawn(async move {
            sleep_until(begun + strike.at).await;
            recorder.note(&words(&strike));
            one(&scene, &strike).await?;
            recorder.note(&format!("over: {}", words(&strike)));
            Ok(())
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended.unwrap_or_else(|why| Err(StrikeError::Process(std::io::Error::other(why))))?;
    }
    Ok(())
}

fn words(strike: &Strike) -> String {
    let Strike { kind, node, other, lasting, .. } = strike;
    let whom = match kind {
        Kind::KillAll => String::new(),
        Kind::CutOneWay => format!(" from dev-{node} to dev-{other}"),
        Kind::CutBothWays => format!(" between dev-{node} and dev-{other}"),
        _ => format!(" dev-{node}"),
    };
    format!("{}{whom}, {} ms", kind.words(), lasting.as_millis())
}

async fn one(scene: &Scene, strike: &Strike) -> Result<(), StrikeError> {
    let Strike { kind, node, other, lasting, .. } = *strike;
    match kind {
        Kind::Kill => kill(scene, &[node], lasting).await,
        Kind::KillAll => kill(scene, &(0..NODES).collect::<Vec<_>>(), lasting).await,
        Kind::Halt => halt(scene, node, lasting).await,
        Kind::Stop => stop(scene, node, lasting).await,
        Kind::CutOneWay => cut(scene, &[(node, other)], lasting).await,
        Kind::CutBothWays => cut(scene, &[(node, other), (other, node)], lasting).await,
        Kind::Isolate => {
            let others = (0..NODES).filter(|one| *one != node);
            cut(scene, &others.flat_map(|one| [(one, node), (node, one)]).collect::<Vec<_>>(), lasting).await
        }
        Kind::FullDisk | Kind::SlowDisk => {
            let Some(disk) = scene.ground.disks.get(usize::from(node)) else { return Ok(()) };
            match kind {
                Kind::FullDisk => disk.fill(lasting).await?,
                _ => disk.stall(lasting).await?,
            }
            Ok(())
        }
    }
}

/// One that has ended by itself is not there to be killed; healing tells of it.
async fn kill(scene: &Scene, nodes: &[u16], lasting: Duration) -> Result<(), StrikeError> {
    let mut killed = Vec::new();
    {
        let mut cluster = scene.cluster().await;
        for node in nodes {
            killed.extend(cluster.nodes().remove(node).map(|process| (*node, process)));
        }
    }
    let mut gone = Vec::new();
    for (node, process) in killed {
        process.kill().await?;
        gone.push(node);
    }
    tokio::time::sleep(lasting).await;
    start(scene, &gone).await
}

async fn stop(scene: &Scene, node: u16, lasting: Duration) -> Result<(), StrikeError> {
    let process = scene.cluster().await.nodes().remove(&node);
    let Some(process) = process else { return Ok(()) };
    process.stop(STOP).await?;
    tokio::time::sleep(lasting).await;
    start(scene, &[node]).await
}

async fn start(scene: &Scene, nodes: &[u16]) -> Result<(), StrikeError> {
    let mut cluster = scene.cluster().await;
    for node in nodes {
        // It makes the node's folders, and waits while their disk stands still.
        block_in_place(|| cluster.start(*node))?;
    }
    Ok(())
}

async fn halt(scene: &Scene, node: u16, lasting: Duration) -> Result<(), StrikeError> {
    let halted = match scene.cluster().await.nodes().get_mut(&node) {
        Some(process) => process.freeze().map(|()| true)?,
        None => false,
    };
    if halted {
        tokio::time::sleep(lasting).await;
        if let Some(process) = scene.cluster().await.nodes().get_mut(&node) {
            process.thaw()?;
        }
    }
    Ok(())
}

async fn cut(scene: &Scene, pairs: &[(u16, u16)], lasting: Duration) -> Result<(), StrikeError> {
    let Some(network) = &scene.ground.network else { return Ok(()) };
    for (from, to) in pairs {
        network.cut(*from, *to).await?;
    }
    tokio::time::sleep(lasting).await;
    for (from, to) in pairs {
        network.mend(*from, *to).await?;
    }
    Ok(())
}
