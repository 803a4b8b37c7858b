//! What a member keeps on its disk.
//!
//! One ordered key-value store with a few spaces, written by one thread: the *commit thread* takes what waits, applies
//! it to what is stored as one atomic batch, answers `applied`, syncs once, answers `synced`. Everything a write changes
//! (state, birth mark, Merkle nodes, hints, counts, a peer's commit numbers) is in the one batch, so a crash can never
//! part them.
//!
//! | module | what it says |
//! |---|---|
//! | [`error`] | what may go wrong, and what to do about it |
//! | [`keys`], [`rows`] | where everything lies, and its formats |
//! | [`fjall`], [`memory`] | the two stores: production's, and the simulation's with its crashes and full disks |
//! | [`overlay`], [`batch`] | the pure core: operations, one after another, over what is stored |
//! | [`leaves`] | the Merkle trees, in line with what a batch stores |
//! | [`op`] | the operations |
//! | [`queue`], [`commit`], `patience` | the commit thread, the way to it, and when it syncs |
//! | [`local`], [`passing`] | reading; which keys show nothing any more |
//! | [`blocking`] | on which thread the store is read |
//! | [`identity`], [`directory`] | whose data it is; opening, locking and setting aside a data directory |

use std::ops::Bound;

use bytes::Bytes;

pub mod batch;
pub mod blocking;
pub mod commit;
pub mod directory;
pub mod error;
pub mod fjall;
pub mod identity;
pub mod keys;
pub mod leaves;
pub mod local;
pub mod memory;
pub mod metrics;
pub mod op;
pub mod overlay;
pub mod passing;
mod patience;
pub mod queue;
pub mod rows;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Limits};
pub use blocking::{blocking, off_thread};
pub use commit::{Applied, CommitThread, Committer, Pump, Ticket};
pub use directory::{DataDirectory, OpenError, Opened};
pub use error::{OpError, StoreError, SubmitError};
pub use fjall::FjallStore;
pub use identity::Identity;
pub use keys::{DataKey, HintKey, KeyError, MetaKey};
pub use local::{Hint, HintCount, Local, Scan};
pub use memory::MemoryStore;
pub use op::{
    AddHint, DropHints, Dropped, Examine, IndexPassing, JoinCluster, LayoutChange, Listed, Mark, Merge,
    MergeMany, Merged, MoveHint, NewActor, Operation, Plant, Planted, Purge, Purged, Put, PutMeta, Reap,
    Rebuild, RemoveHint, StandIn, Testify, Testimony, Written,
};
pub use passing::{Passed, PassedKeys};
pub use queue::QueueLimits;
pub use rows::{PeerMark, Planting, Summary};

/// The parts of a store. Keys of one never meet keys of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// [`DataKey`] to encoded state.
    Data,
    /// [`DataKey`] to the birth that this node took for the key. Never replicated, never hashed.
    Birth,
    /// Partition and prefix to Merkle node.
    Merkle,
    /// Who is owed which key, by target and by key.
    Hint,
    /// Small durable facts; see [`MetaKey`].
    Meta,
    /// [`DataKey`] to the wall clock from which on nothing of its state is shown: deleted keys, and those whose every
    /// value has a time to live. What a round of reaping lists, without reading everything else.
    Passing,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Data, Self::Birth, Self::Merkle, Self::Hint, Self::Meta, Self::Passing];

    /// How many there are.
    pub const COUNT: usize = 6;

    /// Its place in [`Space::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Birth => "birth",
            Self::Merkle => "merkle",
            Self::Hint => "hint",
            Self::Meta => "meta",
            Self::Passing => "passing",
        }
    }
}

/// Where a range read stops, even if more lies in the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Rows at most.
    pub rows: usize,
    /// After the row that reaches so many bytes of keys and values.
    pub bytes: usize,
}

impl Limit {
    /// No more than `rows` rows.
    pub const fn rows(rows: usize) -> Self {
        Self { rows, bytes: usize::MAX }
    }

    /// No further than the row that reaches `bytes`.
    pub const fn bytes(bytes: usize) -> Self {
        Self { rows: usize::MAX, bytes }
    }

    /// Whether rows that amount to this reach the limit.
    pub const fn reached(self, rows: usize, bytes: usize) -> bool {
        rows >= self.rows || bytes >= self.bytes
    }
}

/// A row: key and value.
pub type Row = (Bytes, Bytes);

/// Reading a store, or a snapshot of one. Blocking; a read that misses every cache takes a disk's time.
pub trait Read: Send + Sync {
    /// The value at `key`.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The rows between two keys, in key order, up to the limit.
    fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError>;
}

/// An ordered store with atomic batches. Only the commit thread writes.
pub trait Store: Read + 'static {
    /// All spaces as they are now, whatever is written later. Keep it for as long as one transfer, not longer: old
    /// versions stay on disk while a snapshot can see them.
    fn snapshot(&self) -> Box<dyn Read>;

    /// Writes the batch: all of it or nothing, over all spaces. It can be read at once, but is not yet durable.
    fn write(&self, batch: WriteBatch) -> Result<(), StoreError>;

    /// Makes all writes so far durable. Once this failed it is never tried again: the kernel may have dropped the pages
    /// that it could not write, so a second success would mean nothing.
    fn sync(&self) -> Result<(), StoreError>;
}

/// Rows to be written together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    /// Space, key, and the new value or `None` to remove; each key at most once.
    pub rows: Vec<(Space, Bytes, Option<Bytes>)>,
    /// May use the room that is kept back for what frees room or must not fail on a full disk (layouts, removals).
    pub reserve: bool,
}

impl WriteBatch {
    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(|(_, key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum()
    }
}

/// The first key after all that begin with `prefix`; `None` if there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The rows whose keys begin with `prefix`, from just after `after` on.
pub(crate) fn read_prefix(
    read: &(impl Read + ?Sized),
    space: Space,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: Limit,
) -> Result<Vec<Row>, StoreError> {
    let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
    let end = after_prefix(prefix);
    let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    read.range(space, from, to, limit)
}
