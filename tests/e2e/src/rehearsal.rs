//! One change of size under load, measured: what both the demo and the scenarios do, told once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dynamo_load::stats::Line;
use dynamo_operator::api::cluster::DynamoCluster;
use dynamo_ring::{Partition, plan};

use crate::load::{Load, LoadError};
use crate::pods::TOKEN_FILE;
use crate::stage::{STORE, Stage, StageError};
use crate::verdict::{Change, Latency};

/// Why a change could not be made or measured.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The store did not get there.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The load could not be asked.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The stored bytes of the partitions could not be learnt.
    #[error("the holdings of the members could not be read: {0}")]
    Holdings(String),
}

/// The store has `members` members, its layout is settled and every pod is ready.
pub fn settled(cluster: &DynamoCluster, members: i32) -> bool {
    cluster.status.as_ref().is_some_and(|status| {
        status.observed_generation == cluster.metadata.generation
            && status.phase == dynamo_operator::api::cluster::Phase::Ready
            && status.ready == members
            && status.members == members
    })
}

/// Stored bytes of each partition at the member that has most of it.
pub async fn holdings(load: &Load) -> Result<BTreeMap<u16, u64>, RehearsalError> {
    let seeds = format!("{STORE}:7070");
    let (_, text) = load.desk(&["holdings", "--seeds", &seeds, "--admin-token-file", TOKEN_FILE]).await?;
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    line.and_then(|line| serde_json::from_str(line).ok()).ok_or(RehearsalError::Holdings(text))
}

/// Orders `to` members and waits until the change is over, showing each look to `see`.
pub async fn change(
    stage: &Stage,
    load: &Load,
    to: i32,
    within: Duration,
    see: impl FnMut(&DynamoCluster),
) -> Result<Change, RehearsalError> {
    let before = stage.record().await?;
    let bytes = holdings(load).await?;
    let first_line = load.lines().len();
    let begun = Instant::now();
    stage.scale(to).await?;
    let cluster = stage.wait(&format!("settled with {to} members"), within, see, |c| settled(c, to)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = stage.record().await?;
    let moves = plan::moves(before.stable(), after.stable());
    let least = moves.iter().map(|moved| stored(&bytes, moved.partition)).sum();
    let last = cluster.status.and_then(|status| status.last_change).unwrap_or_default();
    Ok(Change {
        from: before.stable().members().len(),
        to: after.stable().members().len(),
        seconds,
        bytes_moved: last.bytes_moved,
        bytes_least: least,
        bytes_compared: last.bytes_compared,
        replicas_moved: moves.len(),
        during: latency(&load.lines()[first_line..]),
    })
}

fn stored(bytes: &BTreeMap<u16, u64>, partition: Partition) -> u64 {
    bytes.get(&partition.0).copied().unwrap_or(0)
}

/// The latencies of a stretch of lines: the median second's median, and the worst second's p99 but for the worst one
/// in twenty (a second of 2 cores that also run a whole Kubernetes is no measure of a store).
pub fn latency(lines: &[Line]) -> Latency {
    let median = |pick: fn(&Line) -> u64| at(lines, pick, 50);
    let high = |pick: fn(&Line) -> u64| at(lines, pick, 95);
    Latency {
        write_p50: median(|line| line.writes.p50_us),
        write_p99: high(|line| line.writes.p99_us),
        read_p50: median(|line| line.reads.p50_us),
        read_p99: high(|line| line.reads.p99_us),
    }
}

/// Writes of one pod's lines and reads of another's.
pub fn both(writer: &[Line], reader: &[Line]) -> Latency {
    let (writes, reads) = (latency(writer), latency(reader));
    Latency { read_p50: reads.read_p50, read_p99: reads.read_p99, ..writes }
}

/// The value at `percent` of the lines that have any, in order of size; zero if none has.
fn at(lines: &[Line], pick: fn(&Line) -> u64, percent: usize) -> u64 {
    let mut values: Vec<u64> = lines.iter().map(pick).filter(|value| *value > 0).collect();
    values.sort_unstable();
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(0)
}
