//! The Replica service: what members call, once [`Admission`] has let them in.

use std::sync::Arc;
use std::time::Duration;

use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::replica_server::Replica;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    FetchReply, FetchRequest, Frame, HelloReply, HelloRequest, PullBatch, PullRequest, Refusal,
    Request as PeerRequest, StoreManyReply, StoreManyRequest, StoreReply, StoreRequest,
};
use dynamo_ring::{NodeId, Partition, Position};
use futures::Stream;
use futures::stream::BoxStream;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use super::admission::{Admission, refusal};
use super::requests::{Failed, Requests};
use super::{deadline, errors};
use crate::clock::Clock;
use crate::coordinate::outlines::{self, PageOf};
use crate::coordinate::read::Part;
use crate::coordinate::{CoordinateError, copy};
use crate::gossip::{Effect, Gossip, heed};
use crate::identity::known_of;
use crate::layout::{Entered, Layouts};
use crate::peer::wire::{self, node_id};
use crate::peer::{Handler, Hearsay, Peers, Sender, Streams, Voice, Within, exchange};
use crate::reap::Participant;
use crate::repair::rota;
use crate::spans;
use crate::store::{
    Committer, DataKey, Examine, Local, Mark, Merge, MergeMany, OpError, Operation, StandIn, Store,
    StoreError, SubmitError, blocking, off_thread,
};
use crate::transfer::serve;
use crate::version::State;

/// What the service is made of.
pub struct ReplicaParts {
    /// Who is let in.
    pub admission: Admission,
    /// What this node goes by.
    pub layouts: Layouts,
    /// The way to the disk.
    pub committer: Committer,
    /// Reading it.
    pub local: Local,
    /// The store, for snapshots.
    pub store: Arc<dyn Store>,
    /// The pulls that are answered.
    pub serving: serve::Serving,
    /// Rounds of reaping.
    pub participant: Participant,
    /// The streams that members have opened here.
    pub streams: Streams,
    /// Clients' requests that members forward.
    pub requests: Requests,
    /// The ways to the other members.
    pub peers: Peers,
    /// What is known of them by gossip.
    pub gossip: Gossip,
    /// What this node says of itself.
    pub voice: Arc<Voice>,
    /// Since when a hint is owed.
    pub clock: Arc<dyn Clock>,
    /// What bounds the service of each stream.
    pub within: Within,
}

/// The Replica service. Cheap to clone.
#[derive(Clone)]
pub struct ReplicaService(Arc<ReplicaParts>);

impl std::fmt::Debug for ReplicaService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaService").finish_non_exhaustive()
    }
}

impl ReplicaService {
    /// A service of these parts.
    pub fn new(parts: ReplicaParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Serves one stream, whatever carries it.
    pub fn frames(
        &self,
        requests: impl Stream<Item = Result<Frame, Status>> + Send + 'static,
    ) -> BoxStream<'static, Result<Frame, Status>> {
        let parts = &self.0;
        exchange(
            Arc::clone(parts),
            Arc::clone(&parts.voice),
            requests,
            parts.streams.clone(),
            parts.within.clone(),
        )
    }

    /// The entries of one partition.
    pub fn entries(
        &self,
        request: &PullRequest,
    ) -> Result<BoxStream<'static, Result<PullBatch, Status>>, Status> {
        let parts = &self.0;
        let voice = Arc::clone(&parts.voice);
        let asks = Sender::from_message(request.sender.as_ref()).ok().map(|sender| sender.mark.node_id);
        let me = move || voice.to(asks);
        serve::pull(&parts.store, &parts.layouts, request, &parts.serving, me)
    }
}

#[tonic::async_trait]
impl Replica for ReplicaService {
    type ExchangeStream = BoxStream<'static, Result<Frame, Status>>;
    type PullStream = BoxStream<'static, Result<PullBatch, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        Ok(Response::new(self.frames(request.into_inner())))
    }

    async fn pull(&self, request: Request<PullRequest>) -> Result<Response<Self::PullStream>, Status> {
        Ok(Response::new(self.entries(&request.into_inner())?))
    }
}

impl Handler for ReplicaParts {
    async fn handle(&self, from: Sender, request: PeerRequest, within: Duration) -> Body {
        self.answer(from, request, within).await.unwrap_or_else(Body::Refused)
    }
}

impl ReplicaParts {
    async fn answer(&self, from: Sender, request: PeerRequest, within: Duration) -> Result<Body, Refusal> {
        let op = match request.op.ok_or_else(|| refusal(Reason::Invalid, "no known operation"))? {
            Op::Hello(hello) => return self.hello(&from, hello).await.map(Body::Hello),
            Op::Layout(_) => {
                self.admission.greet(&from)?;
                return Ok(Body::Layout(self.layouts.reply()));
            }
            Op::Gossip(gossip) => {
                self.admission.gossip(&from)?;
                let reply = self.gossip.asked(from.mark.node_id, &gossip).map_err(invalid)?;
                return Ok(Body::Gossip(reply));
            }
            Op::GossipTell(tell) => {
                self.admission.gossip(&from)?;
                let (reply, effects) = self.gossip.told(tell).map_err(invalid)?;
                self.heed(&effects);
                return Ok(Body::GossipTell(reply));
            }
            op => op,
        };
        let stamp = wire::stamp(request.stamp.as_ref()).map_err(invalid)?;
        let entered = self.admission.enter(&from, stamp, within).await?;
        match op {
            Op::Store(store) => self.store(entered, &from, store).await.map(Body::Store),
            Op::StoreMany(many) => {
                let bytes = many.encoded_len() as u64;
                let reply = self.store_many(entered, &from, many).await?;
                self.requests.foreground.rest(bytes).await;
                Ok(Body::StoreMany(reply))
            }
            Op::Fetch(fetch) => self.fetch(&entered, fetch).await.map(Body::Fetch),
            Op::MerkleRoots(roots) => {
                // Of another step the asker may mean other partitions than this member would.
                let same = stamp == entered.stamp() && !roots.shared.is_empty();
                let shared = same.then(|| rota::shared(&entered).remove(&from.mark.node_id));
                let shared = shared.flatten().unwrap_or_default();
                let roots = self.read(entered, move |local| serve::merkle_roots(local, &roots, &shared));
                roots.await.map(Body::MerkleRoots)
            }
            Op::MerkleChildren(children) => {
                let committer = self.committer.clone();
                // Nobody waits for what comes of it; while too much waits for the disk, it is found another time.
                let mut doubt = move |examine: Examine| drop(committer.submit(examine));
                let nodes =
                    self.read(entered, move |local| serve::merkle_children(local, &children, &mut doubt));
                nodes.await.map(Body::MerkleChildren)
            }
            Op::FetchMany(many) => {
                let reply = self.read(entered, move |local| serve::fetch_many(local, &many)).await?;
                self.requests.foreground.rest(reply.encoded_len() as u64).await;
                Ok(Body::FetchMany(reply))
            }
            Op::ListPartition(list) => {
                let wanted = PageOf::from_request(list)?;
                if !entered.holds(wanted.partition) {
                    return Err(not_held(wanted.partition));
                }
                let page = self.read(entered, move |local| {
                    outlines::read(local, &wanted).map_err(|why| storage(&why.into()))
                });
                page.await.map(|page| Body::ListPartition(page.reply()))
            }
            reap @ (Op::ReapLook(_) | Op::ReapFinish(_) | Op::ReapBarrier(_) | Op::ReapKeys(_)) => {
                // It waits for the end of all that has entered.
                drop(entered);
                self.participant.handle(&from, stamp, reap).await
            }
            forward => {
                // The coordinator enters for itself.
                drop(entered);
                self.forwarded(forward, deadline::in_time(within)).await
            }
        }
    }

    /// What this node knows of the one who greets, which is remembered along with it.
    async fn hello(&self, from: &Sender, hello: HelloRequest) -> Result<HelloReply, Refusal> {
        self.admission.greet(from)?;
        if let Some(said) = hello.introduction {
            self.heed(&self.gossip.greeted(from.mark.node_id, said));
        }
        let (local, node) = (self.local.clone(), from.mark.node_id);
        let known =
            blocking(move || known_of(&local, node)).await.map_err(|why: StoreError| storage(&why.into()))?;
        if self.layouts.current().is_some() {
            // Answered when it is on disk: a number that a crash takes back would not be known.
            self.durable(None, Mark(from.mark)).await?;
        }
        let name = self.voice.name().to_owned();
        let (known_commit, known_synced) = (known.commit, known.synced);
        let introduction = Some(self.gossip.introduction());
        Ok(HelloReply { name, known_commit, known_synced, introduction, ..HelloReply::default() })
    }

    /// Does what news of members ask for.
    fn heed(&self, effects: &[Effect]) {
        for effect in effects {
            heed(&self.peers, effect);
        }
    }

    async fn store(
        &self,
        entered: Entered,
        from: &Sender,
        request: StoreRequest,
    ) -> Result<StoreReply, Refusal> {
        let StoreRequest { key, state, hint_for } = request;
        let state = State::decode(&state).map_err(invalid)?;
        let hint = self.stand_in(&entered, &hint_for)?;
        self.durable(Some(entered), Merge { key, state, hint, from: Some(from.mark) }).await?;
        Ok(StoreReply {})
    }

    async fn store_many(
        &self,
        entered: Entered,
        from: &Sender,
        request: StoreManyRequest,
    ) -> Result<StoreManyReply, Refusal> {
        let hint = self.stand_in(&entered, &request.hint_for)?;
        let entry = |entry: dynamo_proto::v1::Entry| {
            Ok((DataKey::from_peer(entry.data_key).map_err(invalid)?, entry.state))
        };
        let entries = request.entries.into_iter().map(entry).collect::<Result<_, Refusal>>()?;
        self.durable(Some(entered), MergeMany { entries, hint, from: Some(from.mark) }).await?;
        Ok(StoreManyReply {})
    }

    async fn fetch(&self, entered: &Entered, request: FetchRequest) -> Result<FetchReply, Refusal> {
        let FetchRequest { key, stand_in, digest } = request;
        let partition = Position::of(&key).partition(entered.record.stable().partitions());
        if !stand_in && !entered.holds(partition) {
            return Err(not_held(partition));
        }
        let (local, part) = (self.local.clone(), if digest { Part::Digest } else { Part::Whole });
        let read = move || Ok(copy::reply(&key, local.encoded(&key)?.unwrap_or_default(), part));
        blocking(read).await.map_err(|why: OpError| storage(&why))
    }

    /// A client's request that a member forwards. If nothing was done, the member may ask another.
    async fn forwarded(&self, op: Op, within: Duration) -> Result<Body, Refusal> {
        let answer = match op {
            Op::ForwardGet(get) => {
                self.requests.get(get, within, true).await.map(|found| Body::ForwardGet(found.response))
            }
            Op::ForwardPut(put) => self.requests.put(put, within, true).await.map(Body::ForwardPut),
            Op::ForwardDelete(delete) => {
                self.requests.delete(delete, within, true).await.map(Body::ForwardDelete)
            }
            _ => return Err(refusal(Reason::Invalid, "no known operation")),
        };
        match answer {
            Ok(body) => Ok(body),
            Err(Failed::Status(status)) => Ok(Body::ForwardStatus(errors::pack(&status))),
            Err(Failed::Passed(why)) => {
                let reason = match why {
                    CoordinateError::Overloaded => Reason::Overloaded,
                    CoordinateError::NotMine => Reason::NotHolder,
                    _ => Reason::NotServing,
                };
                Err(refusal(reason, why.to_string()))
            }
        }
    }

    /// For whom this node is asked to stand in.
    fn stand_in(&self, entered: &Entered, hint_for: &[u8]) -> Result<Option<StandIn>, Refusal> {
        if hint_for.is_empty() {
            return Ok(None);
        }
        let target: NodeId = node_id("hint_for", hint_for).map_err(invalid)?;
        if target == entered.me {
            return Ok(None);
        }
        if !entered.view().names(&target) {
            return Err(refusal(Reason::Invalid, format!("node {target} is no member to stand in for")));
        }
        // Nobody takes a hint from a node that the settled record does not name, and it never could retire. What came
        // under the step before has ended when this one is acknowledged, and is handed over.
        if !entered.serves() {
            return Err(self.admission.left(entered));
        }
        Ok(Some(StandIn { target, since_ms: self.clock.now_ms() }))
    }

    /// Hands an operation to the store, and waits until it is on disk. The guard stays until then even if the caller's
    /// time runs out: what was submitted still takes effect.
    async fn durable<O: Operation>(
        &self,
        entered: Option<Entered>,
        operation: O,
    ) -> Result<O::Outcome, Refusal> {
        let ticket = self.committer.submit(operation).map_err(|why| match why {
            SubmitError::Overloaded => refusal(Reason::Overloaded, why.to_string()),
            SubmitError::Stopped => refusal(Reason::NotServing, why.to_string()),
            SubmitError::Fatal(_) => refusal(Reason::Storage, why.to_string()),
        })?;
        let span = spans::commit();
        let stored = tokio::spawn(async move {
            let stored = ticket.durable().instrument(span).await;
            drop(entered);
            stored
        });
        match stored.await {
            Ok(Ok(applied)) => Ok(applied.outcome),
            Ok(Err(why)) => Err(storage(&why)),
            Err(_) => Err(refusal(Reason::NotServing, "this node is stopping")),
        }
    }

    /// Reads on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        entered: Entered,
        read: impl FnOnce(&Local) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let local = self.local.clone();
        let reading = off_thread(move || {
            let read = read(&local);
            drop(entered);
            read
        });
        reading.await.unwrap_or_else(|| Err(refusal(Reason::NotServing, "this node is stopping")))
    }
}

fn not_held(partition: Partition) -> Refusal {
    refusal(Reason::NotHolder, format!("partition {partition} is not held here"))
}

fn invalid(why: impl std::fmt::Display) -> Refusal {
    refusal(Reason::Invalid, why.to_string())
}

fn storage(why: &OpError) -> Refusal {
    let reason = match why {
        OpError::NotHeld(_) => Reason::NotHolder,
        OpError::NoLayout | OpError::Stopped => Reason::NotServing,
        OpError::Key(_) | OpError::State(_) | OpError::EmptyState => Reason::Invalid,
        _ => Reason::Storage,
    };
    refusal(reason, why.to_string())
}
