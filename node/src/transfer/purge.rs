//! Dropping what is no longer this node's. Bit by bit, so that writes never wait long for it, and giving way to requests.

use std::collections::BTreeSet;
use std::time::Duration;

use dynamo_ring::Partition;

use crate::pace::Pace;
use crate::store::{Committer, DropHints, Local, OpError, Operation, Purge, SubmitError, blocking};

/// Rows that one operation looks at; fewer beside requests.
const ROWS: usize = 512;
/// What dropping a key costs: as much as moving so many bytes, about.
const COST: u64 = 512;
/// How long to wait when the commit thread has enough to do, or a read failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Drops all hints if so said, then everything in these partitions but keys that a hint points to. Durable when it
/// returns. Tried for as long as the store works: nothing goes on before it is done.
///
/// # Errors
/// Only when the store has stopped or failed for good.
pub async fn clean(
    local: &Local,
    committer: &Committer,
    partitions: &BTreeSet<Partition>,
    hints: bool,
) -> Result<(), OpError> {
    if hints {
        let dropped = drop_hints(committer).await?;
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "dropped hints: the stable layout does not name this node, their writes met their quorum without it"
            );
        }
    }
    // An acknowledgement waits for this.
    let keys = purge(local, committer, &Pace::unbound(), partitions).await?;
    if keys > 0 {
        tracing::info!(keys, "dropped keys that no layout gives to this node");
    }
    Ok(())
}

/// Drops everything in these partitions but keys that a hint points to, and says how many keys went; rests as `pace` asks
/// for. A partition that is held again meanwhile is left alone. As [`clean`].
pub async fn purge(
    local: &Local,
    committer: &Committer,
    pace: &Pace,
    partitions: &BTreeSet<Partition>,
) -> Result<u64, OpError> {
    let reader = local.clone();
    let summaries = blocking(move || reader.summaries()).await?;
    // Most have nothing: a new member would otherwise ask the commit thread once for every partition there is.
    let full = summaries.into_iter().filter(|(p, summary)| summary.keys > 0 && partitions.contains(p));
    let mut dropped = 0;
    for (partition, _) in full {
        let mut after = None;
        loop {
            match submit(committer, Purge { partition, after: after.clone(), limit: pace.piece(ROWS) }).await
            {
                Ok(purged) => {
                    dropped += purged.keys as u64;
                    after = purged.after;
                    if purged.done {
                        break;
                    }
                    pace.rest(purged.keys as u64 * COST).await;
                }
                Err(OpError::StillHeld(_)) => break,
                Err(why) => give_up_or_wait(why).await?,
            }
        }
    }
    Ok(dropped)
}

async fn drop_hints(committer: &Committer) -> Result<u64, OpError> {
    let mut dropped = 0;
    loop {
        match submit(committer, DropHints { target: None, limit: ROWS }).await {
            Ok(some) => {
                dropped += some.hints as u64;
                if !some.more {
                    return Ok(dropped);
                }
            }
            Err(why) => give_up_or_wait(why).await?,
        }
    }
}

async fn give_up_or_wait(why: OpError) -> Result<(), OpError> {
    if matches!(why, OpError::Stopped | OpError::Fatal(_)) {
        return Err(why);
    }
    tracing::warn!(%why, "dropping what is no longer this node's is tried again");
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// Does an operation durably; waits while the queue is full.
pub async fn submit<O: Operation + Clone>(
    committer: &Committer,
    operation: O,
) -> Result<O::Outcome, OpError> {
    loop {
        match committer.submit(operation.clone()) {
            Ok(ticket) => return ticket.durable().await.map(|applied| applied.outcome),
            Err(SubmitError::Overloaded) => tokio::time::sleep(PAUSE).await,
            Err(SubmitError::Stopped) => return Err(OpError::Stopped),
            Err(SubmitError::Fatal(why)) => return Err(OpError::Fatal(why)),
        }
    }
}
