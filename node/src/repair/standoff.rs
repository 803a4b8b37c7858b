//! Whether a repair that ended well has changed anything: the same two roots again say that it has not, and then one of
//! the trees does not say what is stored. Pure.
//!
//! It is made anew here, once for each pair; the other side meets the same pair from its own side and does the same. If
//! writes go on, roots change all the time, and the pair is met when they pause.

use std::collections::{BTreeMap, BTreeSet};

use dynamo_ring::{NodeId, Partition};

use crate::merkle::MerkleHash;

/// The roots of one partition: this node's, and a peer's.
pub type Pair = (MerkleHash, MerkleHash);

#[derive(Debug, Clone, Copy)]
struct Stood {
    pair: Pair,
    rebuilt: bool,
}

/// Pairs of roots from which a repair began that ended without an error; see the module.
#[derive(Debug, Clone, Default)]
pub struct Standoffs {
    stood: BTreeMap<(NodeId, Partition), Stood>,
}

impl Standoffs {
    /// A round with `peer` begins, in which these partitions differ; what was known of the others is forgotten.
    pub fn begin(&mut self, peer: NodeId, differing: &BTreeSet<Partition>) {
        self.stood.retain(|(node, partition), _| *node != peer || differing.contains(partition));
    }

    /// These roots differ. Says whether the tree here is to be made anew instead of a repair: this pair has been repaired
    /// already, and stands. Once for each pair.
    pub fn is_stuck(&mut self, peer: NodeId, partition: Partition, pair: Pair) -> bool {
        let Some(stood) = self.stood.get_mut(&(peer, partition)) else { return false };
        if stood.pair != pair {
            self.stood.remove(&(peer, partition));
            return false;
        }
        !std::mem::replace(&mut stood.rebuilt, true)
    }

    /// A repair that began from these roots has ended without an error.
    pub fn repaired(&mut self, peer: NodeId, partition: Partition, pair: Pair) {
        self.stood.entry((peer, partition)).or_insert(Stood { pair, rebuilt: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::state::tests::member_id;

    const P: Partition = Partition(3);

    fn pair(ours: u8, theirs: u8) -> Pair {
        (MerkleHash([ours; 16]), MerkleHash([theirs; 16]))
    }

    #[test]
    fn a_pair_that_stands_after_a_repair_is_met_by_one_rebuild() {
        let (mut standoffs, peer, all) = (Standoffs::default(), member_id(1), BTreeSet::from([P]));
        let mut round = |pair: Pair, ends_well: bool| {
            standoffs.begin(peer, &all);
            let stuck = standoffs.is_stuck(peer, P, pair);
            if !stuck && ends_well {
                standoffs.repaired(peer, P, pair);
            }
            stuck
        };
        assert!(!round(pair(1, 2), false), "it is new");
        assert!(!round(pair(1, 2), true), "a repair that failed says nothing");
        assert!(round(pair(1, 2), true));
        assert!(!round(pair(1, 2), true), "once: the fault is at the other side");
        assert!(!round(pair(1, 2), true));
        assert!(!round(pair(1, 3), true), "something has changed");
        assert!(round(pair(1, 3), true));
        assert!(!round(pair(4, 3), true), "the rebuild brought another root");
        assert!(round(pair(4, 3), true));
    }

    #[test]
    fn partitions_and_peers_are_told_apart_and_what_is_alike_is_forgotten() {
        let mut standoffs = Standoffs::default();
        let (one, other) = (member_id(1), member_id(2));
        standoffs.repaired(one, P, pair(1, 2));
        standoffs.repaired(other, Partition(4), pair(1, 2));
        assert!(!standoffs.is_stuck(other, P, pair(1, 2)));
        assert!(!standoffs.is_stuck(one, Partition(4), pair(1, 2)));
        standoffs.begin(one, &BTreeSet::new());
        assert!(!standoffs.is_stuck(one, P, pair(1, 2)), "they were alike in between");
        assert!(standoffs.is_stuck(other, Partition(4), pair(1, 2)));
    }
}
