//! The called side of one stream: requests come, each is served on its own, answers go back many to a frame.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{Envelope, Frame, Request, Response, envelope, request::Op};
use dynamo_ring::NodeId;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use prost::Message;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;
use tracing::Instrument;

use super::answer::overloaded;
use super::lanes::Bounds;
use super::outbox::{Frames, Outbox, Post};
use super::parts::{Assembler, Came, WHOLE};
use super::room::{Held, Room};
use super::share::{Answering, Permits, Share, ShareLimits};
use super::streams::Streams;
use super::voice::Voice;
use super::wire::Sender;
use crate::begun::Running;
use crate::spans;

/// Who answers the requests of peers.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. `within` is what is left of the caller's time.
    fn handle(&self, from: Sender, request: Request, within: Duration) -> impl Future<Output = Body> + Send;
}

/// What bounds the service of one stream.
#[derive(Debug, Clone)]
pub struct Within {
    /// Of answers that wait to be sent.
    pub bounds: Bounds,
    /// Of requests in service.
    pub share: ShareLimits,
    /// For large messages, of all streams together.
    pub room: Room,
}

/// Serves one stream. It ends when the caller ends it, or goes.
pub fn exchange<H: Handler>(
    handler: Arc<H>,
    voice: Arc<Voice>,
    requests: impl Stream<Item = Result<Frame, Status>> + Send + 'static,
    streams: Streams,
    within: Within,
) -> BoxStream<'static, Result<Frame, Status>> {
    let Within { bounds, share, room } = within;
    let outbox = Arc::new(Outbox::new(bounds));
    let answers = Answers { outbox: Arc::clone(&outbox), share: Arc::new(Share::new(share)), room };
    let greeted = Greeted { streams, name: Arc::default() };
    let name = Arc::clone(&greeted.name);
    let reader = tokio::spawn(read(handler, requests, greeted, answers));
    let frames = (Frames::new(outbox, ()), voice, name);
    let frames = stream::unfold(frames, |(mut frames, voice, name)| async move {
        let envelopes = frames.next().await?;
        let sender = voice.to(name.get().map(|(peer, _)| *peer)).message();
        Some((Ok(Frame { sender: Some(sender), envelopes }), (frames, voice, name)))
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

/// How long a peer that reads no answers may hold up the reading of its own requests, for a refusal.
const REFUSING: Duration = Duration::from_secs(1);

/// The way of answers to the one who asked.
#[derive(Clone)]
struct Answers {
    outbox: Arc<Outbox<Envelope>>,
    share: Arc<Share>,
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
    greeted: Greeted,
    answers: Answers,
) {
    tokio::pin!(requests);
    let closing = Closing(answers);
    let Closing(answers) = &closing;
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
                            // Waited for: a peer that reads no answers has no more of its requests read.
                            answers.send(id, no_room(bytes, &answers.room), None, refusing()).await;
                            continue;
                        }
                        Ok(Came::More | Came::Nobody) => continue,
                        Err(why) => return fault(&from, &why),
                    }
                }
                Some(envelope::Body::Response(_)) | None => continue,
            };
            let admitted = answers.share.admit(&request, held);
            let Some(taken) = greeted.take(&from, &request) else {
                tracing::debug!(node = %from.mark.node_id, "nothing more is taken from a stream that does not count");
                return;
            };
            let permits = match admitted {
                Ok(permits) => permits,
                Err(refused) => {
                    answers.send(id, refused, None, refusing()).await;
                    continue;
                }
            };
            let answers = answers.clone();
            let until = Instant::now() + Duration::from_millis(request.deadline_ms.into());
            let serving = serve(Arc::clone(&handler), from, request);
            let greeted = greeted.clone();
            tokio::spawn(async move {
                let body = serving.await;
                // What it changes has been handed to the store; the answer may wait for room.
                drop(taken);
                if let Some(body) = body {
                    answers.send(id, greeted.name(&from, body), Some(permits), until).await;
                }
            });
        }
    }
}

fn refusing() -> Instant {
    Instant::now() + REFUSING
}

/// Only a fault of one of the two programs leads here. The stream ends, and a new one starts afresh.
fn fault(from: &Sender, why: &dyn std::fmt::Display) {
    tracing::warn!(node = %from.mark.node_id, %why, "a peer's stream makes no sense and is ended");
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

/// Nothing when the caller's time is over: nobody waits for an answer, and a refusal would say that nothing was done.
async fn serve<H: Handler>(handler: Arc<H>, from: Sender, request: Request) -> Option<Body> {
    let within = Duration::from_millis(request.deadline_ms.into());
    let span = spans::answers(&request, from.mark.node_id);
    timeout(within, handler.handle(from, request, within)).instrument(span).await.ok()
}

/// What is read may be read again, so a refusal in the place of the answer is true: nothing was done.
const fn is_read(body: &Body) -> bool {
    matches!(
        body,
        Body::Fetch(_)
            | Body::FetchMany(_)
            | Body::ForwardGet(_)
            | Body::Layout(_)
            | Body::ListPartition(_)
            | Body::MerkleRoots(_)
            | Body::MerkleChildren(_)
    )
}

impl Answers {
    /// Sends an answer as soon as there is room for it, or not at all once nobody waits for it any more.
    async fn send(&self, id: u64, body: Body, permits: Option<Permits>, until: Instant) {
        let is_read = is_read(&body);
        let response = Response { result: Some(body) };
        let bytes = response.encoded_len();
        // What waits for room in the box is bounded by itself: the caller may read nothing.
        let waiting = if is_read { self.wait(bytes) } else { Ok(None) };
        let (waiting, response, bytes) = match waiting {
            Ok(waiting) => (waiting, response, bytes),
            Err(refused) => {
                let refused = Response { result: Some(refused) };
                let bytes = refused.encoded_len();
                (None, refused, bytes)
            }
        };
        let envelope = Envelope { id, body: Some(envelope::Body::Response(response)) };
        // A closed stream has nobody to answer to, and whose time is over has gone on.
        let _ = timeout_at(until, self.outbox.push_when_room(bytes, envelope)).await;
        drop((waiting, permits));
    }

    /// Leave for an answer of so many bytes to wait: out of the peer's share, and, if it is large, out of the room that
    /// all peers have together.
    fn wait(&self, bytes: usize) -> Result<Option<(Answering, Option<Held>)>, Body> {
        let share = self.share.answer(bytes)?;
        let held = (bytes > WHOLE).then(|| self.room.take(bytes).ok_or_else(|| no_room(bytes, &self.room)));
        Ok(Some((share, held.transpose()?)))
    }
}

fn no_room(bytes: usize, room: &Room) -> Body {
    let room = room.bytes();
    let message = format!(
        "a message of {bytes} bytes finds no room beside others ({room} bytes in all, --max-large-bytes); \
         try again, or another member"
    );
    overloaded(message)
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
