//! The caller's side of one stream: requests go up, answers come down, many to a frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    Envelope, Frame, HelloReply, HelloRequest, Introduction, Part, PullRequest, Request, Response, envelope,
};
use dynamo_ring::NodeId;
use dynamo_ring::fence::SenderStamp;
use dynamo_telemetry::propagate;
use futures::{StreamExt, stream};
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::error::PeerError;
use super::lanes::{Bounds, NotTaken, Order};
use super::network::PullStream;
use super::outbox::{Frames, Outbox, Post};
use super::parts::{Assembler, Came, PartError};
use super::pending::{Pending, Unanswered};
use super::room::Room;
use super::transport::{ConnectError, Downward, Upward, Wire};
use super::voice::Voice;
use super::wire;
use crate::spans;

/// The longest frame that is taken. Those that are sent stay below a third of it: what is larger goes in parts.
pub const MAX_FRAME: usize = 4 << 20;

/// How long the greeting on a new connection may take.
const GREET: Duration = Duration::from_secs(2);

/// Bytes a second that a large message is given time for beyond what a small one has.
pub const SLOWEST: u64 = 4 << 20;

/// Requests that may be open on one stream.
const OPEN: usize = 8192;

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Nobody could be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The peer ended the stream with an error.
    #[error("{} ({:?})", .0.message(), .0.code())]
    Status(#[from] tonic::Status),
    /// The peer ended the stream.
    #[error("the peer ended the stream")]
    Ended,
    /// The peer said nothing.
    #[error("no greeting within {GREET:?}")]
    Silent,
    /// Somebody else answers there: the pod has another volume, or the address points elsewhere.
    #[error("node {0} answers there, and is not the member that the layout names")]
    Stranger(NodeId),
    /// The peer does not greet as a peer does.
    #[error("strange greeting: {0}")]
    Strange(String),
    /// The member has started anew, or moved, and is looked for again.
    #[error("it has started anew or moved")]
    Moved,
    /// The parts of an answer do not fit together.
    #[error(transparent)]
    Parts(#[from] PartError),
}

/// A request that waits to be sent.
#[derive(Debug)]
struct Outgoing {
    id: u64,
    op: Op,
    stamp: Option<SenderStamp>,
    until: Instant,
    /// The span that asks.
    traceparent: String,
}

/// One stream to one member.
#[derive(Debug)]
pub(super) struct Connection {
    node: NodeId,
    outbox: Arc<Outbox<Outgoing>>,
    pending: Arc<Pending>,
    /// The peer's number for this stream; set when it has greeted.
    stream: AtomicU64,
    wire: Arc<dyn Wire>,
}

/// A stream on which the member has greeted, and what it said.
pub(super) struct Greeted {
    pub connection: Arc<Connection>,
    pub hello: HelloReply,
    pub answers: Answers,
}

/// The downward half of a stream.
pub(super) struct Answers {
    connection: Arc<Connection>,
    frames: Downward,
    /// Large answers that come in parts, and the room that they take.
    coming: Assembler,
    room: Room,
}

impl Connection {
    /// Greets the member `node` on a connection that may lead to it.
    pub(super) async fn greet(
        wire: Arc<dyn Wire>,
        node: NodeId,
        voice: Arc<Voice>,
        introduction: Introduction,
        bounds: Bounds,
        room: Room,
    ) -> Result<Greeted, Broken> {
        let connection = Arc::new(Self {
            node,
            outbox: Arc::new(Outbox::new(bounds)),
            pending: Arc::default(),
            stream: AtomicU64::new(0),
            wire: Arc::clone(&wire),
        });
        let mut greeting =
            connection.pending.open(OPEN).ok_or_else(|| Broken::Strange("no room".to_owned()))?;
        let hello = HelloRequest {
            name: voice.name().to_owned(),
            introduction: Some(introduction),
            ..HelloRequest::default()
        };
        let until = Instant::now() + GREET;
        connection.send(greeting.id, Op::Hello(hello), None, until).map_err(|_| Broken::Ended)?;
        let upward = connection.upward(voice);
        let frames = timeout_at(until, wire.exchange(upward)).await.map_err(|_| Broken::Silent)??;
        let coming = Assembler::default();
        let mut answers = Answers { connection: Arc::clone(&connection), frames, coming, room };
        let body = tokio::select! {
            biased;
            body = greeting.answer() => body.ok(),
            broken = answers.run() => return Err(broken),
            () = tokio::time::sleep_until(until) => return Err(Broken::Silent),
        };
        match body {
            Some(Body::Hello(hello)) => {
                connection.stream.store(hello.stream, Ordering::Release);
                Ok(Greeted { connection, hello, answers })
            }
            Some(Body::Refused(refusal)) => Err(Broken::Strange(refusal.message)),
            Some(_) => Err(Broken::Strange("an answer to something else".to_owned())),
            None => Err(Broken::Ended),
        }
    }

    /// Asks, and waits for the answer. What is asked earlier is sent earlier, and whole: the barriers of
    /// [`reap`](crate::reap) rest on it.
    pub(super) async fn ask(&self, op: Op, stamp: SenderStamp, within: Duration) -> Result<Body, PeerError> {
        let span = spans::asks(&op, self.node);
        self.ask_in_span(op, stamp, within).instrument(span).await
    }

    async fn ask_in_span(&self, mut op: Op, stamp: SenderStamp, within: Duration) -> Result<Body, PeerError> {
        if let Op::ReapBarrier(barrier) = &mut op {
            barrier.stream = self.stream.load(Ordering::Acquire);
        }
        let node = self.node;
        let until = Instant::now() + within;
        // Nobody knows before how much many keys have. A client does not wait for them.
        let grows = matches!(op, Op::FetchMany(_));
        let mut waiting = self.pending.open(OPEN).ok_or(PeerError::Overloaded(self.node))?;
        self.send(waiting.id, op, Some(stamp), until)?;
        let mut answer = timeout_at(until, waiting.answer()).await;
        let coming = waiting.coming();
        if answer.is_err() && grows && coming > 0 {
            let more = Duration::from_secs(coming as u64 / SLOWEST + 1);
            answer = timeout_at(until + more, waiting.answer()).await;
        }
        match answer {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(Unanswered::Gone)) => Err(PeerError::Lost(node)),
            Ok(Err(Unanswered::NoRoom { bytes, room })) => Err(PeerError::NoRoom { node, bytes, room }),
            Err(_) => Err(PeerError::Timeout { node, within }),
        }
    }

    /// Asks for a partition's entries, on a stream of their own.
    pub(super) async fn pull(&self, request: PullRequest) -> Result<PullStream, PeerError> {
        self.wire.pull(request).await
    }

    /// Messages and bytes that wait to be sent.
    pub(super) fn depth(&self) -> (usize, usize) {
        self.outbox.depth()
    }

    /// Nothing more is sent, and nobody waits any longer.
    pub(super) fn close(&self) {
        self.outbox.close();
        self.pending.close();
    }

    fn send(&self, id: u64, op: Op, stamp: Option<SenderStamp>, until: Instant) -> Result<(), PeerError> {
        let bytes = weight(&op);
        let order = if matches!(op, Op::ReapBarrier(_)) { Order::Barrier } else { Order::Any };
        let traceparent = propagate::outgoing().unwrap_or_default();
        let outgoing = Outgoing { id, op, stamp, until, traceparent };
        self.outbox.push(bytes, order, outgoing).map_err(|why| match why {
            NotTaken::Full => PeerError::Overloaded(self.node),
            NotTaken::Closed => PeerError::Down(self.node),
        })
    }

    /// The upward half: frames of what waits. What nobody waits for any longer is left out.
    fn upward(&self, voice: Arc<Voice>) -> Upward {
        let frames = Frames::new(Arc::clone(&self.outbox), Arc::clone(&self.pending));
        let node = self.node;
        let frames = stream::unfold((frames, voice), move |(mut frames, voice)| async move {
            let envelopes = frames.next().await?;
            let frame = Frame { sender: Some(voice.to(Some(node)).message()), envelopes };
            Some((frame, (frames, voice)))
        });
        frames.boxed()
    }
}

impl Post for Outgoing {
    type Readers = Arc<Pending>;

    /// As it is sent now, with what is left of its time; nothing if none is left.
    fn envelope(self) -> Option<Envelope> {
        let left = self.until.saturating_duration_since(Instant::now()).as_millis();
        let deadline_ms = u32::try_from(left).unwrap_or(u32::MAX);
        let stamp = self.stamp.map(wire::stamp_message);
        let traceparent = self.traceparent;
        let request = Request { stamp, deadline_ms, op: Some(self.op), traceparent };
        (deadline_ms > 0).then_some(Envelope { id: self.id, body: Some(envelope::Body::Request(request)) })
    }

    fn is_wanted(id: u64, by: &Arc<Pending>) -> bool {
        by.is_open(id)
    }
}

impl Answers {
    /// Brings answers to those who wait for them, until the stream ends.
    pub(super) async fn run(&mut self) -> Broken {
        loop {
            let frame = match self.frames.next().await {
                Some(Ok(frame)) => frame,
                None => return Broken::Ended,
                Some(Err(status)) => return status.into(),
            };
            match wire::Sender::from_message(frame.sender.as_ref()) {
                Ok(sender) if sender.mark.node_id == self.connection.node => {}
                Ok(sender) => return Broken::Stranger(sender.mark.node_id),
                Err(why) => return Broken::Strange(why.to_string()),
            }
            for Envelope { id, body } in frame.envelopes {
                match body {
                    Some(envelope::Body::Response(response)) => self.answer(id, response),
                    Some(envelope::Body::Part(part)) => {
                        if let Err(broken) = self.part(id, &part) {
                            return broken;
                        }
                    }
                    Some(envelope::Body::Request(_)) | None => {}
                }
            }
        }
    }

    fn answer(&self, id: u64, response: Response) {
        if let Some(body) = response.result {
            self.connection.pending.answer(id, body);
        }
    }

    fn part(&mut self, id: u64, part: &Part) -> Result<(), Broken> {
        let pending = &self.connection.pending;
        // Of an answer that nobody waits for any longer nothing is kept.
        if !pending.is_open(id) {
            self.coming.forget(id);
            return Ok(());
        }
        if part.index == 0 {
            pending.coming(id, usize::try_from(part.total).unwrap_or(usize::MAX));
        }
        match self.coming.part(id, part, |bytes| self.room.take(bytes))? {
            Came::Whole(bytes, _held) => {
                let response = Response::decode(bytes).map_err(|why| Broken::Strange(why.to_string()))?;
                self.answer(id, response);
                Ok(())
            }
            Came::NoRoom(bytes) => {
                pending.no_room(id, bytes, self.room.bytes());
                Ok(())
            }
            Came::More | Came::Nobody => Ok(()),
        }
    }
}

impl Drop for Answers {
    /// However the stream ends, nobody is left waiting.
    fn drop(&mut self) {
        self.connection.close();
    }
}

/// Bytes of a request, for the bounds: what it carries, and some 64 around it.
fn weight(op: &Op) -> usize {
    let mut bytes = 64;
    bytes += match op {
        Op::Store(store) => store.key.len() + store.state.len(),
        Op::ForwardPut(put) => put.encoded_len(),
        Op::StoreMany(many) => many.encoded_len(),
        Op::FetchMany(many) => many.encoded_len(),
        Op::MerkleChildren(children) => children.encoded_len(),
        Op::MerkleRoots(roots) => roots.encoded_len(),
        Op::Fetch(fetch) => fetch.key.len(),
        Op::ForwardGet(get) => get.encoded_len(),
        Op::ForwardDelete(delete) => delete.encoded_len(),
        Op::ListPartition(list) => list.encoded_len(),
        Op::ReapLook(look) => look.encoded_len(),
        Op::ReapFinish(finish) => finish.encoded_len(),
        Op::ReapKeys(keys) => keys.encoded_len(),
        Op::Hello(hello) => hello.encoded_len(),
        Op::Gossip(gossip) => gossip.encoded_len(),
        Op::GossipTell(tell) => tell.encoded_len(),
        Op::Layout(_) | Op::ReapBarrier(_) => 0,
    };
    bytes
}
