//! Pulling a partition from one of its holders: batch by batch, each stored together with how far it has come.

use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::{PullBatch, PullRequest};
use dynamo_ring::{LayoutId, NodeId, Partition};
use futures::StreamExt;
use tokio::time::timeout;

use super::exchange::{Exchange, ExchangeError, bytes_of, from_peer};
use super::facts::{Copied, Pull};
use super::progress::Progress;
use super::purge::submit;
use super::serve::checksum;
use super::throttle::Pace;
use crate::peer::PeerError;
use crate::peer::wire::{Sender, stamp_message};
use crate::store::{Batch, MergeMany, OpError, Operation, PeerMark, PutMeta};
use crate::version::ActorId;

/// How long a source may be silent between two batches.
const SILENCE: Duration = Duration::from_secs(10);

/// Entries, and how far the copy has come with them: in one batch, so that a crash can part neither from the other.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// What came.
    pub entries: MergeMany,
    /// How far that is.
    pub progress: PutMeta,
}

impl Operation for Arrived {
    /// How many of the entries brought anything new.
    type Outcome = usize;
    const GROWS: bool = true;

    fn weight(&self) -> usize {
        self.entries.weight() + self.progress.weight()
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<usize, OpError> {
        let changed = self.entries.apply(batch)?;
        self.progress.apply(batch)?;
        Ok(changed)
    }
}

/// Writes down, durably, how far a partition has come.
pub async fn keep(exchange: &Exchange, partition: Partition, copied: &Copied) -> Result<(), OpError> {
    let fact = PutMeta { puts: vec![(Copied::key(partition), Some(copied.encode()))] };
    submit(&exchange.committer, fact).await
}

/// Pulls what is missing of a partition for target `id`, from one holder, and keeps `copied` up with it.
pub async fn pull(
    exchange: &Exchange,
    id: LayoutId,
    from: NodeId,
    partition: Partition,
    copied: &mut Copied,
    pace: &Pace,
    progress: &Progress,
) -> Result<(), ExchangeError> {
    let _begun = exchange.layouts.begin(Some(partition));
    let request = {
        let entered = exchange.enter(id)?;
        let after = match &copied.pull {
            Pull::After(key) => key.as_bytes().clone(),
            Pull::Begins | Pull::Done => Bytes::new(),
        };
        let sender = me(exchange, entered.record.cluster_id())?;
        let stamp = Some(stamp_message(entered.stamp()));
        PullRequest { sender: Some(sender.message()), stamp, partition: partition.0.into(), after }
    };
    let mut batches = exchange.network.pull(from, request).await?;
    loop {
        let silent = PeerError::Timeout { node: from, within: SILENCE };
        let batch = timeout(SILENCE, batches.next()).await.map_err(|_| silent)?;
        let batch = match batch {
            Some(Ok(batch)) => batch,
            Some(Err(status)) => return Err(ExchangeError::Strange(from, status.message().to_owned())),
            // A stream that ends before it said that it is done has been cut off.
            None => return Err(PeerError::Lost(from).into()),
        };
        let done = batch.done;
        let bytes = take_in(exchange, id, from, partition, batch, copied).await?;
        progress.note(id, partition, copied, bytes);
        // The last batch is paid for too: most partitions fit into one, and would else go past the limit.
        pace.keep(bytes).await;
        if done {
            return Ok(());
        }
    }
}

async fn take_in(
    exchange: &Exchange,
    id: LayoutId,
    from: NodeId,
    partition: Partition,
    batch: PullBatch,
    copied: &mut Copied,
) -> Result<u64, ExchangeError> {
    let entered = exchange.enter(id)?;
    let mark = Sender::from_message(batch.sender.as_ref()).ok().map(|sender| sender.mark);
    let mark = mark.filter(|mark: &PeerMark| mark.node_id == from);
    let entries = from_peer(from, batch.entries, (partition, entered.record.stable().partitions()))?;
    if checksum(&entries) != batch.crc32 {
        return Err(ExchangeError::Strange(from, "a batch was damaged on the way".to_owned()));
    }
    let bytes = bytes_of(&entries);
    let mut next = copied.clone();
    next.pulled_bytes += bytes;
    // A pull that goes on elsewhere begins with that source's figure.
    if batch.snapshot_bytes > 0 {
        next.wanted_bytes = batch.snapshot_bytes;
    }
    next.pull = match (batch.done, entries.last()) {
        (true, _) => Pull::Done,
        (false, Some((last, _))) => Pull::After(last.clone()),
        (false, None) => {
            return Err(ExchangeError::Strange(from, "an empty batch that is not the last".to_owned()));
        }
    };
    let progress = PutMeta { puts: vec![(Copied::key(partition), Some(next.encode()))] };
    let entries = MergeMany { entries, hint: None, from: mark };
    submit(&exchange.committer, Arrived { entries, progress }).await?;
    *copied = next;
    Ok(bytes)
}

/// What this node says of itself.
fn me(exchange: &Exchange, cluster: dynamo_ring::ClusterId) -> Result<Sender, ExchangeError> {
    let actor = exchange.local.identity()?.map_or(ActorId(0), |identity| identity.actor);
    // Synced before commit: read the other way round, a sync between the two would show more synced than written.
    let synced = exchange.committer.last_synced();
    let commit = exchange.committer.last_commit();
    let mark = PeerMark { node_id: exchange.layouts.my_id(), actor, commit, synced };
    Ok(Sender { cluster_id: Some(cluster), mark })
}
