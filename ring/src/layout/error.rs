use super::MAX_WEIGHT;
use crate::{LayoutHash, NodeId, Partition, Partitions};

/// What is wrong with a layout. It is never repaired in silence: the one who wrote it has to write another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Epochs begin at 1.
    #[error("epoch 0: the first layout has epoch 1")]
    NoEpoch,
    /// Nothing would be stored.
    #[error("n is 0: at least one replica is needed")]
    NoReplicas,
    /// Each partition needs `n` different members.
    #[error("{members} members cannot hold {n} replicas of each partition")]
    TooFewMembers {
        /// How many there are.
        members: usize,
        /// How many are needed.
        n: u8,
    },
    /// The table's entries are 16 bits wide.
    #[error("{0} members: at most 65535 are possible")]
    TooManyMembers(usize),
    /// A member without a name.
    #[error("a member has no name")]
    Nameless,
    /// A weight that no member can have.
    #[error("member `{name}` has weight {weight}: give one from 1 to {MAX_WEIGHT}")]
    Weight {
        /// Whose.
        name: String,
        /// As it was given.
        weight: u16,
    },
    /// Two members of one name.
    #[error("member `{0}` is listed twice")]
    NameTwice(String),
    /// The table's indexes would mean other members to a reader that sorts.
    #[error("members are not sorted by name: `{0}` is out of place")]
    Unsorted(String),
    /// One data directory under two names.
    #[error("node id {0} is listed twice")]
    NodeTwice(NodeId),
    /// A partition has no row, or there is a row too many.
    #[error("{rows} rows for {partitions} partitions")]
    Rows {
        /// How many rows there are.
        rows: usize,
        /// How many there have to be.
        partitions: Partitions,
    },
    /// A row that is too short or too long.
    #[error("partition {partition} has {holders} holders, not {n}")]
    RowLength {
        /// Whose row.
        partition: Partition,
        /// How many it lists.
        holders: usize,
        /// How many it has to list.
        n: u8,
    },
    /// An index beyond the members.
    #[error("partition {partition} names member number {index}, which does not exist")]
    NoSuchMember {
        /// Whose row.
        partition: Partition,
        /// The index in it.
        index: u16,
    },
    /// Two replicas of a partition on one member are one replica.
    #[error("partition {partition} names member number {index} twice")]
    HolderTwice {
        /// Whose row.
        partition: Partition,
        /// The index in it.
        index: u16,
    },
    /// A document that was changed by hand, or cut. Who changes one on purpose leaves its `hash` out.
    #[error("the layout of epoch {epoch} says that its hash is {stated}, but it is {computed}")]
    Hash {
        /// Of the layout.
        epoch: u64,
        /// What the document says.
        stated: LayoutHash,
        /// What its content has.
        computed: LayoutHash,
    },
}
