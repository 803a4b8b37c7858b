//! What becomes of one hint under the layout that stands. Pure.

use dynamo_ring::{NodeId, Partition};

use crate::layout::{Duty, Standing};

/// What becomes of one hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// The target holds the key and is up: it gets the state.
    ///
    /// A hint may come so late that new holders have already compared themselves with the target; so those that only
    /// the layout's target has are owed the state `also`.
    Deliver {
        /// Who is to be owed it before the hint goes.
        also: Vec<NodeId>,
    },
    /// The target does not hold the key, or is lost: these do, and each of them is owed it instead.
    Owe(Vec<NodeId>),
    /// The target is down and this node is leaving: each of these gets the state, and the hint with it. They are as many
    /// as make a write quorum, or all there are.
    PassOn(Vec<NodeId>),
    /// Nobody but this node is to have the key, and this node holds it.
    Settled,
    /// Nothing can be done just now. It stays.
    Stay,
}

/// Whether this node is to be rid of its hints: no layout names it any more, and requests that could make new ones have
/// ended.
pub fn leaves(standing: &Standing) -> bool {
    matches!(standing.duty(), Some(Duty::HandOver { hints: true, .. }))
}

/// What becomes of a hint for `target` on a key of `partition`. `leaving` is what [`leaves`] says of the same standing.
pub fn aim(
    standing: &Standing,
    leaving: bool,
    target: NodeId,
    partition: Partition,
    up: impl Fn(NodeId) -> bool,
) -> Aim {
    let view = standing.view();
    let living =
        || view.holders(partition).map(|member| member.node_id).filter(|node| !standing.is_lost(node));
    let others = || living().filter(|node| *node != standing.me && *node != target);
    let target_holds = living().any(|node| node == target);
    if target == standing.me || others().next().is_none() && !target_holds {
        let mine = living().any(|node| node == standing.me) && standing.holds(partition);
        return if mine { Aim::Settled } else { Aim::Stay };
    }
    if !target_holds {
        return Aim::Owe(others().collect());
    }
    if up(target) {
        let stable = standing.record.stable();
        // Only from a holder of S to those of T alone, never back: two hints must not make each other for ever.
        let from_stable = stable.holds(&target, partition);
        let also = others().filter(|node| from_stable && !stable.holds(node, partition));
        return Aim::Deliver { also: also.collect() };
    }
    let ready: Vec<NodeId> = others().filter(|node| up(*node)).collect();
    let enough = usize::from(standing.record.quorum().w).min(living().count());
    if leaving && ready.len() >= enough { Aim::PassOn(ready) } else { Aim::Stay }
}

#[cfg(test)]
#[path = "aim_tests.rs"]
mod tests;
