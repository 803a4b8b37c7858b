//! What the commit thread does: one type per operation, each with its own outcome.
//!
//! | operation | when |
//! |---|---|
//! | [`Put`] | this node coordinates a write |
//! | [`Merge`], [`MergeMany`] | a copy came from elsewhere: replication, read repair, hints, transfer, hand-over |
//! | [`AddHint`], [`MoveHint`], [`RemoveHint`], [`DropHints`] | what other members are owed |
//! | [`LayoutChange`] | a layout record was taken: it is kept, and the Merkle trees follow |
//! | [`Purge`] | keys go with their partition |
//! | [`Testify`], [`Reap`] | keys go because their deletes have reached everybody |
//! | [`PutMeta`], [`Mark`], [`NewActor`], [`JoinCluster`] | small facts |
//! | [`IndexPassing`] | an earlier release has noted nothing of what passes |
//! | [`Examine`], [`Rebuild`], [`Plant`] | a Merkle tree is in doubt |

use super::batch::Batch;
use super::error::OpError;

mod hint;
mod index;
mod layout;
mod merge;
mod merge_many;
mod meta;
mod plant;
mod purge;
mod put;
mod reap;

pub(crate) use hint::hints_of;
pub use hint::{AddHint, DropHints, Dropped, MoveHint, RemoveHint, StandIn};
pub use index::IndexPassing;
pub use layout::LayoutChange;
pub use merge::{Merge, Merged};
pub use merge_many::MergeMany;
pub use meta::{JoinCluster, Mark, NewActor, PutMeta};
pub use plant::{Examine, Plant, Planted, Rebuild};
pub use purge::{Purge, Purged};
pub use put::{Put, Written};
pub use reap::{Listed, Reap, Testify, Testimony};

/// Something the commit thread can do.
pub trait Operation: Send + 'static {
    /// What it answers.
    type Outcome: Send + Clone + 'static;

    /// Whether it mostly adds data, and so is refused on a full disk. What frees room, and the little that must not
    /// fail then (a layout that takes partitions away), may use the room kept back for it.
    const GROWS: bool;

    /// Whether it is work in the background, whose sync may wait a little for one that a request needs anyway.
    const BACKGROUND: bool = false;

    /// Bytes it brings along, for the bounds of the queue.
    fn weight(&self) -> usize;

    /// Does it, in `batch`. Called again with the same operation if the batch has to be made anew.
    fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Outcome, OpError>;
}
