//! Faults that a build can be made to have, to show that the simulation finds them.
//!
//! Compiled in by the feature `planted` alone, which nothing but the simulation's own binary for it turns on; in every
//! other build [`is`] is a constant, and nothing is left of it.

/// A fault, each at one place of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is never told to sync, and everybody is told that it has been.
    SkipSync,
    /// What is written counts as synced before it is.
    AnswerBeforeSync,
    /// A stand-in keeps no hint.
    ForgetHint,
    /// A merge of several versions keeps one.
    DropSibling,
    /// Replicas are sent the new version without those beside it.
    LoneSibling,
    /// A node that knows no birth mark of a key counts on as if it had always held it.
    ForgetBirth,
    /// The actor id is kept after a crash.
    KeepActor,
    /// A round of reaping waits for nothing that was begun before it, and for nobody's barrier.
    NoBarrier,
    /// One answer is a quorum.
    QuorumOfOne,
    /// A node whose data was set back to an older copy goes on serving it.
    ServeSetBack,
    /// What an abandoned target had given stays on its disk when another layout comes.
    KeepLeftovers,
    /// A change: a write counts once it has its quorum in the stable layout, whatever the target's holders say.
    StableQuorum,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SkipSync,
        Self::AnswerBeforeSync,
        Self::ForgetHint,
        Self::DropSibling,
        Self::LoneSibling,
        Self::ForgetBirth,
        Self::KeepActor,
        Self::NoBarrier,
        Self::QuorumOfOne,
        Self::ServeSetBack,
        Self::KeepLeftovers,
        Self::StableQuorum,
    ];

    /// Whether it is one of the protocol of a change: only where membership moves can it be seen.
    pub const fn is_of_a_change(self) -> bool {
        matches!(self, Self::KeepLeftovers | Self::StableQuorum)
    }
}

#[cfg(feature = "planted")]
mod planting {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Plants one fault, or none, in every node of this thread.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
    }

    pub(crate) fn is(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }
}

#[cfg(feature = "planted")]
pub(crate) use planting::is;
#[cfg(feature = "planted")]
pub use planting::plant;

/// Whether this fault is planted. Never, in this build.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Fault) -> bool {
    false
}
