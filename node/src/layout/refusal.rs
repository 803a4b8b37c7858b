//! Why a record is not taken, and why a node does not retire.

use dynamo_ring::{ClusterId, LayoutId, NodeId, fence};

use crate::store::{OpError, StoreError, SubmitError};

/// Why a record was not taken. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This node has left for good. Start its pod again: it begins as a new, empty member.
    #[error("this node has retired and is never named again; start it anew to get a new, empty node")]
    Retired,
    /// A node without a layout takes only a record that names it: a strange one would bind its volume to a strange
    /// cluster.
    #[error("this node has no layout yet, and the record does not name it ({0})")]
    NotNamed(NodeId),
    /// What the last commit took from this node has not yet been handed over; a new target would drop it. Retry later.
    #[error(
        "this node is still handing over what layout {committed} took from it; retry when it reports done"
    )]
    HandingOver {
        /// The committed layout.
        committed: LayoutId,
    },
    /// The fence refuses it: it is older, branches off, or breaks a promise.
    #[error(transparent)]
    Fence(#[from] fence::Refusal),
    /// It could not be stored. Retry; if the store has failed for good the process is about to stop.
    #[error("the record could not be stored: {0}")]
    Store(#[from] OpError),
    /// Too much waits for the disk; retry.
    #[error("the record could not be stored: {0}")]
    Busy(#[from] SubmitError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

impl From<StoreError> for Refusal {
    fn from(why: StoreError) -> Self {
        Self::Store(why.into())
    }
}

/// Why a node does not retire. It stays a member until what is named here has gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRetired {
    /// Somebody else was meant.
    #[error("this is node {0}, another was asked to retire")]
    OtherNode(NodeId),
    /// Some other cluster was meant.
    #[error("this node belongs to cluster {0}, not to the one that asks")]
    OtherCluster(ClusterId),
    /// A layout that it knows of names it. If a newer one does not, send that first.
    #[error("layout {0} names this node; if a newer one does not, send it that one first")]
    Named(LayoutId),
    /// It has not dropped what it no longer owns.
    #[error("this node still drops what layout {0} does not give it; ask again")]
    Dropping(LayoutId),
    /// It has data.
    #[error("this node still holds {partitions} partitions, {keys} keys and {hints} hints")]
    Holds {
        /// Partitions that stand in its trees.
        partitions: usize,
        /// Keys stored, for whatever reason.
        keys: u64,
        /// Keys that others are owed.
        hints: u64,
    },
    /// It could not be written down.
    #[error("retiring could not be stored: {0}")]
    Store(#[from] OpError),
    /// Too much waits for the disk, or the node is stopping.
    #[error("retiring could not be stored: {0}")]
    Busy(#[from] SubmitError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

impl From<StoreError> for NotRetired {
    fn from(why: StoreError) -> Self {
        Self::Store(why.into())
    }
}
