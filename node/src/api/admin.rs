//! What the operator, or a person, asks of this node: how it is, which layout to go by, whether it may leave for good.
//!
//! Thin over [`layout`](crate::layout) and [`transfer`](crate::transfer). Whoever gets here has shown the cluster's
//! token; the server looks at it before.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_proto::v1::{
    CopyPace, HandOver, Holding, HoldingsReply, HoldingsRequest, InspectReply, InspectRequest, Move,
    MovesReply, MovesRequest, NodeStatus, RetireReply, RetireRequest, SetLayoutReply, SetLayoutRequest,
    SetPaceReply, SetPaceRequest, Stage, StatusRequest,
};
use dynamo_ring::{Partition, Record, Step};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::inspect::Found;
use crate::clock::Clock;
use crate::gossip::Gossip;
use crate::layout::{Duty, NotRetired, Refusal, Standing};
use crate::pace::{Limit, Pace};
use crate::peer::Hearsay;
use crate::peer::wire::{self, node_id_bytes, stamp_message};
use crate::store::{DataKey, HintCount, Local, OpError, StoreError, Summary, blocking};
use crate::transfer::{Exchange, Progress};

/// How long `SetLayout` waits for older requests to end before it answers DEADLINE_EXCEEDED. Requests end within 10 s of
/// their own accord, so the second try finds it done.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(8);

/// What the service shows, and acts on.
#[derive(Debug, Clone)]
pub struct AdminParts<C> {
    /// Layouts, store and the other members.
    pub exchange: Exchange,
    /// How far a change has come.
    pub progress: Progress,
    /// How fast copies may be.
    pub pace: Pace,
    /// The most that all of the background may take.
    pub limit: Limit,
    /// What is heard of others.
    pub gossip: Gossip,
    /// Of this node's pod.
    pub name: String,
    /// For the age of hints.
    pub clock: C,
}

/// The Admin service.
#[derive(Debug, Clone)]
pub struct AdminService<C>(AdminParts<C>);

impl<C: Clock> AdminService<C> {
    /// The service over these parts.
    pub const fn new(parts: AdminParts<C>) -> Self {
        Self(parts)
    }

    fn current(&self) -> Option<std::sync::Arc<Standing>> {
        self.0.exchange.layouts.current()
    }
}

/// What a status reads from the disk.
struct Stored {
    identity: Option<crate::store::Identity>,
    summaries: Vec<(Partition, Summary)>,
    hints: Vec<HintCount>,
}

impl Stored {
    fn read(local: &Local) -> Result<Self, StoreError> {
        let (identity, summaries) = (local.identity()?, local.summaries()?);
        Ok(Self { identity, summaries, hints: local.hint_counts()? })
    }

    fn hints(&self) -> u64 {
        self.hints.iter().map(|count| count.hints).sum()
    }

    fn keys(&self) -> u64 {
        self.summaries.iter().map(|(_, summary)| summary.keys).sum()
    }
}

#[tonic::async_trait]
impl<C: Clock> Admin for AdminService<C> {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<NodeStatus>, Status> {
        let local = self.0.exchange.local.clone();
        let stored = blocking(move || Stored::read(&local)).await.map_err(|why| storage(&why.into()))?;
        let standing = self.current();
        let standing = standing.as_deref();
        let now = self.0.clock.now_ms();
        let oldest = stored.hints.iter().filter_map(|count| count.oldest_ms).min();
        let network = &self.0.exchange.network;
        let members = standing.into_iter().flat_map(|standing| standing.record.view().members());
        let connected = members.map(|member| member.node_id).filter(|node| network.is_up(*node));
        let cluster = stored.identity.and_then(|identity| identity.cluster_id);
        Ok(Response::new(NodeStatus {
            node_id: node_id_bytes(self.0.exchange.layouts.my_id()),
            name: self.0.name.clone(),
            cluster_id: cluster.map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default(),
            actor: stored.identity.map_or(0, |identity| identity.actor.0),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            stage: stage(standing, self.0.exchange.layouts.has_retired()).into(),
            has_data: stored.keys() > 0 || stored.hints() > 0,
            record: standing.map(|standing| standing.record.to_json().into()).unwrap_or_default(),
            acked: standing.and_then(Standing::acked_stamp).map(stamp_message),
            target: standing.and_then(|standing| self.0.progress.report(standing)),
            hand_over: standing.and_then(|standing| hand_over(standing, stored.hints())),
            hints: stored.hints(),
            oldest_hint_age_ms: oldest.map_or(0, |oldest| now.saturating_sub(oldest)),
            keys: stored.keys(),
            stored_bytes: stored.summaries.iter().map(|(_, summary)| summary.bytes).sum(),
            partitions_held: count(standing.map_or(0, |standing| standing.held.len())),
            commit: self.0.exchange.committer.last_commit(),
            synced: self.0.exchange.committer.last_synced(),
            connected: connected.map(node_id_bytes).collect(),
            heard_of: self.0.gossip.heard_of(),
            introduction: Some(self.0.gossip.introduction()),
            background_bytes_per_second: self.0.limit.bytes_per_second(),
            copy_pace: Some(CopyPace {
                limit_bytes_per_second: self.0.pace.limit(),
                share: self.0.pace.share().ratio(),
                copied_bytes_per_second: self.0.progress.copied_per_second(),
            }),
        }))
    }

    async fn set_layout(
        &self,
        request: Request<SetLayoutRequest>,
    ) -> Result<Response<SetLayoutReply>, Status> {
        let request = request.into_inner();
        self.is_meant(&request.node_id)?;
        let text = std::str::from_utf8(&request.record)
            .map_err(|_| Status::invalid_argument("`record` is no JSON: not UTF-8"))?;
        let record = Record::from_json(text).map_err(|why| Status::invalid_argument(why.to_string()))?;
        self.0.exchange.layouts.take(record).await.map_err(|why| self.refused(&why))?;
        let acked = timeout(ACKNOWLEDGED_WITHIN, self.0.exchange.layouts.acked()).await.map_err(|_| {
            Status::deadline_exceeded(format!(
                "the record is stored, but requests begun under an older one still run after {ACKNOWLEDGED_WITHIN:?}, \
                 or what it takes away is still being dropped; ask again"
            ))
        })?;
        Ok(Response::new(SetLayoutReply { acked: acked.map(stamp_message) }))
    }

    async fn retire(&self, request: Request<RetireRequest>) -> Result<Response<RetireReply>, Status> {
        let request = request.into_inner();
        if let Err(why) = self.may_be_retired(&request) {
            return Ok(Response::new(RetireReply { retired: false, reason: why.to_string() }));
        }
        match self.0.exchange.layouts.retire().await {
            Ok(()) => Ok(Response::new(RetireReply { retired: true, reason: String::new() })),
            Err(why @ (NotRetired::Busy(_) | NotRetired::Store(_) | NotRetired::Stopped)) => {
                Err(Status::unavailable(why.to_string()))
            }
            Err(why) => Ok(Response::new(RetireReply { retired: false, reason: why.to_string() })),
        }
    }

    async fn set_pace(&self, request: Request<SetPaceRequest>) -> Result<Response<SetPaceReply>, Status> {
        let SetPaceRequest { node_id, background_bytes_per_second } = request.into_inner();
        self.is_meant(&node_id)?;
        self.0.limit.set(background_bytes_per_second);
        Ok(Response::new(SetPaceReply {}))
    }

    async fn holdings(&self, request: Request<HoldingsRequest>) -> Result<Response<HoldingsReply>, Status> {
        let wanted = request.into_inner().partitions;
        let local = self.0.exchange.local.clone();
        let summaries =
            blocking(move || local.summaries()).await.map_err(|why: StoreError| storage(&why.into()))?;
        let asked = |p: &Partition| wanted.is_empty() || wanted.contains(&u32::from(p.0));
        let held = summaries.into_iter().filter(|(p, summary)| summary.held && asked(p));
        let holding = |(partition, summary): (Partition, Summary)| Holding {
            partition: partition.0.into(),
            root: Bytes::copy_from_slice(&summary.root.0),
            keys: summary.keys,
            bytes: summary.bytes,
        };
        Ok(Response::new(HoldingsReply { holdings: held.map(holding).collect() }))
    }

    async fn moves(&self, request: Request<MovesRequest>) -> Result<Response<MovesReply>, Status> {
        let wanted = request.into_inner().partitions;
        let standing = self.current();
        let Some(standing) = standing.as_deref() else { return Ok(Response::new(MovesReply::default())) };
        let local = self.0.exchange.local.clone();
        let summaries =
            blocking(move || local.summaries()).await.map_err(|why: StoreError| storage(&why.into()))?;
        let stored: BTreeMap<u32, Summary> = summaries.into_iter().map(|(p, s)| (p.0.into(), s)).collect();
        let asked = |one: &Move| wanted.is_empty() || wanted.contains(&one.partition);
        let with_stored = |one: Move| match stored.get(&one.partition) {
            Some(summary) => Move { keys: summary.keys, stored_bytes: summary.bytes, ..one },
            None => one,
        };
        let moves = self.0.progress.moves(standing).into_iter().filter(asked).map(with_stored).collect();
        Ok(Response::new(MovesReply { layout: Some(stamp_message(standing.stamp())), moves }))
    }

    async fn inspect(&self, request: Request<InspectRequest>) -> Result<Response<InspectReply>, Status> {
        let InspectRequest { key, value_bytes } = request.into_inner();
        let key = DataKey::of(&key).map_err(|why| Status::invalid_argument(format!("`key`: {why}")))?;
        let standing = self.current();
        let (local, wanted) = (self.0.exchange.local.clone(), key.clone());
        let found = blocking(move || Found::read(&local, &wanted)).await.map_err(|why| match why {
            OpError::State(why) => Status::data_loss(why.to_string()),
            why => storage(&why),
        })?;
        Ok(Response::new(found.reply(&key, standing.as_deref(), value_bytes)))
    }
}

impl<C: Clock> AdminService<C> {
    /// Whether a request with this node id is meant for this node; empty is for whoever reads it.
    fn is_meant(&self, node_id: &[u8]) -> Result<(), Status> {
        if node_id.is_empty() {
            return Ok(());
        }
        let meant =
            wire::node_id("node_id", node_id).map_err(|why| Status::invalid_argument(why.to_string()))?;
        let me = self.0.exchange.layouts.my_id();
        if meant == me {
            return Ok(());
        }
        Err(Status::failed_precondition(format!(
            "meant for node {meant}, but this is node {me}; nothing was done"
        )))
    }

    fn may_be_retired(&self, request: &RetireRequest) -> Result<(), NotRetired> {
        let me = self.0.exchange.layouts.my_id();
        if request.node_id[..] != me.as_bytes()[..] {
            return Err(NotRetired::OtherNode(me));
        }
        match self.current().map(|standing| standing.record.cluster_id()) {
            Some(mine) if request.cluster_id[..] != mine.as_bytes()[..] => {
                Err(NotRetired::OtherCluster(mine))
            }
            _ => Ok(()),
        }
    }

    /// A refusal, with what this node goes by.
    fn refused(&self, why: &Refusal) -> Status {
        let has = self.current().map_or("no layout".to_owned(), |standing| standing.stamp().to_string());
        let message = format!("{why}; this node is at {has}");
        match why {
            Refusal::Store(OpError::Store(_)) | Refusal::Busy(_) | Refusal::Stopped => {
                Status::unavailable(message)
            }
            _ => Status::failed_precondition(message),
        }
    }
}

fn stage(standing: Option<&Standing>, has_retired: bool) -> Stage {
    match standing {
        _ if has_retired => Stage::Retired,
        None => Stage::Dormant,
        Some(standing) if standing.serves() => Stage::Serving,
        Some(_) => Stage::Leaving,
    }
}

/// How far this node has come with letting go of what the committed layout took from it.
fn hand_over(standing: &Standing, hints: u64) -> Option<HandOver> {
    if standing.record.step() != Step::Committed {
        return None;
    }
    let (partitions_left, hints_left) = match standing.duty() {
        Some(Duty::HandOver { partitions, hints: leaves, .. }) => {
            (count(partitions.len()), if leaves { hints } else { 0 })
        }
        _ => (0, 0),
    };
    let done = standing.handed_over == Some(standing.record.id());
    Some(HandOver { committed: Some(stamp_message(standing.stamp())), partitions_left, hints_left, done })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn storage(why: &OpError) -> Status {
    Status::unavailable(why.to_string())
}
