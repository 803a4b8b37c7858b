//! The way to one member: kept open, and opened again whenever it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dynamo_proto::v1::HelloReply;
use dynamo_ring::{Member, NodeId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::connection::{Broken, Connection, Greeted};
use super::dial::find;
use super::hearsay::Hearsay;
use super::lanes::Bounds;
use super::room::Room;
use super::transport::Transport;
use super::voice::Voice;
use crate::entropy::Entropy;

/// Between two attempts, doubling. An attempt whose connects hang takes a second; with the longest wait after it a name or
/// an address that resolves anew is tried within two.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(900);

/// How long an attempt may go on after the news that the member has moved or started anew. It may be the very thing that
/// the attempt has found: a greeting is not cut short for that.
const GRACE: Duration = Duration::from_millis(250);

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
    pub hearsay: Arc<dyn Hearsay>,
}

/// How often there was news of the member's place, and how often of a new start.
#[derive(Debug, Clone, Copy, Default)]
struct Moves {
    all: u64,
    restarts: u64,
}

/// The way to one member. Dropping it closes the stream.
pub(super) struct Link {
    member: Member,
    connection: Arc<ArcSwapOption<Connection>>,
    /// A layout record that this member sent is being looked at.
    offering: Arc<AtomicBool>,
    /// It is to be found elsewhere: no use in waiting with the next attempt.
    moves: watch::Sender<Moves>,
    /// The first attempt has ended, one way or the other.
    tried: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Link {
    /// Begins to dial.
    pub(super) fn start(member: Member, shared: Shared) -> Self {
        let connection = Arc::new(ArcSwapOption::empty());
        let (moves, moved) = watch::channel(Moves::default());
        let (try_ended, tried) = watch::channel(false);
        let dialling = Dialling {
            member: member.clone(),
            connection: Arc::clone(&connection),
            moved,
            try_ended,
            shared,
        };
        let task = tokio::spawn(dialling.keep_open());
        Self { member, connection, offering: Arc::new(AtomicBool::new(false)), moves, tried, task }
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

    /// The member has moved, or started anew: whoever waits for it at the old place looks again. A stream that is open is
    /// left alone, unless the process behind it has gone.
    pub(super) fn redial(&self, restarted: bool) {
        self.moves.send_modify(|moves| {
            moves.all += 1;
            moves.restarts += u64::from(restarted);
        });
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
    moved: watch::Receiver<Moves>,
    try_ended: watch::Sender<bool>,
    shared: Shared,
}

impl Dialling {
    async fn keep_open(mut self) {
        let mut wait = FIRST_WAIT;
        let mut said = String::new();
        loop {
            // Only what comes from here on is news to this attempt.
            self.moved.mark_unchanged();
            let found = tokio::select! {
                biased;
                found = find(&self.member, &self.shared) => found,
                () = news(self.moved.clone()) => Err(Broken::Moved),
            };
            match found {
                Ok(greeted) => {
                    self.carry(greeted).await;
                    wait = FIRST_WAIT;
                    said.clear();
                }
                Err(broken) => say_once(&self.member, &broken, &mut said),
            }
            self.try_ended.send_replace(true);
            // Spread out, so that those who lost the same peer do not all come back at one moment.
            let spread = f64::from(self.shared.entropy.draw::<u8>()) / 512.0;
            tokio::select! {
                biased;
                () = sleep(wait.mul_f64(0.5 + spread)) => wait = (wait * 2).min(LONGEST_WAIT),
                Ok(()) = self.moved.changed() => wait = FIRST_WAIT,
            }
        }
    }

    /// Lets requests use a stream until it breaks.
    async fn carry(&self, mut greeted: Greeted) {
        let Self { member, shared, .. } = self;
        tracing::info!(peer = member.name, node = %member.node_id, "peer is up");
        if let Some(said) = greeted.hello.introduction.take() {
            shared.hearsay.introduced(member.node_id, said);
        }
        // What starts anew from here on is not what has greeted.
        let started = self.moved.borrow().restarts;
        (shared.on_hello)(member.node_id, &greeted.hello);
        self.connection.store(Some(greeted.connection));
        self.try_ended.send_replace(true);
        shared.up.send_modify(|n| *n += 1);
        let mut moved = self.moved.clone();
        let broken = tokio::select! {
            biased;
            broken = greeted.answers.run() => broken,
            Ok(_) = moved.wait_for(|moves| moves.restarts > started) => Broken::Moved,
        };
        self.connection.store(None);
        shared.up.send_modify(|n| *n += 1);
        tracing::info!(peer = member.name, node = %member.node_id, why = %broken, "peer is down");
    }
}

/// Ends a while after there is news of where the member is. Never, if there is none.
async fn news(mut moved: watch::Receiver<Moves>) {
    match moved.changed().await {
        Ok(()) => sleep(GRACE).await,
        // Whoever tells of moves has gone, and so has this task.
        Err(_) => std::future::pending().await,
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
