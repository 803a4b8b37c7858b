//! Who holds a key, who would stand in, and who coordinates a write to it.

use dynamo_ring::{Layout, NodeId, Partition, View};

use crate::planted::{self, Fault};

/// One of the layouts in which a write has to meet its quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// S, which serves.
    Stable,
    /// T, which is being moved to.
    Target,
}

/// The layouts that a member counts for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    /// It holds the key in S.
    pub stable: bool,
    /// It holds the key in T.
    pub target: bool,
}

impl Sides {
    /// S alone.
    pub const STABLE: Self = Self { stable: true, target: false };
    /// T alone.
    pub const TARGET: Self = Self { stable: false, target: true };
    /// Both.
    pub const BOTH: Self = Self { stable: true, target: true };

    /// Whether `side` is among them.
    pub const fn has(self, side: Side) -> bool {
        match side {
            Side::Stable => self.stable,
            Side::Target => self.target,
        }
    }

    /// Those of either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self { stable: self.stable || other.stable, target: self.target || other.target }
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { stable: self.stable && other.stable, target: self.target && other.target }
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Side> {
        [Side::Stable, Side::Target].into_iter().filter(move |side| self.has(*side))
    }
}

/// A member that holds the key, and in which layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The member.
    pub node: NodeId,
    /// Where it holds the key.
    pub sides: Sides,
}

/// A member that may stand in for a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// The member.
    pub node: NodeId,
    /// In which layouts its copy may count in a holder's place. One that T alone names lets go of its hints if T is
    /// replaced, so what it has is no copy of S.
    pub counts: Sides,
}

/// Whom a write is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteTargets {
    /// The layouts in which it has to meet its quorum.
    pub sides: Sides,
    /// The holders of S in their order, then those that only T has. Each once.
    pub holders: Vec<Holder>,
    /// Who stands in for them, in order: the rest of S's preference list, then of T's. Each once, and no holder.
    pub fallbacks: Vec<Fallback>,
}

impl WriteTargets {
    /// For a key of `partition`.
    pub fn of(view: View<'_>, partition: Partition) -> Self {
        let stable = view.record().stable();
        let target = view.record().target().map(|target| &target.layout);
        let sides_of = |node: &NodeId| Sides {
            stable: stable.holds(node, partition),
            target: target.is_some_and(|target| target.holds(node, partition)),
        };
        let holders = view
            .holders(partition)
            .map(|member| Holder { node: member.node_id, sides: sides_of(&member.node_id) })
            .collect();
        let mut fallbacks: Vec<Fallback> = Vec::new();
        for layout in view.write_layouts() {
            for member in layout.preference_list(partition).fallbacks() {
                let node = member.node_id;
                if !view.holds(&node, partition) && fallbacks.iter().all(|known| known.node != node) {
                    let counts = if stable.names(&node) { Sides::BOTH } else { Sides::TARGET };
                    fallbacks.push(Fallback { node, counts });
                }
            }
        }
        let target = target.is_some() && !planted::is(Fault::StableQuorum);
        Self { sides: Sides { stable: true, target }, holders, fallbacks }
    }

    /// The same, with those who are suspected to be gone as the last of the holders, to whom the write may be forwarded,
    /// and as the last to stand in. Nobody is left out.
    #[must_use]
    pub fn doubting(mut self, suspected: impl Fn(NodeId) -> bool) -> Self {
        self.holders.sort_by_key(|holder| suspected(holder.node));
        self.fallbacks.sort_by_key(|fallback| suspected(fallback.node));
        self
    }

    /// The layouts in which `node` holds the key; none if it does not.
    pub fn sides_of(&self, node: NodeId) -> Option<Sides> {
        self.holders.iter().find(|holder| holder.node == node).map(|holder| holder.sides)
    }

    /// The layouts in which a copy of `node` may count in a holder's place.
    pub fn counts_of(&self, node: NodeId) -> Sides {
        let known = self.fallbacks.iter().find(|fallback| fallback.node == node);
        known.map_or(Sides::default(), |fallback| fallback.counts)
    }
}

/// Whom a read asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTargets {
    /// The key's own members in the layout that serves reads, this node first if it is one.
    pub holders: Vec<NodeId>,
    /// Who stands in for them, in order.
    pub fallbacks: Vec<NodeId>,
    /// Those who hold the key in the other layout only. They are not asked, but repaired along with the stale.
    pub others: Vec<NodeId>,
}

impl ReadTargets {
    /// For a key of `partition`, read by `me`.
    pub fn of(view: View<'_>, partition: Partition, me: NodeId) -> Self {
        let layout: &Layout = view.read_layout();
        let list = layout.preference_list(partition);
        let mut holders: Vec<NodeId> = list.holders().map(|member| member.node_id).collect();
        // The own copy costs no round trip.
        holders.sort_by_key(|node| *node != me);
        let others = view
            .holders(partition)
            .map(|member| member.node_id)
            .filter(|node| !holders.contains(node))
            .collect();
        Self { holders, fallbacks: list.fallbacks().map(|member| member.node_id).collect(), others }
    }

    /// The same, with those who are suspected to be gone as the last of the holders and the last to stand in. Nobody is
    /// left out.
    #[must_use]
    pub fn doubting(mut self, suspected: impl Fn(NodeId) -> bool) -> Self {
        self.holders.sort_by_key(|node| suspected(*node));
        self.fallbacks.sort_by_key(|node| suspected(*node));
        self
    }
}

/// What part the coordinator's own copy has in a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// It holds the key.
    Holder,
    /// It stands in for this member, with a hint.
    StandsInFor(NodeId),
    /// None: the layout that gave it the key has passed since.
    Absent,
}

/// Where a write is coordinated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// At this node.
    Here(Own),
    /// At the first of these that takes it.
    Forward(Vec<NodeId>),
    /// It came forwarded, but this node does not hold the key. Forwarding it again could make two writes of one.
    NotMine,
    /// No holder can be reached, and the request allows no other.
    Nowhere,
}

/// Where a write that came to `me` is coordinated: by a holder if any can be reached. A holder has seen more of the key
/// than anybody else, so the fewest siblings come about. `held` says whether this node's store takes the key yet: a
/// member that the target adds has to clean up first.
pub fn route(
    targets: &WriteTargets,
    me: NodeId,
    held: bool,
    forwarded: bool,
    strict: bool,
    up: impl Fn(NodeId) -> bool,
) -> Route {
    if held && targets.sides_of(me).is_some() {
        return Route::Here(Own::Holder);
    }
    if forwarded {
        return Route::NotMine;
    }
    let others = targets.holders.iter().map(|holder| holder.node).filter(|node| *node != me);
    let reachable: Vec<NodeId> = others.clone().filter(|node| up(*node)).collect();
    match others.clone().next() {
        _ if !reachable.is_empty() => Route::Forward(reachable),
        Some(first) if !strict => Route::Here(Own::StandsInFor(first)),
        _ => Route::Nowhere,
    }
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
