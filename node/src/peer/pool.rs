//! The ways to all members, as the layout names them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{PullRequest, Refusal};
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{Member, NodeId, Record};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::error::{PeerError, Refused};
use super::hearsay::Hearsay;
use super::lanes::Bounds;
use super::link::{Link, OnHello, Shared};
use super::network::{Network, PullStream};
use super::room::Room;
use super::transport::Transport;
use super::voice::Voice;
use crate::entropy::Entropy;
use crate::layout::{Layouts, Standing};

/// How long a pull waits for a member that is dialled for the first time.
const FIRST_TRY: Duration = Duration::from_secs(2);

type Links = BTreeMap<NodeId, Arc<Link>>;

struct Inner {
    me: NodeId,
    links: RwLock<Links>,
    stopped: AtomicBool,
    layouts: Layouts,
    shared: Shared,
}

/// What members are dialled with.
pub struct Dialling {
    /// What this node says of itself.
    pub voice: Arc<Voice>,
    /// What carries the streams.
    pub transport: Arc<dyn Transport>,
    /// Spreads attempts out.
    pub entropy: Entropy,
    /// Bounds of what waits on each stream.
    pub bounds: Bounds,
    /// Room for large answers.
    pub room: Room,
    /// Told what each member says when it is greeted.
    pub on_hello: OnHello,
    /// What is known of members beyond the layout.
    pub hearsay: Arc<dyn Hearsay>,
}

/// The way to the other members. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("up", &self.up()).finish_non_exhaustive()
    }
}

impl Peers {
    /// Dials every member of the layout, and follows it.
    pub fn start(dialling: Dialling, layouts: Layouts) -> Self {
        let Dialling { voice, transport, entropy, bounds, room, on_hello, hearsay } = dialling;
        let (me, mut changes) = (voice.node_id(), layouts.subscribe());
        let up = Arc::new(watch::Sender::new(0));
        let shared = Shared { voice, transport, entropy, bounds, room, up, on_hello, hearsay };
        let peers = Self {
            inner: Arc::new(Inner {
                me,
                links: RwLock::default(),
                stopped: AtomicBool::new(false),
                layouts,
                shared,
            }),
        };
        let following = Arc::downgrade(&peers.inner);
        peers.inner.follow();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let Some(inner) = following.upgrade() else { return };
                inner.follow();
            }
        });
        peers
    }

    /// Members whose stream is open.
    pub fn up(&self) -> Vec<NodeId> {
        let links = self.inner.links();
        links.iter().filter(|(_, link)| link.connection().is_some()).map(|(node, _)| *node).collect()
    }

    /// A member has another address, or has started anew, and is looked for at once. Only what is new may lead here: one
    /// that is greeted again and again by whom it greets would never end a greeting.
    pub fn redial(&self, node: NodeId, restarted: bool) {
        if let Some(link) = self.inner.links().get(&node) {
            link.redial(restarted);
        }
    }

    /// Waits until every member that is dialled is up, `within` at the longest.
    pub async fn all_up(&self, within: Duration) {
        let mut changes = self.watch_up();
        let all = async { while self.up().len() < self.dialled() && changes.changed().await.is_ok() {} };
        // Those who are away are away.
        let _ = timeout(within, all).await;
    }

    /// Members that are dialled.
    pub fn dialled(&self) -> usize {
        self.inner.links().len()
    }

    /// Messages and bytes that wait to be sent to all members together.
    pub fn depth(&self) -> (usize, usize) {
        let links = self.inner.links();
        let depths = links.values().filter_map(|link| link.connection()).map(|c| c.depth());
        depths.fold((0, 0), |(messages, bytes), (m, b)| (messages + m, bytes + b))
    }

    /// Closes all streams, for good.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::Release);
        self.inner.links.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The stream to a member. Whoever asks while the member is dialled for the first time waits for that.
    async fn connection(
        &self,
        to: NodeId,
        within: Duration,
    ) -> Result<(Arc<Link>, Arc<Connection>), PeerError> {
        let link = self.inner.link(to).ok_or(PeerError::Down(to))?;
        if link.is_unknown() {
            timeout(within, link.tried()).await.map_err(|_| PeerError::Down(to))?;
        }
        let connection = link.connection().ok_or(PeerError::Down(to))?;
        Ok((link, connection))
    }

    async fn ask(&self, to: NodeId, op: Op, stamp: SenderStamp, within: Duration) -> Result<Body, PeerError> {
        let until = Instant::now() + within;
        let (link, connection) = self.connection(to, within).await?;
        let left = until.saturating_duration_since(Instant::now());
        match connection.ask(op, stamp, left).await? {
            Body::Refused(refusal) => {
                let refused = refused(refusal);
                self.offer(&link, &refused);
                Err(refused.into())
            }
            body => Ok(body),
        }
    }

    /// A refusal may bring the layout that the member goes by. It is looked at behind the caller's back: taking it waits
    /// for requests that were begun under the old one, the caller's among them.
    fn offer(&self, link: &Link, refused: &Refused) {
        if refused.reason != Reason::OldLayout || refused.record.is_empty() {
            return;
        }
        let Some(offering) = link.begin_offering() else { return };
        let (layouts, record, from) =
            (self.inner.layouts.clone(), refused.record.clone(), link.member().name.clone());
        tokio::spawn(async move {
            let _offering = offering;
            match serde_json::from_slice::<Record>(&record) {
                Ok(record) => {
                    if let Err(why) = layouts.take(record).await {
                        tracing::debug!(%from, %why, "a peer's layout record is not taken");
                    }
                }
                Err(why) => tracing::warn!(%from, %why, "a peer's layout record cannot be read"),
            }
        });
    }
}

impl Inner {
    fn links(&self) -> std::sync::RwLockReadGuard<'_, Links> {
        self.links.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link to a member. A request may run under a layout that the links do not follow yet: then they do so now, or
    /// it would take a new member for one that is down.
    fn link(&self, node: NodeId) -> Option<Arc<Link>> {
        if let Some(link) = self.links().get(&node) {
            return Some(Arc::clone(link));
        }
        let named = self.layouts.current().is_some_and(|standing| {
            node != self.me && standing.record.view().names(&node) && !standing.is_lost(&node)
        });
        if named {
            self.follow();
        }
        self.links().get(&node).cloned()
    }

    /// Dials whom the layout names, at the address that it names, and nobody else.
    fn follow(&self) {
        let standing = self.layouts.current();
        let wanted = standing.as_deref().map(|standing| to_dial(standing, self.me)).unwrap_or_default();
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        // Looked at under the lock: what is dialled after a stop would never be closed.
        if self.stopped.load(Ordering::Acquire) {
            return;
        }
        links.retain(|_, link| wanted.contains(link.member()));
        for member in wanted {
            links.entry(member.node_id).or_insert_with(|| Arc::new(Link::start(member, self.shared.clone())));
        }
    }
}

/// Every member of S, T and the layout before S, but for this one and those that are lost.
fn to_dial(standing: &Standing, me: NodeId) -> Vec<Member> {
    let members = standing.record.view().members();
    members.filter(|member| member.node_id != me && !standing.is_lost(&member.node_id)).cloned().collect()
}

fn refused(refusal: Refusal) -> Refused {
    Refused { reason: refusal.reason(), message: refusal.message, record: refusal.record }
}

impl Network for Peers {
    fn call(
        &self,
        to: NodeId,
        op: Op,
        stamp: SenderStamp,
        within: Duration,
    ) -> BoxFuture<'_, Result<Body, PeerError>> {
        self.ask(to, op, stamp, within).boxed()
    }

    fn pull(&self, to: NodeId, request: PullRequest) -> BoxFuture<'_, Result<PullStream, PeerError>> {
        async move { self.connection(to, FIRST_TRY).await?.1.pull(request).await }.boxed()
    }

    fn is_up(&self, node: NodeId) -> bool {
        self.inner.link(node).is_some_and(|link| link.is_unknown() || link.connection().is_some())
    }

    fn watch_up(&self) -> watch::Receiver<u64> {
        self.inner.shared.up.subscribe()
    }

    fn is_suspected(&self, node: NodeId) -> bool {
        self.inner.shared.hearsay.is_suspected(node)
    }
}
