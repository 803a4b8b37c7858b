//! What may go wrong at the store, and what to do about it.

use dynamo_ring::{ClusterId, Partition};

use super::keys::KeyError;
use crate::version::{CodecError, VersionVector};

/// A fault of the store itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too little room. Nothing was written; reads go on; writes are taken again as soon as there is room.
    #[error("the disk is full: {free} bytes free, {reserve} are kept back; grow the volume or delete data")]
    Full {
        /// Bytes free on the volume.
        free: u64,
        /// Bytes that this write may not touch.
        reserve: u64,
    },
    /// A sync failed: what was written since the last one may be lost, and no later sync can tell. Stop the process and
    /// start again from what is on disk; never retry.
    #[error("a sync to disk failed, the node must stop: {0}")]
    SyncFailed(String),
    /// The storage engine gave up. Stop the process; what was synced is found again at the next start.
    #[error("the storage engine failed, the node must stop: {0}")]
    Engine(String),
    /// Bytes on disk are not what was written. Set the data directory aside and let the node rejoin empty, or restore
    /// it; its replicas have the data.
    #[error("corrupt data on disk: {0}")]
    Corrupt(String),
    /// A partition's Merkle tree is not whole: a node cannot be read, is missing, or is not the one that is named above
    /// it. No write is refused for it: the tree is made anew from the data, and compared with nobody's until then.
    #[error("the Merkle tree of partition {0} is not whole on disk; it is made anew from the data")]
    Tree(Partition),
    /// A read failed, perhaps only this once.
    #[error("reading the disk failed: {0}")]
    Io(String),
    /// A row that no store takes; the limits above it should have refused it.
    #[error("a row of {key} key bytes and {value} value bytes is too long for the store")]
    TooLong {
        /// Length of the key.
        key: usize,
        /// Length of the value.
        value: usize,
    },
}

impl StoreError {
    /// Whether the process must stop.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::SyncFailed(_) | Self::Engine(_))
    }

    /// Corruption of a row of this kind.
    pub(crate) fn corrupt(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("{what}: {why}"))
    }
}

/// Why an operation was not done. It has changed nothing, but for [`OpError::Fatal`], which cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// FAILED_PRECONDITION: after this put the key would hold too much. Read it and write with its context.
    #[error(
        "the key would hold {siblings} versions of {bytes} bytes together; read it and write with the context"
    )]
    TooManySiblings {
        /// What has been seen of the key here: a write with this context settles it.
        context: VersionVector,
        /// Versions it would hold.
        siblings: usize,
        /// Bytes their values would have.
        bytes: usize,
    },
    /// This node does not hold the partition, and was not asked to stand in for another. Look at the layout again.
    #[error("partition {0} is not held here, and no member was named to stand in for")]
    NotHeld(Partition),
    /// The partition is still held, so its data is not dropped.
    #[error("partition {0} is held here; it is dropped only after a layout has taken it away")]
    StillHeld(Partition),
    /// No layout was ever stored here.
    #[error("this node has no layout yet")]
    NoLayout,
    /// A layout with another number of partitions; that number is fixed for a cluster's life.
    #[error("the layout has {given} partitions, the data here {stored}")]
    OtherPartitions {
        /// Of the layout.
        given: u16,
        /// Of what is stored.
        stored: u16,
    },
    /// INVALID_ARGUMENT: not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A peer's bytes are no state; refuse its message.
    #[error("a state that makes no sense: {0}")]
    State(#[from] CodecError),
    /// A copy of a key that was never written: nothing to store. Refuse the message.
    #[error("a state that holds nothing")]
    EmptyState,
    /// The data belongs to another cluster; check which volume was mounted.
    #[error("the data here belongs to cluster {stored}, not to {given}")]
    OtherCluster {
        /// The cluster it was asked to belong to.
        given: ClusterId,
        /// The cluster it belongs to.
        stored: ClusterId,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed for good; the process is about to stop. The operation may or may not be found afterwards.
    #[error("the store has failed, the node is stopping: {0}")]
    Fatal(String),
    /// The commit thread has stopped; the operation was not done.
    #[error("the node is stopping")]
    Stopped,
}

/// Why an operation was not even queued. Nothing was begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// RESOURCE_EXHAUSTED: the queue is full; try again a little later.
    #[error("too many writes are waiting for the disk; try again later")]
    Overloaded,
    /// The node is stopping; try another.
    #[error("the node is stopping")]
    Stopped,
    /// The store has failed; the process is about to stop.
    #[error("the store has failed, the node is stopping: {0}")]
    Fatal(String),
}
