//! Two replicas of so many keys (a million, unless told otherwise) that differ in one: one round of anti-entropy finds and
//! repairs it. Prints the bytes of all messages, encoded, and the time that it took, and fails beyond 8 KiB.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dynamo_node::layout::Layouts;
use dynamo_node::pace::Pace;
use dynamo_node::peer::{Network, PeerError, PullStream, wire};
use dynamo_node::repair::{AntiEntropy, INTERVAL, RepairMetrics, rota};
use dynamo_node::store::{
    CommitThread, Committer, DataKey, Identity, Limits, Local, MemoryStore, MergeMany, Put, QueueLimits,
};
use dynamo_node::transfer::{Exchange, serve};
use dynamo_node::version::{ActorId, VersionVector};
use dynamo_node::worker::Worker;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{PullRequest, Request, Response};
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};
use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message;
use tokio::sync::watch;

/// The most that one difference may cost on the wire.
const BYTES: usize = 8 << 10;
/// The time that it should take, and does on a machine of these years.
const WORK: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keys = std::env::args().nth(1).map_or(Ok(1_000_000), |keys| keys.parse())?;
    let members: Vec<Member> = [1, 2].map(member).to_vec();
    let layout = plan::first(&members, Partitions::new(256)?, 2, ClusterId([7; 16]))?;
    let record = Record::first(layout, Quorum { n: 2, r: 1, w: 2 })?;
    let (ours, theirs) = (Machine::start(1, &record).await?, Machine::start(2, &record).await?);

    // One state for all keys is enough: a leaf is the hash over key and state.
    let state = theirs.put("key-0", "the same at both").await?;
    tokio::try_join!(ours.fill(keys, &state), theirs.fill(keys, &state))?;
    let odd = format!("key-{}", keys / 2);
    let newer = theirs.put(&odd, "only at one").await?;

    let line = Arc::new(Line::default());
    let exchange = Exchange {
        network: Arc::new(Way { to: theirs.clone(), from: member(1).node_id, line: Arc::clone(&line) }),
        local: ours.local.clone(),
        committer: ours.committer.clone(),
        layouts: ours.layouts.clone(),
    };
    let mut worker = AntiEntropy::new(exchange, Pace::unbound(), RepairMetrics::default(), INTERVAL);
    let begun = Instant::now();
    worker.turn().await;
    let took = begun.elapsed();
    let (bytes, trips) = line.read();
    if ours.local.encoded(odd.as_bytes())? != Some(newer) {
        return Err("the difference was not found".into());
    }
    println!("one difference among {keys} keys: {bytes} bytes in {trips} round trips, {took:?}");
    worker.turn().await;
    let (idle, trips) = line.read();
    println!("no difference: {idle} bytes in {trips} round trip");
    if took > WORK {
        println!("that is more than {WORK:?}: a slow machine, or a fault");
    }
    if bytes >= BYTES {
        return Err(format!("{bytes} bytes are more than {BYTES}").into());
    }
    Ok(())
}

fn member(i: u8) -> Member {
    Member {
        name: format!("cart-{i}"),
        node_id: NodeId([i; 16]),
        zone: String::new(),
        address: format!("cart-{i}:7070"),
        weight: 1,
    }
}

/// One member.
#[derive(Clone)]
struct Machine {
    local: Local,
    committer: Committer,
    layouts: Layouts,
    _thread: Arc<CommitThread>,
}

impl Machine {
    async fn start(i: u8, record: &Record) -> Result<Self, Box<dyn Error>> {
        let store = Arc::new(MemoryStore::new());
        let node_id = member(i).node_id;
        Identity::establish(&*store, Identity { node_id, actor: ActorId(i.into()), cluster_id: None })?;
        let (committer, thread) =
            Committer::start(Arc::<MemoryStore>::clone(&store), Limits::default(), QueueLimits::default())?;
        let local = Local::new(store);
        let (layouts, keeper) = Layouts::open(local.clone(), committer.clone(), node_id)?;
        tokio::spawn(keeper.run());
        layouts.take(record.clone()).await?;
        layouts.acked().await;
        Ok(Self { local, committer, layouts, _thread: Arc::new(thread) })
    }

    /// Writes a key, and returns its state.
    async fn put(&self, key: &str, value: &str) -> Result<Bytes, Box<dyn Error>> {
        let put = Put {
            key: Bytes::copy_from_slice(key.as_bytes()),
            context: VersionVector::new(),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            write_id: None,
            now_ms: 1,
            expires_at_ms: None,
            hint: None,
        };
        self.committer.submit(put)?.durable().await?;
        Ok(self.local.encoded(key.as_bytes())?.unwrap_or_default())
    }

    async fn fill(&self, keys: u32, state: &Bytes) -> Result<(), Box<dyn Error>> {
        for first in (0..keys).step_by(4096) {
            let some = first..keys.min(first + 4096);
            let entry = |n| DataKey::of(format!("key-{n}").as_bytes()).map(|key| (key, state.clone()));
            let entries = some.map(entry).collect::<Result<_, _>>()?;
            self.committer.submit(MergeMany { entries, hint: None, from: None })?.durable().await?;
        }
        Ok(())
    }
}

/// What went over the wire.
#[derive(Debug, Default)]
struct Line {
    bytes: AtomicUsize,
    trips: AtomicUsize,
}

impl Line {
    fn read(&self) -> (usize, usize) {
        (self.bytes.swap(0, Ordering::Relaxed), self.trips.swap(0, Ordering::Relaxed))
    }

    fn carry<M: Message + Default>(&self, message: &M) -> Result<M, PeerError> {
        let bytes = message.encode_to_vec();
        self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        M::decode(&bytes[..]).map_err(|why| PeerError::Strange(why.to_string()))
    }
}

/// The way to the other member: every message is encoded, counted and decoded.
struct Way {
    to: Machine,
    from: NodeId,
    line: Arc<Line>,
}

impl Way {
    fn answer(&self, op: Op, stamp: SenderStamp) -> Result<Body, PeerError> {
        self.line.trips.fetch_add(1, Ordering::Relaxed);
        let request = Request {
            stamp: Some(wire::stamp_message(stamp)),
            deadline_ms: 10_000,
            op: Some(op),
            ..Request::default()
        };
        let local = &self.to.local;
        let refused = |why: dynamo_proto::v1::Refusal| PeerError::Strange(why.message);
        let result = match self.line.carry(&request)?.op {
            Some(Op::MerkleRoots(roots)) => {
                let standing = self.to.layouts.current();
                let shared = standing.and_then(|standing| rota::shared(&standing).remove(&self.from));
                let roots = serve::merkle_roots(local, &roots, &shared.unwrap_or_default());
                Body::MerkleRoots(roots.map_err(refused)?)
            }
            Some(Op::MerkleChildren(children)) => {
                let nodes = serve::merkle_children(local, &children, &mut |_| {});
                Body::MerkleChildren(nodes.map_err(refused)?)
            }
            Some(Op::FetchMany(many)) => Body::FetchMany(serve::fetch_many(local, &many).map_err(refused)?),
            other => return Err(PeerError::Strange(format!("{other:?} is not needed to find a difference"))),
        };
        let response = self.line.carry(&Response { result: Some(result) })?;
        response.result.ok_or_else(|| PeerError::Strange("no answer".to_owned()))
    }
}

impl Network for Way {
    fn call(
        &self,
        _: NodeId,
        op: Op,
        stamp: SenderStamp,
        _: Duration,
    ) -> BoxFuture<'_, Result<Body, PeerError>> {
        async move { self.answer(op, stamp) }.boxed()
    }

    fn pull(&self, to: NodeId, _: PullRequest) -> BoxFuture<'_, Result<PullStream, PeerError>> {
        async move { Err(PeerError::Down(to)) }.boxed()
    }

    fn is_up(&self, _: NodeId) -> bool {
        true
    }

    fn watch_up(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }
}
