use std::fmt;

use crate::{NodeId, Partition};

/// What a step is waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// These could not be asked.
    Unreachable(Vec<NodeId>),
    /// These have not copied all that the target gives them.
    Syncing {
        /// Who.
        members: Vec<NodeId>,
        /// Partitions that have arrived, over all members.
        synced: u64,
        /// Partitions that have to arrive, over all members.
        wanted: u64,
    },
    /// These hold what the committed layout does not give them.
    HandingOver(Vec<NodeId>),
    /// The target gives data to nodes that are lost. It is replaced by one that does not.
    TargetNamesLost(Vec<NodeId>),
    /// Every member that the stable layout gave these to is lost.
    NoLivingCopy(Vec<Partition>),
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(ids) => write!(f, "no answer from {}", list(ids)),
            Self::Syncing { members, synced, wanted } => {
                write!(f, "{synced} of {wanted} partitions synced, not done: {}", list(members))
            }
            Self::HandingOver(ids) => write!(f, "handing over: {}", list(ids)),
            Self::TargetNamesLost(ids) => write!(f, "the target names lost nodes: {}", list(ids)),
            Self::NoLivingCopy(partitions) => write!(f, "no living copy of partitions {}", list(partitions)),
        }
    }
}

/// The first few, and how many more: this ends up in a condition's message.
fn list<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 8;
    let text = items.iter().take(SHOWN).map(T::to_string).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
