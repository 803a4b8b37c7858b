//! Pulling a partition from one of its holders: batch by batch, each stored together with how far it has come.
//!
//! A batch is asked for when the one before it is on this disk. So nothing of what a crash takes was ever more than one
//! batch, no memory grows with what is moved, and the holder is slowed to what this disk takes. Partitions that are
//! pulled side by side keep both ends busy meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::{Load, PullBatch, PullRequest};
use dynamo_ring::{LayoutId, NodeId, Partition};
use futures::StreamExt;
use prost::Message;
use tokio::time::{Instant, timeout};

use super::checksum::checksum;
use super::choose::{Holders, Told, patience};
use super::exchange::{Exchange, ExchangeError, bytes_of, from_peer};
use super::facts::{Copied, Pull};
use super::metrics::TransferMetrics;
use super::progress::Progress;
use super::purge::submit;
use crate::pace::Pace;
use crate::peer::parts::{Assembler, Came};
use crate::peer::room::{Held, Room};
use crate::peer::wire::{Sender, stamp_message};
use crate::peer::{PeerError, PullStream, Voice};
use crate::store::{Batch, MergeMany, OpError, Operation, PeerMark, PutMeta};

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
    const BACKGROUND: bool = true;

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
#[derive(Debug)]
pub struct Means {
    /// What this node says of itself.
    pub voice: Arc<Voice>,
    /// How fast they may be.
    pub pace: Pace,
    /// Who is told of them.
    pub progress: Progress,
    /// What is counted.
    pub metrics: TransferMetrics,
    /// Room for batches that come in parts. A pull waits for it, and its source waits along.
    pub room: Room,
    begun: Instant,
    holders: Mutex<Holders>,
}

impl Means {
    /// Nothing is known of any holder yet.
    pub fn new(
        voice: Arc<Voice>,
        pace: Pace,
        progress: Progress,
        metrics: TransferMetrics,
        room: Room,
    ) -> Self {
        let (begun, holders) = (Instant::now(), Mutex::default());
        Self { voice, pace, progress, metrics, room, begun, holders }
    }

    /// What one more pull from this holder would meet there.
    pub fn cost(&self, node: &NodeId) -> u64 {
        self.holders().cost(node, self.begun.elapsed())
    }

    /// A pull has left this holder, which failed or was slow.
    pub fn failed(&self, node: NodeId) {
        self.metrics.left();
        self.holders().failed(node, self.begun.elapsed());
    }

    fn answered(&self, node: NodeId, batch: &PullBatch, took: Duration) {
        let told = batch.load.map(|Load { pulls, share }| Told { pulls, share });
        self.holders().answered(node, batch.encoded_len() as u64, took, told, self.begun.elapsed());
    }

    /// Nothing can panic half way through a change.
    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pull that runs at a holder, until it is dropped.
struct Running<'a>(&'a Means, NodeId);

impl<'a> Running<'a> {
    fn begin(means: &'a Means, from: NodeId) -> Self {
        means.holders().begun(from);
        Self(means, from)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.holders().ended(self.1);
    }
}

/// Pulls what is missing of a partition for target `id`, from one holder, and keeps `copied` up with it. `others` could be
/// asked in its place: it is left if it turns out to be much slower than they are.
pub async fn pull(
    exchange: &Exchange,
    id: LayoutId,
    (from, others): (NodeId, &[NodeId]),
    partition: Partition,
    copied: &mut Copied,
    means: &Means,
) -> Result<(), ExchangeError> {
    let _begun = exchange.layouts.begin(Some(partition));
    let _running = Running::begin(means, from);
    let mut asking = Asking { exchange, id, from, others, partition, means };
    while copied.pull != Pull::Done {
        asking.some(copied).await?;
        if copied.pull != Pull::Done && means.holders().is_slow(&from, others, means.begun.elapsed()) {
            return Err(ExchangeError::Slow(from));
        }
    }
    Ok(())
}

/// One partition's pull from one holder.
struct Asking<'a> {
    exchange: &'a Exchange,
    id: LayoutId,
    from: NodeId,
    others: &'a [NodeId],
    partition: Partition,
    means: &'a Means,
}

impl Asking<'_> {
    /// Asks for the next batch, and takes what comes: a holder that does not know `batches` sends all of them.
    async fn some(&mut self, copied: &mut Copied) -> Result<(), ExchangeError> {
        let Self { exchange, id, from, partition, means, .. } = *self;
        let request = {
            let entered = exchange.enter(id)?;
            let after = match &copied.pull {
                Pull::After(key) => key.as_bytes().clone(),
                Pull::Begins | Pull::Done => Bytes::new(),
            };
            let sender = Some(means.voice.to(Some(from)).message());
            let stamp = Some(stamp_message(entered.stamp()));
            PullRequest { sender, stamp, partition: partition.0.into(), after, batches: 1 }
        };
        let mut asked = Instant::now();
        let batches = exchange.network.pull(from, request).await?;
        let patience = patience(self.others);
        let mut incoming =
            Incoming { from, batches, patience, coming: Assembler::default(), room: &means.room };
        let mut came = false;
        while let Some((batch, _held)) = incoming.next().await? {
            came = true;
            means.answered(from, &batch, asked.elapsed());
            let bytes = self.take_in(batch, copied).await?;
            means.metrics.stored(bytes);
            means.progress.note(id, partition, copied, bytes);
            // The last batch is paid for too: most partitions fit into one, and would else go past the limit.
            means.pace.keep(bytes).await;
            if copied.pull == Pull::Done {
                return Ok(());
            }
            asked = Instant::now();
        }
        // A stream that ends before anything came has been cut off.
        if came { Ok(()) } else { Err(PeerError::Lost(from).into()) }
    }

    /// Stores a batch, with how far the copy has come by it, and says how many bytes it had.
    async fn take_in(&self, batch: PullBatch, copied: &mut Copied) -> Result<u64, ExchangeError> {
        let Self { exchange, from, partition, .. } = *self;
        let entered = exchange.enter(self.id)?;
        let mark = Sender::from_message(batch.sender.as_ref()).ok().map(|sender| sender.mark);
        let mark = mark.filter(|mark: &PeerMark| mark.node_id == from);
        let entries = from_peer(from, batch.entries, (partition, entered.record.stable().partitions()))?;
        if checksum(&entries) != batch.crc32 {
            self.means.metrics.damaged();
            return Err(ExchangeError::Damaged(from, partition));
        }
        let strange = |why: &str| ExchangeError::Strange(from, why.to_owned());
        let before = match &copied.pull {
            Pull::After(key) => Some(key),
            Pull::Begins | Pull::Done => None,
        };
        let keys = || before.into_iter().chain(entries.iter().map(|(key, _)| key));
        if keys().zip(keys().skip(1)).any(|(one, next)| one >= next) {
            return Err(strange("the keys of a batch are out of order"));
        }
        let bytes = bytes_of(&entries);
        let mut next = copied.clone();
        next.pulled_bytes += bytes;
        // A pull that goes on elsewhere goes by that source's figure.
        if batch.snapshot_bytes > 0 {
            next.wanted_bytes = batch.snapshot_bytes;
        }
        next.pull = match (batch.done, entries.last()) {
            (true, _) => Pull::Done,
            (false, Some((last, _))) => Pull::After(last.clone()),
            (false, None) => return Err(strange("an empty batch that is not the last")),
        };
        let progress = PutMeta { puts: vec![(Copied::key(partition), Some(next.encode()))] };
        let entries = MergeMany { entries, hint: None, from: mark };
        submit(&exchange.committer, Arrived { entries, progress }).await?;
        *copied = next;
        Ok(bytes)
    }
}

/// The batches of one source, put together where they come in parts.
struct Incoming<'a> {
    from: NodeId,
    batches: PullStream,
    /// How long the source may be silent before a batch, or a part of one.
    patience: Duration,
    coming: Assembler,
    room: &'a Room,
}

impl Incoming<'_> {
    /// The next batch, and the room that it takes; nothing at the end.
    async fn next(&mut self) -> Result<Option<(PullBatch, Option<Held>)>, ExchangeError> {
        let mut in_parts = false;
        loop {
            let mut batch = match self.message().await? {
                Some(batch) => batch,
                None if in_parts => return Err(PeerError::Lost(self.from).into()),
                None => return Ok(None),
            };
            let Some(part) = batch.part.take() else { return Ok(Some((batch, None))) };
            in_parts = true;
            let total = usize::try_from(part.total).unwrap_or(usize::MAX);
            let mut held = if part.index == 0 { self.room.wait(total).await } else { None };
            let came = self.coming.part(0, &part, |_| held.take());
            match came.map_err(|why| self.strange(&why))? {
                Came::More => {}
                Came::Whole(bytes, held) => {
                    let batch = PullBatch::decode(bytes).map_err(|why| self.strange(&why))?;
                    return Ok(Some((batch, Some(held))));
                }
                Came::NoRoom(_) | Came::Nobody => return Err(self.strange(&"a part of no batch")),
            }
        }
    }

    async fn message(&mut self) -> Result<Option<PullBatch>, ExchangeError> {
        let silent = PeerError::Timeout { node: self.from, within: self.patience };
        let came = timeout(self.patience, self.batches.next()).await;
        came.map_err(|_| silent)?.transpose().map_err(|status| self.strange(&status.message()))
    }

    fn strange(&self, why: &dyn std::fmt::Display) -> ExchangeError {
        ExchangeError::Strange(self.from, why.to_string())
    }
}
