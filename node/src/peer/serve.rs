//! The called side of one stream: requests come, each is served on its own, answers go back many to a frame.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{Envelope, Frame, Request, Response, envelope, refusal, request::Op};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Status;

use super::outbox::{Bounds, Outbox};
use super::voice::Voice;
use super::wire::Sender;

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
    bounds: Bounds,
) -> BoxStream<'static, Result<Frame, Status>> {
    let outbox = Arc::new(Outbox::new(bounds));
    let reader = tokio::spawn(read(handler, requests, Arc::clone(&outbox)));
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
    outbox: Arc<Outbox<Envelope>>,
) {
    tokio::pin!(requests);
    let outbox = Closing(outbox);
    let served = Arc::new(Semaphore::new(SERVED));
    let served_kib = Arc::new(Semaphore::new(SERVED_KIB as usize));
    let forwarded = Arc::new(Semaphore::new(FORWARDED));
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
            match forward {
                Some(Err(_)) => {
                    tokio::spawn(answer(outbox, envelope.id, overloaded(), permits));
                }
                forward => {
                    let permits = Permits { _forward: forward.and_then(Result::ok), ..permits };
                    let serving = serve(Arc::clone(&handler), from, request);
                    tokio::spawn(async move {
                        if let Some(body) = serving.await {
                            answer(outbox, envelope.id, body, permits).await;
                        }
                    });
                }
            }
        }
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
