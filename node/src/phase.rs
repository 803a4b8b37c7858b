//! Where a node's process is in its life, and whether it is ready.

use std::sync::Arc;

use tokio::sync::watch;

use crate::layout::Layouts;
use crate::store::Committer;

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It answers greetings, and decides whether it is still who it was.
    Starting,
    /// It serves, as far as a layout names it.
    Serving,
    /// It takes nothing new, and ends what runs.
    Stopping,
}

/// The life of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Life {
    phase: Arc<watch::Sender<Phase>>,
    layouts: Layouts,
    committer: Committer,
}

impl Life {
    /// One that begins.
    pub fn new(layouts: Layouts, committer: Committer) -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Starting)), layouts, committer }
    }

    /// Goes on to `phase`; never back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let forward = *now == Phase::Starting || phase == Phase::Stopping;
            *now = if forward { phase } else { *now };
            forward
        });
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Returns once it stops.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut phase = self.phase.subscribe();
        async move {
            // A process that is gone stops as well.
            let _ = phase.wait_for(|phase| *phase == Phase::Stopping).await;
        }
    }

    /// Whether the store can still be written.
    pub fn is_healthy(&self) -> bool {
        self.committer.fatal().borrow().is_none()
    }

    /// Ready: store open, named by the stable layout or the target, serving. Never a matter of other members, so that
    /// a partition of the network makes nobody unready.
    pub fn is_ready(&self) -> bool {
        let named = self.layouts.current().is_some_and(|standing| standing.serves());
        self.phase() == Phase::Serving && named && self.is_healthy()
    }

    /// Waits for a change of anything that [`Life::is_ready`] looks at. False if there will be none any more.
    pub async fn changed(&self, seen: &mut Seen) -> bool {
        let changed = tokio::select! {
            changed = seen.phase.changed() => changed,
            changed = seen.layouts.changed() => changed,
            changed = seen.fatal.changed() => changed,
        };
        changed.is_ok()
    }

    /// What was seen so far: everything up to now.
    pub fn seen(&self) -> Seen {
        Seen {
            phase: self.phase.subscribe(),
            layouts: self.layouts.subscribe(),
            fatal: self.committer.fatal(),
        }
    }
}

/// A place in the changes of a [`Life`].
#[derive(Debug)]
pub struct Seen {
    phase: watch::Receiver<Phase>,
    layouts: watch::Receiver<Option<Arc<crate::layout::Standing>>>,
    fatal: watch::Receiver<Option<String>>,
}
