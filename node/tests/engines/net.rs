//! A network in memory: messages can be held up on their way, and connections break while messages are under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dynamo_node::api::replica::ReplicaService;
use dynamo_node::peer::{ConnectError, Downward, PeerError, PullStream, Transport, Upward, Wire};
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{Frame, PullRequest, envelope};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// The way from one member to another.
type Way = (u8, u8);

#[derive(Debug, Default)]
pub(super) struct Ways {
    pub(super) services: BTreeMap<String, (u8, ReplicaService)>,
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
    pub(super) fn change(&self, change: impl FnOnce(&mut Ways)) {
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
pub(super) struct Dialler {
    pub(super) net: Net,
    pub(super) from: u8,
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
