//! A network of direct calls. What a node answers is what the Replica service answers: membership, fence, guard, store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use dynamo_node::coordinate::copy;
use dynamo_node::coordinate::read::Part;
use dynamo_node::layout::Entered;
use dynamo_node::peer::wire;
use dynamo_node::peer::{Network, PeerError, PullStream, Refused};
use dynamo_node::repair::rota;
use dynamo_node::store::{DataKey, Merge, MergeMany, OpError, Operation, PeerMark, StandIn};
use dynamo_node::transfer::serve;
use dynamo_node::version::{ActorId, State};
use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    Entry, PullBatch, PullRequest, Refusal, Request, Response, StoreManyReply, StoreReply,
};
use dynamo_ring::NodeId;
use dynamo_ring::fence::{SenderStamp, Verdict, judge};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use prost::Message;
use tokio::sync::watch;

use super::node::Running;

/// Who runs, and who asked for what.
pub(crate) struct Switchboard {
    nodes: Mutex<BTreeMap<NodeId, Arc<Running>>>,
    up: watch::Sender<u64>,
    processes: AtomicU64,
    /// Every pull that was asked for: by whom, of whom, what.
    pub(crate) pulls: Mutex<Vec<(NodeId, NodeId, PullRequest)>>,
    /// Bytes of all requests and answers between nodes, pulls apart.
    pub(crate) carried: AtomicUsize,
    /// Every batch that came of a pull: of whom, of which partition, and entry bytes.
    pub(crate) batches: Mutex<Vec<(NodeId, u32, usize)>>,
    /// So many more batches are damaged on the way.
    pub(crate) damage: AtomicUsize,
    /// Nodes whose pulls are never answered, though they are up.
    pub(crate) mute: Mutex<BTreeSet<NodeId>>,
}

impl Default for Switchboard {
    fn default() -> Self {
        Self {
            nodes: Mutex::default(),
            up: watch::Sender::new(0),
            processes: AtomicU64::new(0),
            pulls: Mutex::default(),
            carried: AtomicUsize::new(0),
            batches: Mutex::default(),
            damage: AtomicUsize::new(0),
            mute: Mutex::default(),
        }
    }
}

impl Switchboard {
    pub(crate) fn plug(&self, node: NodeId, running: Arc<Running>) {
        self.nodes.lock().unwrap().insert(node, running);
        self.up.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn unplug(&self, node: NodeId) -> Option<Arc<Running>> {
        let running = self.nodes.lock().unwrap().remove(&node);
        self.up.send_modify(|changes| *changes += 1);
        running
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<Arc<Running>> {
        self.nodes.lock().unwrap().get(&node).cloned()
    }

    pub(crate) fn running(&self) -> Vec<Arc<Running>> {
        self.nodes.lock().unwrap().values().cloned().collect()
    }
}

/// One process's way to the others.
pub(crate) struct Wire {
    me: NodeId,
    pub(crate) process: u64,
    board: Weak<Switchboard>,
}

impl Wire {
    pub(crate) fn new(me: NodeId, board: &Arc<Switchboard>) -> Self {
        let process = board.processes.fetch_add(1, Ordering::Relaxed);
        Self { me, process, board: Arc::downgrade(board) }
    }

    fn reach(&self, node: NodeId) -> Option<Arc<Running>> {
        let board = self.board.upgrade()?;
        // A process that was cut off reaches nobody, also when its node runs again.
        board.get(self.me).filter(|me| me.process == self.process)?;
        board.get(node)
    }

    fn carry(&self, bytes: usize) {
        if let Some(board) = self.board.upgrade() {
            board.carried.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    async fn ask(&self, to: NodeId, op: Op, stamp: SenderStamp) -> Result<Body, PeerError> {
        let Some(target) = self.reach(to) else { return Err(PeerError::Down(to)) };
        let request = Request { op: Some(op), ..Request::default() };
        self.carry(request.encoded_len());
        let Some(op) = request.op else { return Err(PeerError::Down(to)) };
        let response = Response { result: Some(serve_op(&target, self, stamp, op).await) };
        self.carry(response.encoded_len());
        let Some(body) = response.result else { return Err(PeerError::Lost(to)) };
        // The answer is lost if either has gone meanwhile.
        drop(target);
        let me = self.reach(self.me).filter(|_| self.reach(to).is_some()).ok_or(PeerError::Lost(to))?;
        let Body::Refused(refusal) = body else { return Ok(body) };
        let refused = Refused { reason: refusal.reason(), message: refusal.message, record: refusal.record };
        if refused.reason == Reason::OldLayout {
            let record = serde_json::from_slice(&refused.record).unwrap();
            let layouts = me.layouts.clone();
            tokio::spawn(async move { layouts.take(record).await });
        }
        Err(refused.into())
    }
}

impl Network for Wire {
    fn call(
        &self,
        to: NodeId,
        op: Op,
        stamp: SenderStamp,
        within: Duration,
    ) -> BoxFuture<'_, Result<Body, PeerError>> {
        async move {
            let answer = tokio::time::timeout(within, self.ask(to, op, stamp)).await;
            answer.unwrap_or(Err(PeerError::Timeout { node: to, within }))
        }
        .boxed()
    }

    fn pull(&self, to: NodeId, request: PullRequest) -> BoxFuture<'_, Result<PullStream, PeerError>> {
        async move {
            let Some(target) = self.reach(to) else { return Err(PeerError::Down(to)) };
            let board = self.board.upgrade().ok_or(PeerError::Down(to))?;
            board.pulls.lock().unwrap().push((self.me, to, request.clone()));
            if board.mute.lock().unwrap().contains(&to) {
                return Ok(futures::stream::pending().boxed());
            }
            let mark = PeerMark { node_id: to, actor: ActorId(0), commit: 0, synced: 0 };
            let sender = move || wire::Sender { cluster_id: Some(super::CLUSTER), mark };
            let batches = serve::pull(&target.store, &target.layouts, &request, &target.serving, sender)
                .map_err(|status| PeerError::Strange(status.message().to_owned()))?;
            let (partition, board) = (request.partition, self.board.clone());
            let carry = move |batch: Result<PullBatch, tonic::Status>| {
                let mut batch = batch?;
                let board = board.upgrade().ok_or_else(|| tonic::Status::unavailable("the end"))?;
                let bytes = batch.entries.iter().map(|entry| entry.data_key.len() + entry.state.len()).sum();
                board.batches.lock().unwrap().push((to, partition, bytes));
                let damages = |left: usize| left.checked_sub(1);
                if let Some(entry) = batch.entries.last_mut()
                    && board.damage.fetch_update(Ordering::Relaxed, Ordering::Relaxed, damages).is_ok()
                {
                    // Another value, that decodes as well as the right one.
                    let mut state = entry.state.to_vec();
                    *state.last_mut().unwrap() ^= 1;
                    entry.state = state.into();
                }
                Ok(batch)
            };
            Ok(batches.map(carry).boxed())
        }
        .boxed()
    }

    fn is_up(&self, node: NodeId) -> bool {
        self.reach(node).is_some()
    }

    fn watch_up(&self) -> watch::Receiver<u64> {
        self.board.upgrade().expect("the board outlives its nodes").up.subscribe()
    }
}

fn refuse(reason: Reason, message: impl Into<String>, record: Bytes) -> Body {
    Body::Refused(Refusal { reason: reason.into(), message: message.into(), record })
}

async fn serve_op(node: &Running, from: &Wire, stamp: SenderStamp, op: Op) -> Body {
    if let Op::Layout(_) = op {
        return Body::Layout(node.layouts.reply());
    }
    if node.layouts.judge(stamp) == Verdict::IAmOld
        && let Some(standing) = from.reach(from.me).and_then(|sender| sender.layouts.current())
    {
        drop(node.layouts.take((*standing.record).clone()).await);
    }
    let Some(entered) = node.layouts.enter().filter(|entered| !entered.retired) else {
        return refuse(Reason::NotServing, "dormant", Bytes::new());
    };
    if !entered.admits(&from.me) {
        return refuse(Reason::NotMember, "no member", Bytes::new());
    }
    match judge(&entered.record, stamp) {
        Verdict::Accept => carry_out(node, from.me, stamp, &entered, op).await,
        _ => refuse(Reason::OldLayout, "another layout", entered.record.to_json().into()),
    }
}

async fn carry_out(node: &Running, from: NodeId, stamp: SenderStamp, entered: &Entered, op: Op) -> Body {
    let answered = |result: Result<Body, Refusal>| result.unwrap_or_else(Body::Refused);
    match op {
        Op::Store(request) => {
            let Ok(state) = State::decode(&request.state) else {
                return refuse(Reason::Invalid, "", Bytes::new());
            };
            let merge = Merge { key: request.key, state, hint: hint(&request.hint_for), from: None };
            stored(node, entered, merge, Body::Store(StoreReply {})).await
        }
        Op::StoreMany(request) => {
            let entry = |Entry { data_key, state }| (DataKey::from_peer(data_key).unwrap(), state);
            let entries = request.entries.into_iter().map(entry).collect();
            let merge = MergeMany { entries, hint: hint(&request.hint_for), from: None };
            stored(node, entered, merge, Body::StoreMany(StoreManyReply {})).await
        }
        Op::Fetch(request) => {
            let state = node.local.encoded(&request.key).unwrap().unwrap_or_default();
            let part = if request.digest { Part::Digest } else { Part::Whole };
            Body::Fetch(copy::reply(&request.key, state, part))
        }
        Op::MerkleRoots(request) => {
            let same = stamp == entered.stamp();
            let shared = same.then(|| rota::shared(entered).remove(&from)).flatten().unwrap_or_default();
            answered(serve::merkle_roots(&node.local, &request, &shared).map(Body::MerkleRoots))
        }
        Op::MerkleChildren(request) => {
            let mut doubt = |examine| drop(node.committer.submit(examine));
            answered(serve::merkle_children(&node.local, &request, &mut doubt).map(Body::MerkleChildren))
        }
        Op::FetchMany(request) => answered(serve::fetch_many(&node.local, &request).map(Body::FetchMany)),
        _ => refuse(Reason::Invalid, "not part of this network", Bytes::new()),
    }
}

async fn stored<O: Operation>(node: &Running, entered: &Entered, merge: O, done: Body) -> Body {
    let Ok(ticket) = node.committer.submit(merge) else {
        return refuse(Reason::Overloaded, "", Bytes::new());
    };
    match ticket.durable().await {
        Ok(_) => done,
        Err(OpError::NotHeld(_)) => refuse(Reason::NotHolder, "not held", entered.record.to_json().into()),
        Err(why) => refuse(Reason::Storage, why.to_string(), Bytes::new()),
    }
}

fn hint(target: &[u8]) -> Option<StandIn> {
    wire::node_id("hint_for", target).ok().map(|target| StandIn { target, since_ms: 1 })
}
