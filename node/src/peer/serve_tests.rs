//! What is taken of a peer's stream, and what of it is held.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dynamo_proto::v1::{
    FetchReply, FetchRequest, HelloReply, HelloRequest, ReapBarrierRequest, StoreRequest, refusal,
};
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;
use crate::entropy::Entropy;
use crate::layout::Layouts;
use crate::store::{Committer, Identity, Limits, Local, MemoryStore, PeerMark, QueueLimits};
use crate::version::ActorId;

fn from(n: u8) -> Sender {
    let mark = PeerMark { node_id: NodeId([n; 16]), actor: ActorId(1), commit: 0, synced: 0 };
    Sender { cluster_id: None, mark }
}

fn request(op: Op) -> Request {
    Request { op: Some(op), ..Request::default() }
}

fn stream_of(body: &Body) -> u64 {
    let Body::Hello(hello) = body else { panic!("{body:?}") };
    hello.stream
}

#[tokio::test]
async fn a_barrier_waits_for_what_was_read_before_it_and_for_no_other_barrier() {
    let (hello, store) =
        (request(Op::Hello(HelloRequest::default())), request(Op::Store(StoreRequest::default())));
    let barrier = request(Op::ReapBarrier(ReapBarrierRequest::default()));
    let greeted = Greeted { streams: Streams::default(), name: Arc::default() };
    assert!(greeted.take(&from(1), &store).is_none(), "it has not greeted");
    assert!(greeted.take(&from(1), &hello).is_some());
    let answer = greeted.name(&from(1), Body::Hello(HelloReply::default()));
    assert_eq!(stream_of(&answer), 1);
    assert_eq!(stream_of(&greeted.name(&from(1), Body::Hello(HelloReply::default()))), 1, "greeted again");

    let running = greeted.take(&from(1), &store).unwrap();
    assert!(running.0.is_some() && greeted.take(&from(2), &store).is_none(), "a stream is one member's");
    assert!(matches!(greeted.take(&from(1), &barrier), Some(Taken(None))));
    assert!(greeted.streams.ended(from(1).mark.node_id).now_or_never().is_none());
    drop(running);
    assert!(greeted.streams.ended(from(1).mark.node_id).now_or_never().is_some());

    let next = Greeted { name: Arc::default(), ..greeted.clone() };
    assert_eq!(stream_of(&next.name(&from(1), Body::Hello(HelloReply::default()))), 2);
    for op in [&store, &barrier] {
        assert!(greeted.take(&from(1), op).is_none(), "the old stream is void");
        assert!(next.take(&from(1), op).is_some());
    }
    assert!(greeted.take(&from(1), &hello).is_some(), "a greeting does no harm");
}

/// Answers each fetch with so many bytes, and never ends a store.
struct Scripted {
    bytes: usize,
    fetched: AtomicUsize,
    stored: AtomicUsize,
}

impl Handler for Scripted {
    async fn handle(&self, _: Sender, request: Request, _: Duration) -> Body {
        match request.op {
            Some(Op::Hello(_)) => Body::Hello(HelloReply::default()),
            Some(Op::Fetch(_)) => {
                self.fetched.fetch_add(1, Ordering::Relaxed);
                Body::Fetch(FetchReply { state: vec![7; self.bytes].into(), hash: Bytes::new() })
            }
            _ => {
                self.stored.fetch_add(1, Ordering::Relaxed);
                std::future::pending().await
            }
        }
    }
}

/// What this node says of itself.
fn voice() -> Voice {
    let store = Arc::new(MemoryStore::new());
    let identity = Identity::establish(&*store, Identity::drawn(&Entropy::from_os())).unwrap();
    let (limits, queue) = (Limits::default(), QueueLimits::default());
    let (committer, _) = Committer::manual(Arc::clone(&store) as _, limits, queue).unwrap();
    let (layouts, _) = Layouts::open(Local::new(store), committer.clone(), identity.node_id).unwrap();
    Voice::new("cart-0".to_owned(), identity.node_id, identity.actor, committer, layouts)
}

/// One peer's stream: requests go in, frames come out.
struct Caller {
    requests: mpsc::UnboundedSender<Result<Frame, Status>>,
    answers: BoxStream<'static, Result<Frame, Status>>,
    me: Sender,
    next: u64,
}

impl Caller {
    async fn greeted(handler: &Arc<Scripted>, n: u8, within: Within) -> Self {
        let (requests, frames) = mpsc::unbounded_channel();
        let voice = Arc::new(voice());
        let frames = UnboundedReceiverStream::new(frames);
        let answers = exchange(Arc::clone(handler), voice, frames, Streams::default(), within);
        let mut caller = Self { requests, answers, me: from(n), next: 0 };
        caller.ask(Op::Hello(HelloRequest::default()), 10_000);
        assert!(matches!(caller.answer().await[..], [(0, Body::Hello(_))]));
        caller
    }

    fn ask(&mut self, op: Op, deadline_ms: u32) {
        let request = Request { op: Some(op), deadline_ms, ..Request::default() };
        let envelope = Envelope { id: self.next, body: Some(envelope::Body::Request(request)) };
        self.next += 1;
        let frame = Frame { sender: Some(self.me.message()), envelopes: vec![envelope] };
        self.requests.send(Ok(frame)).unwrap();
    }

    /// The answers of the next frame.
    async fn answer(&mut self) -> Vec<(u64, Body)> {
        let frame = self.answers.next().await.unwrap().unwrap();
        let answer = |envelope: Envelope| match envelope.body {
            Some(envelope::Body::Response(response)) => (envelope.id, response.result.unwrap()),
            other => panic!("{other:?}"),
        };
        frame.envelopes.into_iter().map(answer).collect()
    }
}

fn within(share: ShareLimits, waiting_bytes: usize) -> Within {
    Within { bounds: Bounds { waiting_bytes, ..Bounds::default() }, share, room: Room::new(1 << 20) }
}

fn fetch() -> Op {
    Op::Fetch(FetchRequest::default())
}

fn scripted(bytes: usize) -> Arc<Scripted> {
    Arc::new(Scripted { bytes, fetched: AtomicUsize::new(0), stored: AtomicUsize::new(0) })
}

#[tokio::test(start_paused = true)]
async fn more_than_a_peers_share_is_refused_at_once_and_not_begun() {
    let handler = scripted(1);
    let limits = ShareLimits { requests: 3, ..ShareLimits::default() };
    let mut caller = Caller::greeted(&handler, 1, within(limits, 1 << 20)).await;
    for _ in 0..5 {
        caller.ask(Op::Store(StoreRequest::default()), 10_000);
    }
    let mut refused = Vec::new();
    while refused.len() < 2 {
        refused.extend(caller.answer().await);
    }
    for (id, body) in refused {
        let Body::Refused(refusal) = body else { panic!("{body:?}") };
        assert_eq!(refusal.reason(), refusal::Reason::Overloaded);
        assert!(id > 3 && refusal.message.contains("--peer-requests"), "{id}: {}", refusal.message);
    }
    assert_eq!(handler.stored.load(Ordering::Relaxed), 3);
    // Nobody waits for them any longer: their places are free.
    tokio::time::sleep(Duration::from_secs(11)).await;
    caller.ask(fetch(), 10_000);
    assert!(matches!(caller.answer().await[..], [(6, Body::Fetch(_))]));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_holds_no_more_than_its_share_and_nothing_of_others() {
    const EACH: usize = 100 << 10;
    let handler = scripted(EACH);
    let limits = ShareLimits { bytes: 10 * EACH, ..ShareLimits::default() };
    let within = within(limits, 4 * EACH);
    let mut stuck = Caller::greeted(&handler, 1, within.clone()).await;
    let mut other = Caller::greeted(&handler, 2, within).await;
    for _ in 0..1000 {
        stuck.ask(fetch(), 10_000);
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
        other.ask(fetch(), 10_000);
        assert!(matches!(&other.answer().await[..], [(_, Body::Fetch(_))]), "it is held up by another");
    }
    // 4 wait in its box, 9 beside it: all that is held of the 1000.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..3 {
        for (_, body) in stuck.answer().await {
            match body {
                Body::Fetch(_) => answered += 1,
                Body::Refused(_) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(answered <= 14 && answered + refused < 1000, "{answered} answers were held, {refused} refusals");

    // What nobody waits for any longer is let go, and it is served as before once it reads.
    tokio::time::sleep(Duration::from_mins(1)).await;
    let last = loop {
        stuck.ask(fetch(), 10_000);
        let asked = stuck.next - 1;
        let answers = stuck.answer().await;
        if answers.iter().any(|(id, body)| *id == asked && matches!(body, Body::Fetch(_))) {
            break asked;
        }
    };
    assert!(last > 1000);
}
