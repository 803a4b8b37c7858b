//! The called side of one stream: requests come, each is served on its own, answers go back many to a frame.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{Envelope, Frame, Request, Response, envelope, refusal, request::Op};
use dynamo_ring::NodeId;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Status;
use tracing::Instrument;

use super::lanes::Bounds;
use super::outbox::{Frames, Outbox, Post};
use super::parts::{Assembler, Came, WHOLE};
use super::room::{Held, Room};
use super::streams::Streams;
use super::voice::Voice;
use super::wire::Sender;
use crate::begun::Running;
use crate::spans;

/// Requests of one peer that are served at a time. More are not read from the stream: the peer's own bounds fill.
const SERVED: usize = 1024;
/// Of these, how many may be clients' requests that the peer forwards. They wait for other peers themselves, so they
/// are refused beyond this rather than left to fill the stream: two nodes that forward to each other would stand still.
const FORWARDED: usize = 512;
/// KiB of requests of one peer that are served at a time.
const SERVED_KIB: u32 = 96 << 10;

/// Who answers the requests of peers.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. `within` is what is left of the caller's time.
    fn handle(&self, from: Sender, request: Request, within: Duration) -> impl Future<Output = Body> + Send;
}

/// Serves one stream. It ends when the caller ends it, or goes.
pub fn exchange<H: Handler>(
    handler: Arc<H>,
    voice: Arc<Voice>,
    requests: impl Stream<Item = Result<Frame, Status>> + Send + 'static,
    streams: Streams,
    bounds: Bounds,
    room: Room,
) -> BoxStream<'static, Result<Frame, Status>> {
    let outbox = Arc::new(Outbox::new(bounds));
    let answers = Answers { outbox: Arc::clone(&outbox), room };
    let reader = tokio::spawn(read(handler, requests, streams, answers));
    let frames = stream::unfold((Frames::new(outbox, ()), voice), |(mut frames, voice)| async move {
        let envelopes = frames.next().await?;
        Some((Ok(Frame { sender: Some(voice.sender().message()), envelopes }), (frames, voice)))
    });
    Downward { frames: frames.boxed(), reader: reader.abort_handle() }.boxed()
}

/// The downward half. When the caller has gone, nothing more is read from it; what was begun is ended.
struct Downward {
    frames: BoxStream<'static, Result<Frame, Status>>,
    reader: tokio::task::AbortHandle,
}

impl Stream for Downward {
    type Item = Result<Frame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.poll_next_unpin(cx)
    }
}

impl Drop for Downward {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// An answer as it is sent. Its reader may have gone; then it throws the answer away.
impl Post for Envelope {
    type Readers = ();

    fn envelope(self) -> Option<Envelope> {
        Some(self)
    }

    fn is_wanted(_: u64, (): &()) -> bool {
        true
    }
}

/// The way of answers to the one who asked.
#[derive(Clone)]
struct Answers {
    outbox: Arc<Outbox<Envelope>>,
    /// For large requests that come, and large answers that wait.
    room: Room,
}

/// Closes the outbox however reading ends, so that nobody waits for room in it for ever.
struct Closing(Answers);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.outbox.close();
    }
}

async fn read<H: Handler>(
    handler: Arc<H>,
    requests: impl Stream<Item = Result<Frame, Status>> + Send,
    streams: Streams,
    answers: Answers,
) {
    tokio::pin!(requests);
    let closing = Closing(answers);
    let Closing(answers) = &closing;
    let bounds = Served::new();
    let greeted = Greeted { streams, name: Arc::default() };
    let mut coming = Assembler::default();
    while let Some(Ok(frame)) = requests.next().await {
        let Ok(from) = Sender::from_message(frame.sender.as_ref()) else { return };
        for Envelope { id, body } in frame.envelopes {
            let (request, held) = match body {
                Some(envelope::Body::Request(request)) => (request, None),
                Some(envelope::Body::Part(part)) => {
                    match coming.part(id, &part, |bytes| answers.room.take(bytes)) {
                        Ok(Came::Whole(bytes, held)) => match Request::decode(bytes) {
                            Ok(request) => (request, Some(held)),
                            Err(why) => return fault(&from, &why),
                        },
                        Ok(Came::NoRoom(bytes)) => {
                            tokio::spawn(answer(answers.clone(), id, no_room(bytes, &answers.room), None));
                            continue;
                        }
                        Ok(Came::More | Came::Nobody) => continue,
                        Err(why) => return fault(&from, &why),
                    }
                }
                Some(envelope::Body::Response(_)) | None => continue,
            };
            let Some((permits, refused)) = bounds.admit(&request, held).await else { return };
            let Some(taken) = greeted.take(&from, &request) else {
                tracing::debug!(node = %from.mark.node_id, "nothing more is taken from a stream that does not count");
                return;
            };
            let answers = answers.clone();
            if let Some(refused) = refused {
                tokio::spawn(answer(answers, id, refused, Some(permits)));
                continue;
            }
            let serving = serve(Arc::clone(&handler), from, request);
            let greeted = greeted.clone();
            tokio::spawn(async move {
                let body = serving.await;
                // What it changes has been handed to the store; the answer may wait for room.
                drop(taken);
                if let Some(body) = body {
                    answer(answers, id, greeted.name(&from, body), Some(permits)).await;
                }
            });
        }
    }
}

/// Only a fault of one of the two programs leads here. The stream ends, and a new one starts afresh.
fn fault(from: &Sender, why: &dyn std::fmt::Display) {
    tracing::warn!(node = %from.mark.node_id, %why, "a peer's stream makes no sense and is ended");
}

/// The bounds of what is served of one stream.
struct Served {
    slots: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    forwarded: Arc<Semaphore>,
}

impl Served {
    fn new() -> Self {
        let count = |n: usize| Arc::new(Semaphore::new(n));
        Self { slots: count(SERVED), kib: count(SERVED_KIB as usize), forwarded: count(FORWARDED) }
    }

    /// Waits until the request may be served; with a refusal if it may not. One that came in parts has its room already.
    async fn admit(&self, request: &Request, held: Option<Held>) -> Option<(Permits, Option<Body>)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let kib = if held.is_some() { 0 } else { request.encoded_len() >> 10 };
        let kib = u32::try_from(kib).unwrap_or(u32::MAX).min(SERVED_KIB);
        let bytes = Arc::clone(&self.kib).acquire_many_owned(kib).await.ok()?;
        let forward = match &request.op {
            Some(Op::ForwardGet(_) | Op::ForwardPut(_) | Op::ForwardDelete(_)) => {
                Some(Arc::clone(&self.forwarded).try_acquire_owned())
            }
            _ => None,
        };
        let refused = matches!(forward, Some(Err(_))).then(overloaded);
        let forward = forward.and_then(Result::ok);
        Some((Permits { _slot: slot, _bytes: bytes, _held: held, _forward: forward }, refused))
    }
}

/// Whose stream this is, once it has been greeted, and as which of theirs.
#[derive(Clone)]
struct Greeted {
    streams: Streams,
    name: Arc<OnceLock<(NodeId, u64)>>,
}

/// A request that was taken; it runs until this is dropped. Nothing for one that no barrier waits for.
struct Taken(#[allow(dead_code, reason = "held for its end")] Option<Running<NodeId>>);

impl Greeted {
    /// Takes a request, unless the stream was not greeted, or does not count any more. Barriers, and what waits for them,
    /// are not among what they wait for.
    fn take(&self, from: &Sender, request: &Request) -> Option<Taken> {
        if matches!(request.op, Some(Op::Hello(_))) {
            return Some(Taken(None));
        }
        let (node, stream) = self.name.get().copied().filter(|(node, _)| *node == from.mark.node_id)?;
        match request.op {
            Some(Op::ReapLook(_) | Op::ReapFinish(_) | Op::ReapBarrier(_) | Op::ReapKeys(_)) => {
                self.streams.is_current(node, stream).then_some(Taken(None))
            }
            _ => self.streams.begin(node, stream).map(|running| Taken(Some(running))),
        }
    }

    /// Gives the stream its number with the answer to its first greeting, before which nothing else comes on it.
    fn name(&self, from: &Sender, body: Body) -> Body {
        let Body::Hello(mut hello) = body else { return body };
        let node = from.mark.node_id;
        hello.stream = self.name.get_or_init(|| (node, self.streams.open(node))).1;
        Body::Hello(hello)
    }
}

/// What a request holds of its stream's bounds until its answer waits to be sent.
struct Permits {
    _slot: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
    _held: Option<Held>,
    _forward: Option<OwnedSemaphorePermit>,
}

/// Nothing when the caller's time is over: nobody waits for an answer, and a refusal would say that nothing was done.
async fn serve<H: Handler>(handler: Arc<H>, from: Sender, request: Request) -> Option<Body> {
    let within = Duration::from_millis(request.deadline_ms.into());
    let span = spans::answers(&request, from.mark.node_id);
    timeout(within, handler.handle(from, request, within)).instrument(span).await.ok()
}

async fn answer(answers: Answers, id: u64, body: Body, permits: Option<Permits>) {
    let response = Response { result: Some(body) };
    let bytes = response.encoded_len();
    // Large answers that wait are bounded together. Only reads have any, so a refusal is true: nothing was done.
    let (held, response, bytes) = match (bytes > WHOLE).then(|| answers.room.take(bytes)) {
        Some(None) => {
            let refused = Response { result: Some(no_room(bytes, &answers.room)) };
            let bytes = refused.encoded_len();
            (None, refused, bytes)
        }
        held => (held.flatten(), response, bytes),
    };
    let envelope = Envelope { id, body: Some(envelope::Body::Response(response)) };
    // A closed stream has nobody to answer to.
    let _ = answers.outbox.push_when_room(bytes, envelope).await;
    drop((held, permits));
}

fn no_room(bytes: usize, room: &Room) -> Body {
    let room = room.bytes();
    let message = format!(
        "a message of {bytes} bytes finds no room beside others ({room} bytes in all, --max-large-bytes); \
         try again, or another member"
    );
    refused(refusal::Reason::Overloaded, message)
}

fn overloaded() -> Body {
    refused(refusal::Reason::Overloaded, "too many forwarded requests; try another member, or later")
}

/// A refusal without a record.
pub fn refused(reason: refusal::Reason, message: impl Into<String>) -> Body {
    Body::Refused(dynamo_proto::v1::Refusal {
        reason: reason.into(),
        message: message.into(),
        record: bytes::Bytes::new(),
    })
}

#[cfg(test)]
mod tests {
    use dynamo_proto::v1::{HelloReply, HelloRequest, ReapBarrierRequest, StoreRequest};
    use futures::FutureExt;

    use super::*;
    use crate::store::PeerMark;
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
        assert_eq!(
            stream_of(&greeted.name(&from(1), Body::Hello(HelloReply::default()))),
            1,
            "greeted again"
        );

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
}
