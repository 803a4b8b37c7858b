//! What a coordinator is asked for, and what it answers.

use bytes::Bytes;
use tokio::time::Instant;

use crate::limits::Pass;
use crate::version::{State, VersionVector, WriteId};

/// A write, checked at the door.
#[derive(Debug)]
pub struct WriteOrder {
    /// The user's key.
    pub key: Bytes,
    /// What the client had seen of it.
    pub context: VersionVector,
    /// The value; `None` deletes.
    pub value: Option<Bytes>,
    /// How long the value is shown, ms; it lasts if `None`.
    pub ttl_ms: Option<u64>,
    /// The client's name for the write.
    pub write_id: Option<WriteId>,
    /// How it is to be carried out.
    pub terms: Terms,
}

/// A read, checked at the door.
#[derive(Debug)]
pub struct ReadOrder {
    /// The user's key.
    pub key: Bytes,
    /// Return what was found though fewer answered than were wanted.
    pub allow_partial: bool,
    /// What the answer has to cover.
    pub at_least: VersionVector,
    /// How it is to be carried out.
    pub terms: Terms,
}

/// How a request is to be carried out.
#[derive(Debug)]
pub struct Terms {
    /// Members wanted; the cluster's own number if `None`.
    pub quorum: Option<u32>,
    /// The key's own members only.
    pub strict: bool,
    /// Another member has forwarded it; it is not forwarded again.
    pub forwarded: bool,
    /// The client waits no longer than this.
    pub until: Instant,
    /// Its place among the requests under way.
    pub pass: Pass,
}

/// A write that enough members have on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteAnswer {
    /// Covers the write, as the client carries it. Empty if other versions stand beside it: a context that covered
    /// those would have the client discard what it has never seen.
    pub context: Bytes,
    /// Names this write, for reads that have to cover it. Empty if its dot is not known any more.
    pub witness: Bytes,
    /// Distinct members that had it on disk, in the layout with the fewest.
    pub answered: usize,
    /// It needed stand-ins.
    pub sloppy: bool,
    /// Of the layout it was made under.
    pub epoch: u64,
    /// Versions that the coordinator's copy holds now, as a read would show them.
    pub versions: usize,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAnswer {
    /// What the members that answered know together.
    pub state: State,
    /// The coordinator's wall clock at the answer, ms since the epoch: what is past its time to live is not shown.
    pub now_ms: u64,
    /// Distinct members that answered.
    pub answered: usize,
    /// A stand-in is among them.
    pub sloppy: bool,
    /// Not all that was to be covered is.
    pub behind: bool,
    /// Of the layout that served.
    pub epoch: u64,
}
