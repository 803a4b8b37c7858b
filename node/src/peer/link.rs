//! The way to one member: kept open, and opened again whenever it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dynamo_proto::v1::HelloReply;
use dynamo_ring::{Member, NodeId};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::connection::{Broken, Connection, Greeted};
use super::lanes::Bounds;
use super::room::Room;
use super::transport::Transport;
use super::voice::Voice;
use crate::entropy::Entropy;

/// Between two attempts, doubling.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Told what a member said when it was greeted.
pub type OnHello = Arc<dyn Fn(NodeId, &HelloReply) + Send + Sync>;

/// What all links share.
#[derive(Clone)]
pub(super) struct Shared {
    pub voice: Arc<Voice>,
    pub transport: Arc<dyn Transport>,
    pub entropy: Entropy,
    pub bounds: Bounds,
    pub room: Room,
    pub up: Arc<watch::Sender<u64>>,
    pub on_hello: OnHello,
}

/// The way to one member. Dropping it closes the stream.
pub(super) struct Link {
    member: Member,
    connection: Arc<ArcSwapOption<Connection>>,
    /// A layout record that this member sent is being looked at.
    offering: Arc<AtomicBool>,
    /// It is known to be there: no use in waiting with the next attempt.
    there: Arc<Notify>,
    /// The first attempt has ended, one way or the other.
    tried: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Link {
    /// Begins to dial.
    pub(super) fn start(member: Member, shared: Shared) -> Self {
        let connection = Arc::new(ArcSwapOption::empty());
        let there = Arc::new(Notify::new());
        let (try_ended, tried) = watch::channel(false);
        let dialling = Dialling {
            member: member.clone(),
            connection: Arc::clone(&connection),
            there: Arc::clone(&there),
            try_ended,
            shared,
        };
        let task = tokio::spawn(dialling.keep_open());
        Self { member, connection, offering: Arc::new(AtomicBool::new(false)), there, tried, task }
    }

    /// Whether nobody knows yet if the member can be reached: the first attempt still runs.
    pub(super) fn is_unknown(&self) -> bool {
        !*self.tried.borrow()
    }

    /// Waits for the end of the first attempt.
    pub(super) async fn tried(&self) {
        // The task that sends goes only along with this link.
        let _ = self.tried.clone().wait_for(|tried| *tried).await;
    }

    /// The member has shown that it is there: dials at once.
    pub(super) fn dial_now(&self) {
        if self.connection.load().is_none() {
            self.there.notify_one();
        }
    }

    /// Whom it leads to, and where it dials.
    pub(super) const fn member(&self) -> &Member {
        &self.member
    }

    /// The open stream, if there is one.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        self.connection.load_full()
    }

    /// Whether the caller is the only one that now looks at a record of this member. It says so when it is done.
    pub(super) fn begin_offering(&self) -> Option<Offering> {
        let begun = !self.offering.swap(true, Ordering::AcqRel);
        begun.then(|| Offering(Arc::clone(&self.offering)))
    }
}

/// A record is being looked at, until this is dropped.
pub(super) struct Offering(Arc<AtomicBool>);

impl Drop for Offering {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(connection) = self.connection.swap(None) {
            connection.close();
        }
    }
}

/// The task behind a link.
struct Dialling {
    member: Member,
    connection: Arc<ArcSwapOption<Connection>>,
    there: Arc<Notify>,
    try_ended: watch::Sender<bool>,
    shared: Shared,
}

impl Dialling {
    async fn keep_open(self) {
        let Self { member, shared, .. } = &self;
        let mut wait = FIRST_WAIT;
        let mut said = String::new();
        loop {
            match Connection::open(
                &*shared.transport,
                member,
                Arc::clone(&shared.voice),
                shared.bounds,
                shared.room.clone(),
            )
            .await
            {
                Ok(greeted) => {
                    self.carry(greeted).await;
                    wait = FIRST_WAIT;
                    said.clear();
                }
                Err(broken) => say_once(member, &broken, &mut said),
            }
            self.try_ended.send_replace(true);
            // Spread out, so that those who lost the same peer do not all come back at one moment.
            let spread = f64::from(shared.entropy.draw::<u8>()) / 512.0;
            tokio::select! {
                biased;
                () = sleep(wait.mul_f64(0.5 + spread)) => wait = (wait * 2).min(LONGEST_WAIT),
                () = self.there.notified() => wait = FIRST_WAIT,
            }
        }
    }

    /// Lets requests use a stream until it breaks.
    async fn carry(&self, mut greeted: Greeted) {
        let Self { member, shared, .. } = self;
        tracing::info!(peer = member.name, node = %member.node_id, "peer is up");
        (shared.on_hello)(member.node_id, &greeted.hello);
        self.connection.store(Some(greeted.connection));
        self.try_ended.send_replace(true);
        shared.up.send_modify(|n| *n += 1);
        let broken = greeted.answers.run().await;
        self.connection.store(None);
        shared.up.send_modify(|n| *n += 1);
        tracing::info!(peer = member.name, node = %member.node_id, why = %broken, "peer is down");
    }
}

/// A peer that stays away is worth one line, not one line for each attempt.
fn say_once(member: &Member, broken: &Broken, said: &mut String) {
    let why = broken.to_string();
    if *said == why {
        tracing::debug!(peer = member.name, %why, "peer cannot be reached");
    } else {
        tracing::info!(peer = member.name, address = member.address, %why, "peer cannot be reached");
        *said = why;
    }
}
