//! A few whole members in one process, for the tests of the workers that talk to other members: real stores, commit
//! threads and layouts, and a network that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{PullRequest, Request, Response, StoreManyReply, StoreManyRequest, response};
use dynamo_ring::fence::{SenderStamp, Verdict};
use dynamo_ring::{NodeId, Partition, Position, Record};
use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message;
use tokio::sync::watch;

use crate::layout::Layouts;
use crate::layout::state::tests::member_id;
use crate::peer::{Network, PeerError, PullStream, Refused, wire};
use crate::repair::rota;
use crate::store::{
    Committer, DataKey, Identity, Limits, Local, MemoryStore, MergeMany, OpError, Operation, QueueLimits,
    StandIn,
};
use crate::transfer::{Exchange, serve};
use crate::version::testing::{dot, sibling, vector};
use crate::version::{ActorId, State};

/// One member.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) store: MemoryStore,
    pub(crate) local: Local,
    pub(crate) committer: Committer,
    pub(crate) layouts: Layouts,
}

impl Machine {
    /// Starts a member over a disk, and waits until it has acted on what it finds there.
    pub(crate) async fn start(i: u8, store: MemoryStore, record: Option<&Record>) -> Self {
        let fresh = Identity { node_id: member_id(i), actor: ActorId(i.into()), cluster_id: None };
        Identity::establish(&store, fresh).unwrap();
        let disk = Arc::new(store.clone());
        let (committer, _) =
            Committer::start(disk.clone(), Limits::default(), QueueLimits::default()).unwrap();
        let local = Local::new(disk);
        let (layouts, keeper) = Layouts::open(local.clone(), committer.clone(), member_id(i)).unwrap();
        tokio::spawn(keeper.run());
        let machine = Self { store, local, committer, layouts };
        if let Some(record) = record {
            machine.take(record).await;
        }
        machine
    }

    /// Takes a record, and waits for its acknowledgement and its cleaning.
    pub(crate) async fn take(&self, record: &Record) {
        self.layouts.take(record.clone()).await.unwrap();
        self.layouts.acked().await.unwrap();
        let mut seen = self.layouts.subscribe();
        seen.wait_for(|now| now.as_ref().is_some_and(|now| now.cleaned == Some(now.record.id())))
            .await
            .unwrap();
    }

    pub(crate) async fn run<O: Operation>(&self, operation: O) -> O::Outcome {
        self.committer.submit(operation).unwrap().durable().await.unwrap().outcome
    }

    /// Stores a key, written by `actor`, for itself or with a hint.
    pub(crate) async fn keep(&self, key: &str, actor: u64, hint_for: Option<u8>, since_ms: u64) {
        let entries = vec![(data_key(key), state(actor).encode())];
        let hint = hint_for.map(|i| StandIn { target: member_id(i), since_ms });
        self.run(MergeMany { entries, hint, from: None }).await;
    }

    pub(crate) fn has(&self, key: &str) -> Option<State> {
        self.local.state(key.as_bytes()).unwrap()
    }

    /// Who is owed a key here.
    pub(crate) fn owes(&self, key: &str) -> Vec<NodeId> {
        self.local.hints_of(&data_key(key)).unwrap()
    }
}

pub(crate) fn data_key(key: &str) -> DataKey {
    DataKey::of(key.as_bytes()).unwrap()
}

/// A state with one version by this actor.
pub(crate) fn state(actor: u64) -> State {
    State::from_parts(vector(&[(actor, 1, 1)]), vec![sibling(dot(actor, 1, 1), b"value")])
}

/// Keys of a partition that meets the condition.
pub(crate) fn keys(record: &Record, place: impl Fn(Partition) -> bool) -> impl Iterator<Item = String> {
    let q = record.stable().partitions();
    (0..).map(|n| format!("key-{n}")).filter(move |key| place(Position::of(key.as_bytes()).partition(q)))
}

/// What was asked of whom: how many entries, and for whom they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) to: NodeId,
    pub(crate) entries: usize,
    pub(crate) hint_for: Option<NodeId>,
}

/// The network between the machines.
#[derive(Clone)]
pub(crate) struct Fabric {
    machines: Arc<Mutex<BTreeMap<NodeId, Machine>>>,
    down: Arc<Mutex<BTreeSet<NodeId>>>,
    bad: Arc<Mutex<BTreeSet<DataKey>>>,
    log: Arc<Mutex<Vec<Stored>>>,
    changes: Arc<watch::Sender<u64>>,
    traffic: Arc<Mutex<Traffic>>,
    /// Members of the release before the hash over all shared roots, and before nodes of many partitions in one answer.
    earlier: Arc<Mutex<BTreeSet<NodeId>>>,
    /// Whose way to the others this is.
    me: NodeId,
}

/// What went between the members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Requests, each with its answer.
    pub(crate) trips: usize,
    /// Of these, for nodes of trees.
    pub(crate) descents: usize,
    /// Bytes of requests and answers, encoded.
    pub(crate) bytes: usize,
}

impl Fabric {
    /// So many members, all of which go by `record`.
    pub(crate) async fn new(count: u8, record: &Record) -> Self {
        let fabric = Self {
            machines: Arc::default(),
            down: Arc::default(),
            bad: Arc::default(),
            log: Arc::default(),
            changes: Arc::default(),
            traffic: Arc::default(),
            earlier: Arc::default(),
            me: member_id(0),
        };
        for i in 0..count {
            fabric.plug(i, Machine::start(i, MemoryStore::new(), Some(record)).await);
        }
        fabric
    }

    pub(crate) fn plug(&self, i: u8, machine: Machine) {
        self.machines.lock().unwrap().insert(member_id(i), machine);
    }

    pub(crate) fn machine(&self, i: u8) -> Machine {
        self.machines.lock().unwrap()[&member_id(i)].clone()
    }

    pub(crate) fn cut(&self, i: u8) {
        self.down.lock().unwrap().insert(member_id(i));
        self.changes.send_modify(|n| *n += 1);
    }

    pub(crate) fn mend(&self, i: u8) {
        self.down.lock().unwrap().remove(&member_id(i));
        self.changes.send_modify(|n| *n += 1);
    }

    /// Has every member refuse this key.
    pub(crate) fn spoil(&self, key: &str) {
        self.bad.lock().unwrap().insert(data_key(key));
    }

    /// What was stored since the last look.
    pub(crate) fn stored(&self) -> Vec<Stored> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// What a worker of member `i` works with.
    pub(crate) fn exchange(&self, i: u8) -> Exchange {
        let Machine { local, committer, layouts, .. } = self.machine(i);
        let network = Arc::new(Self { me: member_id(i), ..self.clone() });
        Exchange { network, local, committer, layouts }
    }

    /// Makes a member one of an earlier release.
    pub(crate) fn is_of_an_earlier_release(&self, i: u8) {
        self.earlier.lock().unwrap().insert(member_id(i));
    }

    /// What went between the members since the last look.
    pub(crate) fn traffic(&self) -> Traffic {
        std::mem::take(&mut self.traffic.lock().unwrap())
    }

    async fn carry(&self, to: NodeId, op: Op, stamp: SenderStamp) -> Result<response::Result, PeerError> {
        let descents = usize::from(matches!(op, Op::MerkleChildren(_)));
        let stamp_message = Some(wire::stamp_message(stamp));
        let mut request =
            Request { stamp: stamp_message, deadline_ms: 10_000, op: Some(op), ..Request::default() };
        let sent = request.encoded_len();
        if self.earlier.lock().unwrap().contains(&to) {
            match &mut request.op {
                Some(Op::MerkleRoots(roots)) => roots.shared.clear(),
                Some(Op::MerkleChildren(children)) => children.more.clear(),
                _ => {}
            }
        }
        let answer = self.answer(to, request.op.unwrap(), stamp).await?;
        let response = Response { result: Some(answer) };
        let mut traffic = self.traffic.lock().unwrap();
        traffic.trips += 1;
        traffic.descents += descents;
        traffic.bytes += sent + response.encoded_len();
        Ok(response.result.unwrap())
    }

    async fn answer(&self, to: NodeId, op: Op, stamp: SenderStamp) -> Result<response::Result, PeerError> {
        if !self.is_up(to) {
            return Err(PeerError::Down(to));
        }
        let machine = self.machines.lock().unwrap()[&to].clone();
        if machine.layouts.judge(stamp) != Verdict::Accept {
            return Err(refused(Reason::OldLayout));
        }
        let wrong = |_| refused(Reason::NotHolder);
        Ok(match op {
            Op::StoreMany(request) => response::Result::StoreMany(self.store(to, &machine, request).await?),
            Op::MerkleRoots(request) => {
                let standing = machine.layouts.current().unwrap();
                let same = stamp == standing.stamp();
                let shared = same.then(|| rota::shared(&standing).remove(&self.me)).flatten();
                let shared = shared.unwrap_or_default();
                let roots = serve::merkle_roots(&machine.local, &request, &shared).map_err(wrong)?;
                response::Result::MerkleRoots(roots)
            }
            Op::MerkleChildren(request) => {
                let mut doubt = |examine| drop(machine.committer.submit(examine));
                let nodes = serve::merkle_children(&machine.local, &request, &mut doubt).map_err(wrong)?;
                response::Result::MerkleChildren(nodes)
            }
            Op::FetchMany(request) => {
                response::Result::FetchMany(serve::fetch_many(&machine.local, &request).map_err(wrong)?)
            }
            other => return Err(PeerError::Strange(format!("{other:?}"))),
        })
    }

    async fn store(
        &self,
        to: NodeId,
        machine: &Machine,
        request: StoreManyRequest,
    ) -> Result<StoreManyReply, PeerError> {
        let key = |bytes: Bytes| DataKey::from_peer(bytes).unwrap();
        let entries: Vec<_> =
            request.entries.into_iter().map(|entry| (key(entry.data_key), entry.state)).collect();
        if entries.iter().any(|(key, _)| self.bad.lock().unwrap().contains(key)) {
            return Err(refused(Reason::Invalid));
        }
        let hint_for =
            (!request.hint_for.is_empty()).then(|| wire::node_id("hint_for", &request.hint_for).unwrap());
        let stored = Stored { to, entries: entries.len(), hint_for };
        let hint = hint_for.map(|target| StandIn { target, since_ms: 99 });
        match machine.committer.submit(MergeMany { entries, hint, from: None }).unwrap().durable().await {
            Ok(_) => {
                self.log.lock().unwrap().push(stored);
                Ok(StoreManyReply {})
            }
            Err(OpError::NotHeld(_)) => Err(refused(Reason::NotHolder)),
            Err(why) => panic!("{why}"),
        }
    }
}

fn refused(reason: Reason) -> PeerError {
    Refused { reason, message: String::new(), record: Bytes::new() }.into()
}

impl Network for Fabric {
    fn call(
        &self,
        to: NodeId,
        op: Op,
        stamp: SenderStamp,
        _: Duration,
    ) -> BoxFuture<'_, Result<response::Result, PeerError>> {
        self.carry(to, op, stamp).boxed()
    }

    fn pull(&self, to: NodeId, _: PullRequest) -> BoxFuture<'_, Result<PullStream, PeerError>> {
        async move { Err(PeerError::Down(to)) }.boxed()
    }

    fn is_up(&self, node: NodeId) -> bool {
        !self.down.lock().unwrap().contains(&node) && self.machines.lock().unwrap().contains_key(&node)
    }

    fn watch_up(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
