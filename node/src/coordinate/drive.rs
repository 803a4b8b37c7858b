//! What both machines' drivers share: one copy of a key stored or fetched, at this node or at another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{FetchReply, FetchRequest, StoreReply, StoreRequest};
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{NodeId, Partition, Position};
use tokio::time::{Instant, timeout_at};

use super::copy::Copied;
use super::error::CoordinateError;
use super::metrics::CoordinateMetrics;
use super::read::Part;
use super::remembered::Remembered;
use crate::clock::Clock;
use crate::layout::{Entered, Layouts};
use crate::peer::wire::node_id_bytes;
use crate::peer::{Network, PeerError, ask};
use crate::store::{Committer, Local, Merge, OpError, StandIn, off_thread};
use crate::version::State;

/// How patient a coordinator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After this a member that has not answered a write is replaced by a stand-in; and so long has a stand-in.
    pub handoff: Duration,
    /// After this a read asks one member more.
    pub hedge: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { handoff: Duration::from_millis(500), hedge: Duration::from_millis(50) }
    }
}

/// What a coordinator is made of.
pub struct Parts {
    /// What this node goes by.
    pub layouts: Layouts,
    /// The way to the disk.
    pub committer: Committer,
    /// Reading it.
    pub local: Local,
    /// The way to the other members.
    pub network: Arc<dyn Network>,
    /// The time that versions and hints carry.
    pub clock: Arc<dyn Clock>,
    /// How long to wait for others.
    pub patience: Patience,
    /// What is counted.
    pub metrics: CoordinateMetrics,
}

/// Coordinates clients' requests. Cheap to clone.
#[derive(Clone)]
pub struct Coordinator {
    pub(super) parts: Arc<Parts>,
    pub(super) remembered: Arc<Remembered>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("patience", &self.parts.patience).finish_non_exhaustive()
    }
}

/// Why a copy is not where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missed {
    /// The member failed, refused, or was too slow.
    Failed,
    /// The layout has passed: the whole request is to be made again under the new one.
    Superseded,
}

/// A key's state on its way to the replicas.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub key: Bytes,
    pub state: State,
    /// The same, as replicas take it.
    pub encoded: Bytes,
}

impl Coordinator {
    /// A coordinator of these parts.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), remembered: Arc::default() }
    }

    /// The key at `position` is about to be reaped: a retry of a write that it covered must not bring it back.
    pub fn reaping(&self, position: Position) {
        self.remembered.reaping(position);
    }

    pub(super) fn me(&self) -> NodeId {
        self.parts.layouts.my_id()
    }

    /// Begins a request: leave to run it, if this node serves, and the partition of its key.
    pub(super) fn enter(&self, key: &[u8]) -> Option<(Entered, Partition)> {
        let entered = self.parts.layouts.enter().filter(|entered| entered.serves())?;
        let partition = Position::of(key).partition(entered.record.stable().partitions());
        Some((entered, partition))
    }

    /// Stores the parcel at a member, this node or another; returns when it is on that disk.
    pub(super) async fn store_at(
        &self,
        to: NodeId,
        hint_for: Option<NodeId>,
        parcel: &Parcel,
        stamp: SenderStamp,
        within: Duration,
    ) -> Result<(), Missed> {
        if to == self.me() {
            return self.store_here(hint_for, parcel).await.map_err(|why| {
                tracing::debug!(%why, "the own store does not take a copy");
                Missed::Failed
            });
        }
        let hint_for = hint_for.map_or_else(Bytes::new, node_id_bytes);
        let op = StoreRequest { key: parcel.key.clone(), state: parcel.encoded.clone(), hint_for };
        let until = Instant::now() + within;
        match ask::<StoreReply>(&*self.parts.network, to, Op::Store(op), stamp, within).await {
            Ok(StoreReply {}) => Ok(()),
            Err(why) => Err(self.missed(to, &why, stamp, until).await),
        }
    }

    /// Stores the parcel here, with the hint it is kept for if it is not this node's own. A hint thereby always has a
    /// state to point to, even if the layout has taken the key away meanwhile.
    pub(super) async fn store_here(&self, hint_for: Option<NodeId>, parcel: &Parcel) -> Result<(), OpError> {
        let since_ms = self.parts.clock.now_ms();
        let hint = hint_for.map(|target| StandIn { target, since_ms });
        let merge = Merge { key: parcel.key.clone(), state: parcel.state.clone(), hint, from: None };
        let ticket = self.parts.committer.submit(merge).map_err(|_| OpError::Stopped)?;
        ticket.durable().await.map(drop)
    }

    /// What a member tells of its copy of a key. This node's own is always whole: it costs nothing to send.
    pub(super) async fn fetch_at(
        &self,
        node: NodeId,
        stand_in: bool,
        part: Part,
        key: &Bytes,
        stamp: SenderStamp,
        within: Duration,
    ) -> Result<Copied, Missed> {
        if node == self.me() {
            return self.copy_here(key.clone()).await.map_err(|why| {
                tracing::warn!(%why, "the own store cannot be read");
                Missed::Failed
            });
        }
        let op = Op::Fetch(FetchRequest { key: key.clone(), stand_in, digest: part == Part::Digest });
        let until = Instant::now() + within;
        match ask::<FetchReply>(&*self.parts.network, node, op, stamp, within).await {
            // What makes no sense is no answer.
            Ok(reply) => Copied::from_reply(key, reply, part).map_err(|why| {
                tracing::warn!(%node, %why, "a member's copy cannot be taken");
                Missed::Failed
            }),
            Err(why) => Err(self.missed(node, &why, stamp, until).await),
        }
    }

    async fn copy_here(&self, key: Bytes) -> Result<Copied, OpError> {
        let local = self.parts.local.clone();
        let read = off_thread(move || {
            let encoded = local.encoded(&key)?.unwrap_or_default();
            Ok(Copied::whole(&key, encoded))
        });
        read.await.unwrap_or(Err(OpError::Stopped))
    }

    /// What this node has of a key, encoded.
    pub(super) async fn fetch_here(&self, key: Bytes) -> Result<Option<Bytes>, OpError> {
        let local = self.parts.local.clone();
        off_thread(move || local.encoded(&key)).await.unwrap_or(Err(OpError::Stopped))
    }

    pub(super) async fn missed(
        &self,
        node: NodeId,
        why: &PeerError,
        stamp: SenderStamp,
        until: Instant,
    ) -> Missed {
        tracing::debug!(%node, %why, "a member does not take part");
        if why.is_old_layout() && self.newer_than(stamp, until).await {
            Missed::Superseded
        } else {
            Missed::Failed
        }
    }

    /// Waits until this node goes by another step than `stamp`; false if it still goes by that one at `until`.
    pub(super) async fn newer_than(&self, stamp: SenderStamp, until: Instant) -> bool {
        let mut seen = self.parts.layouts.subscribe();
        let other = seen.wait_for(|standing| standing.as_ref().is_some_and(|now| now.stamp() != stamp));
        matches!(timeout_at(until, other).await, Ok(Ok(_)))
    }
}

/// How many answers a request wants: its own number if it names one, else the cluster's.
pub(super) fn wanted(
    name: &'static str,
    asked: Option<u32>,
    usual: u8,
    n: u8,
) -> Result<usize, CoordinateError> {
    let given = asked.unwrap_or(usual.into());
    if (1..=u32::from(n)).contains(&given) {
        Ok(usize::try_from(given).unwrap_or(usize::MAX))
    } else {
        Err(CoordinateError::Quorum { name, given, n })
    }
}
