//! Whole nodes without sockets and files, in one process: engines over disks in memory, and a network whose messages can
//! be held up on their way, and whose connections can break while messages are still under way.

#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynamo_node::api::replica::ReplicaService;
use dynamo_node::clock::Clock;
use dynamo_node::engine::{Engine, Ground, Settings};
use dynamo_node::entropy::Entropy;
use dynamo_node::peer::{ConnectError, Downward, PeerError, PullStream, Transport, Upward, Wire};
use dynamo_node::reap::ReapSettings;
use dynamo_node::store::{
    CommitThread, Committer, Identity, Limit, Limits, MemoryStore, QueueLimits, Read, Space,
};
use dynamo_node::version::ActorId;
use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{DeleteRequest, DeleteResponse, GetRequest, GetResponse, PutRequest, PutResponse};
use dynamo_proto::v1::{Frame, PullRequest, envelope};
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Request;

/// Between two passes of a reaper, and two rounds of anti-entropy.
pub const PASS: Duration = Duration::from_millis(30);

fn node_id(i: u8) -> NodeId {
    NodeId([i + 1; 16])
}

fn address(i: u8) -> String {
    format!("cart-{i}:7070")
}

/// The way from one member to another.
type Way = (u8, u8);

#[derive(Debug, Default)]
struct Ways {
    services: BTreeMap<String, (u8, ReplicaService)>,
    /// How often a way had been broken when it was held up: only connections made until then are.
    held: BTreeMap<Way, u64>,
    /// The same, from the first request to store something on.
    held_stores: BTreeMap<Way, u64>,
    /// How often each way was broken.
    broken: BTreeMap<Way, u64>,
}

impl Ways {
    fn broken(&self, from: u8, to: u8) -> u64 {
        self.broken.get(&(from, to)).copied().unwrap_or(0)
    }
}

/// The network.
#[derive(Debug, Clone)]
pub struct Net {
    ways: Arc<Mutex<Ways>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Default for Net {
    fn default() -> Self {
        Self { ways: Arc::default(), changed: Arc::new(watch::Sender::new(0)) }
    }
}

impl Net {
    fn change(&self, change: impl FnOnce(&mut Ways)) {
        change(&mut self.ways.lock().unwrap());
        self.changed.send_modify(|n| *n += 1);
    }

    /// Holds up whatever `from` sends to `to`, on connections that are open now. What is sent on a later one passes.
    pub fn hold(&self, from: u8, to: u8) {
        self.change(|ways| {
            let broken = ways.broken(from, to);
            ways.held.insert((from, to), broken);
        });
    }

    /// The same, but what comes before the first request to store something passes.
    pub fn hold_stores(&self, from: u8, to: u8) {
        self.change(|ways| {
            let broken = ways.broken(from, to);
            ways.held_stores.insert((from, to), broken);
        });
    }

    /// Lets through what was held up.
    pub fn release(&self, from: u8, to: u8) {
        self.change(|ways| {
            ways.held.remove(&(from, to));
            ways.held_stores.remove(&(from, to));
        });
    }

    /// The connections from `from` to `to` break, as `from` sees it. What is on its way stays on its way, and `to` has
    /// not noticed.
    pub fn break_off(&self, from: u8, to: u8) {
        self.change(|ways| *ways.broken.entry((from, to)).or_default() += 1);
    }

    async fn until(&self, done: impl Fn(&Ways) -> bool) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if done(&self.ways.lock().unwrap()) {
                return;
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Dials for one member.
#[derive(Debug)]
struct Dialler {
    net: Net,
    from: u8,
}

#[derive(Debug)]
struct Connection {
    net: Net,
    way: Way,
    service: ReplicaService,
    /// How often this way had been broken when the connection was made.
    born: u64,
}

impl Transport for Dialler {
    fn connect(&self, address: &str) -> BoxFuture<'static, Result<Arc<dyn Wire>, ConnectError>> {
        let ways = self.net.ways.lock().unwrap();
        let found = ways.services.get(address).cloned();
        let connection = found.map(|(to, service)| {
            let way = (self.from, to);
            let born = ways.broken(self.from, to);
            Arc::new(Connection { net: self.net.clone(), way, service, born }) as Arc<dyn Wire>
        });
        let connection = connection.ok_or_else(|| ConnectError::Refused("nobody is there".to_owned()));
        async move { connection }.boxed()
    }
}

impl Wire for Connection {
    fn exchange(&self, mut frames: Upward) -> BoxFuture<'static, Result<Downward, tonic::Status>> {
        let (net, way, born) = (self.net.clone(), self.way, self.born);
        let (up, upward) = mpsc::unbounded_channel();
        let (down, downward) = mpsc::unbounded_channel();
        let mut answers = self.service.frames(UnboundedReceiverStream::new(upward));
        let gate = net.clone();
        tokio::spawn(async move {
            while let Some(frame) = frames.next().await {
                let stores = stores(&frame);
                gate.until(|ways| {
                    let free = |held: Option<&u64>| held.is_none_or(|held| born > *held);
                    free(ways.held.get(&way)) && (!stores || free(ways.held_stores.get(&way)))
                })
                .await;
                if up.send(Ok(frame)).is_err() {
                    return;
                }
            }
            // The end of a broken stream has not arrived either.
            std::future::pending::<()>().await;
        });
        tokio::spawn(async move {
            while let Some(answer) = answers.next().await {
                // The caller may have gone; this side has not noticed.
                let _ = down.send(answer);
            }
        });
        let broken = async move {
            net.until(|ways| ways.broken(way.0, way.1) > born).await;
        };
        let downward = UnboundedReceiverStream::new(downward).take_until(broken.boxed());
        async move { Ok(downward.boxed()) }.boxed()
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'static, Result<PullStream, PeerError>> {
        let entries = self.service.entries(&request);
        async move { entries.map_err(|status| PeerError::Strange(status.message().to_owned())) }.boxed()
    }
}

/// Whether a frame has a request to store something.
fn stores(frame: &Frame) -> bool {
    frame.envelopes.iter().any(|envelope| match &envelope.body {
        Some(envelope::Body::Request(request)) => matches!(request.op, Some(Op::Store(_) | Op::StoreMany(_))),
        _ => false,
    })
}

/// A clock that is set by hand, ahead of the epoch by so many ms.
#[derive(Debug, Clone)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    pub fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One member.
pub struct Machine {
    pub engine: Engine,
    pub store: MemoryStore,
    pub clock: Hand,
    pub committer: Committer,
    thread: CommitThread,
}

/// Some members that a layout names.
pub struct Engines {
    pub net: Net,
    pub machines: Vec<Option<Machine>>,
    pub record: Record,
    disks: Vec<(MemoryStore, Hand)>,
    settings: Settings,
}

impl Engines {
    /// So many members, serving.
    pub async fn form(count: u8) -> Self {
        Self::form_with(count, Settings { anti_entropy_interval: PASS, ..Settings::default() }).await
    }

    /// The same with settings, but that rounds of reaping are begun all the time.
    pub async fn form_with(count: u8, settings: Settings) -> Self {
        let reap = ReapSettings { interval: PASS, ..ReapSettings::default() };
        let settings = Settings { reap, ..settings };
        let member = |i| Member {
            name: format!("cart-{i}"),
            node_id: node_id(i),
            zone: String::new(),
            address: address(i),
        };
        let members: Vec<Member> = (0..count).map(member).collect();
        let cluster = ClusterId([7; 16]);
        let layout = plan::first(&members, Partitions::new(16).unwrap(), 3, cluster).unwrap();
        let record = Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap();
        let disk = |_| (MemoryStore::new(), Hand(Arc::new(AtomicU64::new(1_000_000))));
        let disks = (0..count).map(disk).collect();
        let machines = (0..count).map(|_| None).collect();
        let mut engines = Self { net: Net::default(), machines, record, disks, settings };
        for i in 0..count {
            engines.start(i).await;
        }
        for i in 0..count {
            engines.engine(i).layouts.take(engines.record.clone()).await.unwrap();
            engines.engine(i).layouts.acked().await.unwrap();
        }
        engines.all_up().await;
        engines
    }

    /// Starts a member over its disk.
    pub async fn start(&mut self, i: u8) {
        let (store, clock) = self.disks[usize::from(i)].clone();
        let fresh = Identity { node_id: node_id(i), actor: ActorId(u64::from(i) + 1), cluster_id: None };
        let identity = Identity::establish(&store, fresh).unwrap();
        let disk = Arc::new(store.clone());
        let (committer, thread) =
            Committer::start(Arc::<MemoryStore>::clone(&disk), Limits::default(), QueueLimits::default())
                .unwrap();
        let ground = Ground {
            name: format!("cart-{i}"),
            store: disk,
            committer: committer.clone(),
            identity,
            was_clean: false,
            transport: Arc::new(Dialler { net: self.net.clone(), from: i }),
            clock: Arc::new(clock.clone()),
            entropy: Entropy::seeded(u64::from(i) + 17),
        };
        let mut engine = Engine::build(ground, self.settings).unwrap();
        let service = engine.replica.clone();
        self.net.change(|ways| {
            ways.services.insert(address(i), (i, service));
        });
        engine.start().await.unwrap();
        self.machines[usize::from(i)] = Some(Machine { engine, store, clock, committer, thread });
    }

    /// Ends a member. Its disk stays.
    pub async fn stop(&mut self, i: u8) {
        let Machine { mut engine, thread, .. } = self.machines[usize::from(i)].take().unwrap();
        self.net.change(|ways| {
            ways.services.remove(&address(i));
        });
        for from in 0..self.disks.len() {
            self.net.break_off(u8::try_from(from).unwrap(), i);
        }
        engine.close().await;
        drop(engine);
        thread.stop().unwrap();
    }

    pub fn machine(&self, i: u8) -> &Machine {
        self.machines[usize::from(i)].as_ref().unwrap()
    }

    pub fn engine(&self, i: u8) -> &Engine {
        &self.machine(i).engine
    }

    fn running(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().flatten()
    }

    /// Waits until every member sees every other.
    pub async fn all_up(&self) {
        let others = self.running().count() - 1;
        eventually("every member sees every other", async || {
            self.running().all(|machine| figure(&machine.engine, "peers_up") == others as u64)
        })
        .await;
    }

    pub async fn put(&self, i: u8, request: PutRequest) -> PutResponse {
        self.engine(i).kv.put(Request::new(request)).await.unwrap().into_inner()
    }

    pub async fn get(&self, i: u8, key: &str) -> GetResponse {
        let request = GetRequest { key: key.to_owned().into(), ..GetRequest::default() };
        self.engine(i).kv.get(Request::new(request)).await.unwrap().into_inner()
    }

    /// Deletes all that is there of a key.
    pub async fn delete(&self, i: u8, key: &str) -> DeleteResponse {
        let context = self.get(i, key).await.context;
        let request = DeleteRequest { key: key.to_owned().into(), context, ..DeleteRequest::default() };
        self.engine(i).kv.delete(Request::new(request)).await.unwrap().into_inner()
    }

    /// What all members have in a space, one after another.
    pub fn rows(&self, space: Space) -> Vec<usize> {
        let all = |machine: &Machine| {
            machine
                .store
                .range(space, Bound::Unbounded, Bound::Unbounded, Limit::rows(usize::MAX))
                .unwrap()
                .len()
        };
        self.running().map(all).collect()
    }

    /// Whether nothing is left of any key at any member: no state, no birth mark, no Merkle node, no note of what passes.
    pub fn is_bare(&self) -> bool {
        [Space::Data, Space::Birth, Space::Merkle, Space::Passing]
            .into_iter()
            .all(|space| self.rows(space).iter().all(|rows| *rows == 0))
    }
}

/// A figure of a node; 0 if it does not show it.
pub fn figure(engine: &Engine, name: &str) -> u64 {
    let text = engine.metrics.text().unwrap();
    let wanted = format!("dynamo_{name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&wanted));
    line.map_or(0, |number| number.parse().unwrap())
}

pub fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() }
}

/// Waits for a condition that has to come true by itself.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !holds().await {
        assert!(Instant::now() < until, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
