//! How ties are broken: by hashing, so that what the flow leaves open is spread and yet the same on every machine.
//!
//! Were members tried in the order of their names, neighbours in that order would share all their partitions, and the
//! loss of one would fall on a few.

use crate::{NodeId, Partition, Partitions};

/// How little `node_id` wants `partition`: rendezvous hashing, the lowest comes first.
pub(super) fn affinity(node_id: &NodeId, partition: Partition) -> u64 {
    let half = |from: usize| u64::from_be_bytes(std::array::from_fn(|i| node_id.0[from + i]));
    mix(mix(mix(half(0)) ^ half(8)) ^ u64::from(partition.0))
}

/// All partitions in an order that has nothing to do with the ring's: those tried last are the ones that give way.
pub(super) fn shuffled(partitions: Partitions, salt: u64) -> Vec<Partition> {
    let mut order: Vec<Partition> = partitions.iter().collect();
    order.sort_by_cached_key(|p| mix(mix(salt) ^ u64::from(p.0)));
    order
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): a bijection in which each input bit moves each output bit.
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_is_splitmix64() {
        // The first outputs of the published generator from seed 0 are mix(0), mix(gamma).
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_differs_by_salt() {
        let q = Partitions::new(64).unwrap();
        let mut order = shuffled(q, 1);
        assert_ne!(order, shuffled(q, 2));
        assert_ne!(order, q.iter().collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, q.iter().collect::<Vec<_>>());
    }
}
