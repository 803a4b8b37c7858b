//! The next layout: balanced by weight, zones apart, fewest moves.
//!
//! Placement is one network flow. Each partition sends N units through its zones to different members; a member takes
//! between a lower and an upper number of units, which differ by at most one; a unit that lands where the replica
//! already is costs nothing, any other costs one. The cheapest flow is the layout with the fewest moves among all that
//! are balanced and keep zones apart, so nothing here is a heuristic. `docs/placement.md` has the argument.

mod affinity;
mod bounds;
mod error;
mod flow;
mod place;

use std::collections::BTreeMap;

pub use self::error::PlanError;
use self::place::Placement;
use crate::{ClusterId, Layout, Member, NodeId, Partition, Partitions};

/// The first layout of a cluster, at epoch 1. Does not depend on the order of `members`.
pub fn first(
    members: &[Member],
    partitions: Partitions,
    n: u8,
    cluster_id: ClusterId,
) -> Result<Layout, PlanError> {
    let members = sorted(members, n)?;
    let rows = Placement::new(&members, partitions, n, None).rows()?;
    Ok(Layout::new(1, cluster_id, partitions, n, members, &rows)?)
}

/// The layout of `members` at `epoch` that moves the fewest replicas away from `stable`. Does not depend on the order
/// of `members`. With the members of `stable` its table is that of `stable`.
pub fn plan(stable: &Layout, members: &[Member], epoch: u64) -> Result<Layout, PlanError> {
    if epoch <= stable.epoch() {
        return Err(PlanError::Epoch { stable: stable.epoch(), epoch });
    }
    let (partitions, n) = (stable.partitions(), stable.n());
    let members = sorted(members, n)?;
    let placement = Placement::new(&members, partitions, n, Some(stable));
    let rows =
        if same_places(stable.members(), &members) { placement.into_held() } else { placement.rows()? };
    Ok(Layout::new(epoch, stable.cluster_id(), partitions, n, members, &rows)?)
}

/// Sorted by name. Looked at before any flow is made, since a flow takes unique members, and enough of them, for
/// granted.
fn sorted(members: &[Member], n: u8) -> Result<Vec<Member>, PlanError> {
    let mut members = members.to_vec();
    members.sort_unstable();
    Layout::check_members(n, &members)?;
    Ok(members)
}

/// Whether these are the same nodes in the same zones, of the same weights: then nothing that decides a placement has changed, and even an
/// unbalanced table stays.
fn same_places(before: &[Member], after: &[Member]) -> bool {
    let places = |members: &[Member]| -> BTreeMap<NodeId, (String, u16)> {
        members.iter().map(|m| (m.node_id, (m.zone.clone(), m.weight))).collect()
    };
    places(before) == places(after)
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

#[cfg(test)]
mod tests;
