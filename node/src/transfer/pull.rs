//! Pulling a partition from one of its holders: batch by batch, each stored together with how far it has come.

use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::{PullBatch, PullRequest};
use dynamo_ring::{LayoutId, NodeId, Partition};
use futures::StreamExt;
use prost::Message;
use tokio::time::timeout;

use super::exchange::{Exchange, ExchangeError, bytes_of, from_peer};
use super::facts::{Copied, Pull};
use super::progress::Progress;
use super::purge::submit;
use super::serve::checksum;
use crate::pace::Pace;
use crate::peer::parts::{Assembler, Came};
use crate::peer::room::{Held, Room};
use crate::peer::wire::{Sender, stamp_message};
use crate::peer::{PeerError, PullStream};
use crate::store::{Batch, MergeMany, OpError, Operation, PeerMark, PutMeta};
use crate::version::ActorId;

/// How long a source may be silent between two batches, or two parts of one.
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

/// What pulls share.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// How fast they may be.
    pub pace: &'a Pace,
    /// Who is told of them.
    pub progress: &'a Progress,
    /// Room for batches that come in parts. A pull waits for it, and its source waits along.
    pub room: &'a Room,
}

/// Pulls what is missing of a partition for target `id`, from one holder, and keeps `copied` up with it.
pub async fn pull(
    exchange: &Exchange,
    id: LayoutId,
    from: NodeId,
    partition: Partition,
    copied: &mut Copied,
    means: Means<'_>,
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
    let batches = exchange.network.pull(from, request).await?;
    let mut incoming = Incoming { from, batches, coming: Assembler::default(), room: means.room };
    loop {
        let (batch, _held) = incoming.next().await?;
        let done = batch.done;
        let bytes = take_in(exchange, id, from, partition, batch, copied).await?;
        means.progress.note(id, partition, copied, bytes);
        // The last batch is paid for too: most partitions fit into one, and would else go past the limit.
        means.pace.keep(bytes).await;
        if done {
            return Ok(());
        }
    }
}

/// The batches of one source, put together where they come in parts.
struct Incoming<'a> {
    from: NodeId,
    batches: PullStream,
    coming: Assembler,
    room: &'a Room,
}

impl Incoming<'_> {
    /// The next batch, and the room that it takes.
    async fn next(&mut self) -> Result<(PullBatch, Option<Held>), ExchangeError> {
        loop {
            let mut batch = self.message().await?;
            let Some(part) = batch.part.take() else { return Ok((batch, None)) };
            let total = usize::try_from(part.total).unwrap_or(usize::MAX);
            let mut held = if part.index == 0 { self.room.wait(total).await } else { None };
            let came = self.coming.part(0, &part, |_| held.take());
            match came.map_err(|why| self.strange(&why))? {
                Came::More => {}
                Came::Whole(bytes, held) => {
                    return Ok((PullBatch::decode(bytes).map_err(|why| self.strange(&why))?, Some(held)));
                }
                Came::NoRoom(_) | Came::Nobody => return Err(self.strange(&"a part of no batch")),
            }
        }
    }

    async fn message(&mut self) -> Result<PullBatch, ExchangeError> {
        let silent = PeerError::Timeout { node: self.from, within: SILENCE };
        match timeout(SILENCE, self.batches.next()).await.map_err(|_| silent)? {
            Some(Ok(batch)) => Ok(batch),
            Some(Err(status)) => Err(self.strange(&status.message())),
            // A stream that ends before it said that it is done has been cut off.
            None => Err(PeerError::Lost(self.from).into()),
        }
    }

    fn strange(&self, why: &dyn std::fmt::Display) -> ExchangeError {
        ExchangeError::Strange(self.from, why.to_string())
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
