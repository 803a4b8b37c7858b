//! Who wrote: actors, births and dots.

use std::fmt;

/// A node's name in version vectors: 64 random bits, kept inside the data directory, so that wiping the one wipes the
/// other. A node takes a new one whenever dots of the old one may live on other replicas only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub u64);

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorId({self})")
    }
}

/// A number, fresh on its node, taken when the node coordinates a put for a key that it has no birth mark for.
///
/// A coordinator that has forgotten a key thereby never continues the count of its earlier self, which would cover
/// writes that it no longer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Birth(pub u64);

/// One coordinator's unbroken acquaintance with one key: the key of a version vector's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// The coordinator.
    pub actor: ActorId,
    /// Since when it has known the key.
    pub birth: Birth,
}

/// One write event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who coordinated it.
    pub writer: Writer,
    /// The how manieth by that writer, from 1.
    pub counter: u64,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}:{}", self.writer.actor, self.writer.birth.0, self.counter)
    }
}
