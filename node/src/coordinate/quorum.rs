//! Distinct members, counted for each layout.

use dynamo_ring::NodeId;

use super::targets::Sides;
use crate::planted::{self, Fault};

/// How many distinct members have answered, in each of the layouts that count.
///
/// While a change of layout is under way a write needs its number in both: a quorum in only one of two live layouts
/// loses writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    needed: usize,
    sides: Sides,
    answered: Vec<(NodeId, Sides)>,
}

impl Quorum {
    /// One that needs `needed` members in each of `sides`.
    pub const fn new(needed: usize, sides: Sides) -> Self {
        Self { needed, sides, answered: Vec::new() }
    }

    /// Counts a member for these layouts; a second answer of the same one counts for no layout twice.
    pub fn count(&mut self, node: NodeId, sides: Sides) {
        match self.answered.iter_mut().find(|(known, _)| *known == node) {
            Some((_, known)) => *known = known.with(sides),
            None => self.answered.push((node, sides)),
        }
    }

    /// Members wanted in each layout.
    pub const fn needed(&self) -> usize {
        self.needed
    }

    /// Members that answered, in the layout that has the fewest.
    pub fn answered(&self) -> usize {
        let in_side = |side| self.answered.iter().filter(|(_, sides)| sides.has(side)).count();
        self.sides.iter().map(in_side).min().unwrap_or(0)
    }

    /// Whether enough have answered in every layout.
    pub fn met(&self) -> bool {
        let needed = if planted::is(Fault::QuorumOfOne) { 1 } else { self.needed };
        self.answered() >= needed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(i: u8) -> NodeId {
        NodeId([i; 16])
    }

    #[test]
    fn garage_jepsen_a_quorum_in_one_of_two_layouts_is_none() {
        let mut quorum = Quorum::new(2, Sides::BOTH);
        quorum.count(node(1), Sides::STABLE);
        quorum.count(node(2), Sides::STABLE);
        assert_eq!((quorum.answered(), quorum.met()), (0, false));
        quorum.count(node(3), Sides::TARGET);
        assert_eq!((quorum.answered(), quorum.met()), (1, false));
        quorum.count(node(2), Sides::TARGET);
        assert_eq!((quorum.answered(), quorum.met()), (2, true));
    }

    #[test]
    fn one_member_counts_once_however_often_it_answers() {
        let mut quorum = Quorum::new(2, Sides::STABLE);
        for _ in 0..3 {
            quorum.count(node(1), Sides::STABLE);
        }
        assert_eq!(quorum.answered(), 1);
        quorum.count(node(2), Sides::TARGET);
        assert_eq!(quorum.answered(), 1, "the target does not count where there is none");
    }

    proptest! {
        #[test]
        fn it_is_met_exactly_if_each_layout_has_enough(
            answers in prop::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 0..20),
            needed in 1usize..4,
        ) {
            let mut quorum = Quorum::new(needed, Sides::BOTH);
            for (i, stable, target) in &answers {
                quorum.count(node(*i), Sides { stable: *stable, target: *target });
            }
            let in_stable = (0..6).filter(|i| answers.iter().any(|(j, s, _)| i == j && *s)).count();
            let in_target = (0..6).filter(|i| answers.iter().any(|(j, _, t)| i == j && *t)).count();
            prop_assert_eq!(quorum.answered(), in_stable.min(in_target));
            prop_assert_eq!(quorum.met(), in_stable >= needed && in_target >= needed);
        }
    }
}
