//! [`Layouts`]: the way to what this node goes by, for every other room.
//!
//! A request holds [`Entered`] from before its check until its effect is applied. A record is acknowledged only when all
//! that entered under an older one have gone, so no request can take effect under rules that everybody else has left.
//!
//! Work that is too long for one guard (a comparison, a batch of hints) holds [`Layouts::begin`] beside the short ones, so
//! that reaping can wait for whatever may still carry what it has read ([`Layouts::ended`]).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use dynamo_ring::fence::{self, SenderStamp, Verdict};
use dynamo_ring::{LayoutId, NodeId, Partition, Record};
use tokio::sync::{mpsc, oneshot, watch};

use super::refusal::{NotRetired, Refusal};
use super::standing::Standing;
use crate::begun::{Begun, Running};

/// What taking a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is stored, durably, and this node goes by it. It is acknowledged a little later; see [`Layouts::acked`].
    New,
    /// It was what stood already.
    Same,
}

/// Who asks for retirement of whom, and all that was asked for.
pub(super) enum Ask {
    Take(Arc<Record>, oneshot::Sender<Result<Taken, Refusal>>),
    Covered(LayoutId, BTreeSet<Partition>, oneshot::Sender<Result<(), Refusal>>),
    HandedOver(LayoutId, oneshot::Sender<Result<(), Refusal>>),
    Retire(oneshot::Sender<Result<(), NotRetired>>),
}

/// One published picture. Whoever holds it holds up the acknowledgement of the next record.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) standing: Arc<Standing>,
    /// Closed for its receiver once every slot and guard of this record has gone.
    pub(super) open: mpsc::Sender<Infallible>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: NodeId,
    pub(super) slot: ArcSwapOption<Slot>,
    pub(super) seen: watch::Sender<Option<Arc<Standing>>>,
    /// What runs, by its partition; `None` may be of any.
    pub(super) begun: Begun<Option<Partition>>,
    /// This node has left for good: on disk.
    pub(super) retired: AtomicBool,
}

/// What this node goes by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Layouts {
    pub(super) shared: Arc<Shared>,
    pub(super) asks: mpsc::Sender<Ask>,
}

/// Leave to run a request under what stands now. Keep it until the request's effect is applied, and no longer: the next
/// record is not acknowledged before.
#[derive(Debug)]
pub struct Entered {
    slot: Arc<Slot>,
    _running: Running<Option<Partition>>,
}

impl Deref for Entered {
    type Target = Standing;

    fn deref(&self) -> &Standing {
        &self.slot.standing
    }
}

impl Entered {
    /// The picture it was entered under.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.slot.standing
    }
}

impl Layouts {
    /// What this node goes by; nothing if it is dormant.
    pub fn current(&self) -> Option<Arc<Standing>> {
        self.shared.slot.load().as_ref().map(|slot| Arc::clone(&slot.standing))
    }

    /// Begins a request, coordinated or served.
    pub fn enter(&self) -> Option<Entered> {
        // Before the look at the slot: who waits for what had begun must not miss one that is just about to.
        let running = self.shared.begun.begin(None);
        self.shared.slot.load_full().map(|slot| Entered { slot, _running: running })
    }

    /// Begins work that reads or moves states outside of a guard, on one partition or on any. Keep what is returned from
    /// before the first state is read until the last has been applied or given up. It holds up no acknowledgement.
    pub fn begin(&self, partition: Option<Partition>) -> Running<Option<Partition>> {
        self.shared.begun.begin(partition)
    }

    /// Waits until everything has ended that may have states of `partition` in hand and had begun before this call:
    /// requests, coordinated and served, repairs, comparisons, hints. A caller with an [`Entered`] in hand would wait for
    /// itself.
    pub async fn ended(&self, partition: Partition) {
        let begun = &self.shared.begun;
        tokio::join!(begun.ended(None), begun.ended(Some(partition)));
    }

    /// Whether this node has left for good. A node that no layout ever reached may have, too: an abandoned target named it.
    pub fn has_retired(&self) -> bool {
        self.shared.retired.load(Ordering::Relaxed)
    }

    /// This node's id.
    pub fn my_id(&self) -> NodeId {
        self.shared.me
    }

    /// Whether S, T or the layout before S names this node.
    pub fn names_me(&self) -> bool {
        self.current().is_some_and(|standing| standing.names_me())
    }

    /// Whether this node holds `partition`.
    pub fn holds(&self, partition: Partition) -> bool {
        self.current().is_some_and(|standing| standing.holds(partition))
    }

    /// Whether a request of this sender is served. A dormant node knows nothing: it is always the older one.
    pub fn judge(&self, sender: SenderStamp) -> Verdict {
        self.current().map_or(Verdict::IAmOld, |standing| fence::judge(&standing.record, sender))
    }

    /// The record and the step that this node has acknowledged, as [`dynamo_proto::v1::LayoutReply`].
    pub fn reply(&self) -> dynamo_proto::v1::LayoutReply {
        let Some(standing) = self.current() else { return dynamo_proto::v1::LayoutReply::default() };
        dynamo_proto::v1::LayoutReply {
            record: standing.record.to_json().into(),
            acked: standing.acked_stamp().map(crate::peer::wire::stamp_message),
        }
    }

    /// Changes with everything that [`Layouts::current`] shows.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Standing>>> {
        self.shared.seen.subscribe()
    }

    /// Takes a record, from the operator or from a peer. Returns when it is durable and stands, or is refused;
    /// idempotent, and done all the same if the caller goes away. It may be called with an [`Entered`] in hand.
    pub async fn take(&self, record: Record) -> Result<Taken, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Take(Arc::new(record), answer)).await.map_err(|()| Refusal::Stopped)?;
        answered.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Waits until this node has acknowledged the step it is at. Never returns while older requests run; a caller with
    /// an [`Entered`] in hand would wait for itself.
    pub async fn acked(&self) -> Option<SenderStamp> {
        let mut seen = self.subscribe();
        let acked =
            |standing: &Option<Arc<Standing>>| standing.as_ref().is_some_and(|standing| standing.acked);
        let standing = seen.wait_for(acked).await.ok()?;
        standing.as_ref().map(|standing| standing.stamp())
    }

    /// Notes that the holders in the committed layout have all that is here of these partitions: they are held no
    /// longer when this returns, and may be purged.
    pub async fn covered(&self, committed: LayoutId, partitions: BTreeSet<Partition>) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Covered(committed, partitions, answer)).await.map_err(|()| Refusal::Stopped)?;
        answered.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Notes that nothing is left to hand over, and all that was handed over has been dropped.
    pub async fn handed_over(&self, committed: LayoutId) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::HandedOver(committed, answer)).await.map_err(|()| Refusal::Stopped)?;
        answered.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Leaves for good, if nothing is left here; idempotent. Once this returned `Ok` it stays true.
    pub async fn retire(&self) -> Result<(), NotRetired> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Retire(answer)).await.map_err(|()| NotRetired::Stopped)?;
        answered.await.unwrap_or(Err(NotRetired::Stopped))
    }

    async fn ask(&self, ask: Ask) -> Result<(), ()> {
        self.asks.send(ask).await.map_err(drop)
    }
}
