//! With whom a member compares its trees, of which partitions, and whose turn it is. Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

use dynamo_ring::{NodeId, Partition, Step};

use crate::layout::Standing;

/// What this node shares with each other living member: the partitions that both are to hold, in S or in T, in their
/// order. It follows from the layout and its step alone, so that two members that go by the same work out the same list
/// for each other. Whether a tree is there (yet) is another question.
///
/// While a target is only proposed, what it newly gives to either side is left out: it is being copied, and a comparison
/// would copy it once more, past the copy's bounds. From the freeze on it is there.
pub fn shared(standing: &Standing) -> BTreeMap<NodeId, Vec<Partition>> {
    let (view, stable) = (standing.view(), standing.record.stable());
    let copying = standing.record.target().is_some() && standing.record.step() == Step::Proposed;
    let ripe = |node: &NodeId, partition: Partition| {
        if copying { stable.holds(node, partition) } else { view.holds(node, partition) }
    };
    let mut shared = BTreeMap::<NodeId, Vec<Partition>>::new();
    let all = standing.record.stable().partitions();
    for partition in all.iter().filter(|partition| ripe(&standing.me, *partition)) {
        let others = view.holders(partition).map(|member| member.node_id);
        for node in others.filter(|node| *node != standing.me && !standing.is_lost(node)) {
            if ripe(&node, partition) {
                shared.entry(node).or_default().push(partition);
            }
        }
    }
    shared
}

/// The next member after `last`, round and round by node id, that can be asked.
pub fn next(
    shared: &BTreeMap<NodeId, Vec<Partition>>,
    last: Option<NodeId>,
    up: impl Fn(NodeId) -> bool,
) -> Option<NodeId> {
    let after = last.map_or(Bound::Unbounded, Bound::Excluded);
    let mut round = shared.range((after, Bound::Unbounded)).chain(shared).map(|(node, _)| *node);
    round.find(|node| up(*node))
}
