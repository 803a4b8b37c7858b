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

use super::outbox::{Bounds, Outbox};
use super::streams::Streams;
use super::voice::Voice;
use super::wire::Sender;
use crate::begun::Running;

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
) -> BoxStream<'static, Result<Frame, Status>> {
    let outbox = Arc::new(Outbox::new(bounds));
    let reader = tokio::spawn(read(handler, requests, streams, Arc::clone(&outbox)));
    let frames = stream::unfold((outbox, voice), |(outbox, voice)| async move {
        let envelopes = outbox.frame().await?;
        Some((Ok(Frame { sender: Some(voice.sender().message()), envelopes }), (outbox, voice)))
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

/// Closes the outbox however reading ends, so that nobody waits for room in it for ever.
struct Closing(Arc<Outbox<Envelope>>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn read<H: Handler>(
    handler: Arc<H>,
    requests: impl Stream<Item = Result<Frame, Status>> + Send,
    streams: Streams,
    outbox: Arc<Outbox<Envelope>>,
) {
    tokio::pin!(requests);
    let outbox = Closing(outbox);
    let served = Arc::new(Semaphore::new(SERVED));
    let served_kib = Arc::new(Semaphore::new(SERVED_KIB as usize));
    let forwarded = Arc::new(Semaphore::new(FORWARDED));
    let greeted = Greeted { streams, name: Arc::default() };
    while let Some(Ok(frame)) = requests.next().await {
        let Ok(from) = Sender::from_message(frame.sender.as_ref()) else { return };
        for envelope in frame.envelopes {
            let Some(envelope::Body::Request(request)) = envelope.body else { continue };
            let forward = match &request.op {
                Some(Op::ForwardGet(_) | Op::ForwardPut(_) | Op::ForwardDelete(_)) => {
                    Some(Arc::clone(&forwarded).try_acquire_owned())
                }
                _ => None,
            };
            let kib = u32::try_from(request.encoded_len() >> 10).unwrap_or(u32::MAX).min(SERVED_KIB);
            let Ok(slot) = Arc::clone(&served).acquire_owned().await else { return };
            let Ok(bytes) = Arc::clone(&served_kib).acquire_many_owned(kib).await else { return };
            let permits = Permits { _slot: slot, _bytes: bytes, _forward: None };
            let outbox = Arc::clone(&outbox.0);
            let Some(taken) = greeted.take(&from, &request) else {
                tracing::debug!(node = %from.mark.node_id, "nothing more is taken from a stream that does not count");
                return;
            };
            match forward {
                Some(Err(_)) => {
                    tokio::spawn(answer(outbox, envelope.id, overloaded(), permits));
                }
                forward => {
                    let permits = Permits { _forward: forward.and_then(Result::ok), ..permits };
                    let serving = serve(Arc::clone(&handler), from, request);
                    let greeted = greeted.clone();
                    tokio::spawn(async move {
                        let body = serving.await;
                        // What it changes has been handed to the store; the answer may wait for room.
                        drop(taken);
                        if let Some(body) = body {
                            answer(outbox, envelope.id, greeted.name(&from, body), permits).await;
                        }
                    });
                }
            }
        }
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
    _forward: Option<OwnedSemaphorePermit>,
}

/// Nothing when the caller's time is over: nobody waits for an answer, and a refusal would say that nothing was done.
async fn serve<H: Handler>(handler: Arc<H>, from: Sender, request: Request) -> Option<Body> {
    let within = Duration::from_millis(request.deadline_ms.into());
    timeout(within, handler.handle(from, request, within)).await.ok()
}

async fn answer(outbox: Arc<Outbox<Envelope>>, id: u64, body: Body, _permits: Permits) {
    let response = Response { result: Some(body) };
    let bytes = response.encoded_len();
    let envelope = Envelope { id, body: Some(envelope::Body::Response(response)) };
    // A closed stream has nobody to answer to.
    let _ = outbox.push_when_room(bytes, envelope).await;
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
