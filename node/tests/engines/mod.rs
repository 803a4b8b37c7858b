//! Whole nodes without sockets and files, in one process: engines over disks in memory, and a network whose messages can
//! be held up on their way, and whose connections can break while messages are still under way.

#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

mod net;

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dynamo_node::clock::Clock;
use dynamo_node::engine::{Engine, Ground, Settings};
use dynamo_node::entropy::Entropy;
use dynamo_node::reap::ReapSettings;
use dynamo_node::store::directory::count_start;
use dynamo_node::store::{
    CommitThread, Committer, Identity, Limit, Limits, MemoryStore, QueueLimits, Read, Space,
};
use dynamo_node::version::ActorId;
use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::{DeleteRequest, DeleteResponse, GetRequest, GetResponse, PutRequest, PutResponse};
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};
use tokio::time::{Instant, sleep};
use tonic::Request;

use net::Dialler;
pub use net::Net;

/// Between two passes of a reaper, and two rounds of anti-entropy.
pub const PASS: Duration = Duration::from_millis(30);

fn node_id(i: u8) -> NodeId {
    NodeId([i + 1; 16])
}

fn address(i: u8) -> String {
    format!("cart-{i}:7070")
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
            weight: 1,
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
            process: count_start(&store).unwrap(),
            addresses: Vec::new(),
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
        self.end(i).await.stop().unwrap();
    }

    /// Ends a member whose disk has failed, or loses what was not synced of one whose disk has not.
    pub async fn lose(&mut self, i: u8) {
        // Whatever it says: what counts is on the disk.
        drop(self.end(i).await.stop());
        self.disks[usize::from(i)].0.crash();
    }

    async fn end(&mut self, i: u8) -> CommitThread {
        let Machine { mut engine, thread, .. } = self.machines[usize::from(i)].take().unwrap();
        self.net.change(|ways| {
            ways.services.remove(&address(i));
        });
        for from in 0..self.disks.len() {
            self.net.break_off(u8::try_from(from).unwrap(), i);
        }
        engine.close().await;
        drop(engine);
        thread
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
