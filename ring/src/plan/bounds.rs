//! How many replicas each member has to hold, and how many of one partition a zone may.
//!
//! Zones come first, then balance. The zone cap is the smallest number that lets every partition find N members. It
//! limits what a zone can hold in all, so members are balanced by water-filling: zones whose limit lies below the
//! common level are filled to the limit, and the others share what is left.

use std::collections::BTreeMap;

use crate::Member;

/// What a placement has to satisfy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The zone of each member, numbered.
    pub(super) zone_of: Vec<usize>,
    /// How many members each zone has.
    pub(super) zone_size: Vec<u32>,
    /// At most so many replicas of one partition in one zone.
    pub(super) zone_cap: u32,
    /// At least and at most so many replicas on each member.
    pub(super) load: Vec<Load>,
}

/// A member's share: what its level comes to, rounded down and up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) least: u32,
    pub(super) most: u32,
    /// Its zone holds as much as it can: it is filled to that before others take more than their least.
    pub(super) at_limit: bool,
}

impl Bounds {
    /// The bounds for `q` partitions of `n` replicas; there are at least `n` members.
    pub(super) fn new(members: &[Member], q: u32, n: u32) -> Self {
        let mut numbers = BTreeMap::new();
        let zone_of: Vec<usize> = members
            .iter()
            .map(|member| {
                let next = numbers.len();
                *numbers.entry(member.zone.as_str()).or_insert(next)
            })
            .collect();
        let mut zone_size = vec![0; numbers.len()];
        for &zone in &zone_of {
            zone_size[zone] += 1;
        }
        let zone_cap = zone_cap(&zone_size, n);
        let level = levels(&zone_size, zone_cap, q, n);
        let load = zone_of.iter().map(|&zone| level[zone]).collect();
        Self { zone_of, zone_size, zone_cap, load }
    }

    /// Whether `zone` could hold more of one partition than it may: the others need no watching.
    pub(super) fn binds(&self, zone: usize, n: u32) -> bool {
        self.zone_cap < n.min(self.zone_size[zone])
    }
}

/// The smallest cap with room for `n` replicas: ceil(n / zones), or more where zones have fewer members than that.
fn zone_cap(zone_size: &[u32], n: u32) -> u32 {
    let fits = |cap: &u32| zone_size.iter().map(|size| size.min(cap)).sum::<u32>() >= n;
    (1..n).find(fits).unwrap_or(n)
}

/// The load of one member of each zone.
fn levels(zone_size: &[u32], zone_cap: u32, q: u32, n: u32) -> Vec<Load> {
    let limit = |zone: usize| q * zone_cap.min(zone_size[zone]);
    let mut full = vec![false; zone_size.len()];
    loop {
        let mut left = q * n;
        let mut sharing = 0;
        for zone in 0..zone_size.len() {
            if full[zone] {
                left -= limit(zone);
            } else {
                sharing += zone_size[zone];
            }
        }
        // u64: loads times members.
        let over = |zone: &usize| {
            u64::from(zone_size[*zone]) * u64::from(left) > u64::from(limit(*zone)) * u64::from(sharing)
        };
        // Filling one zone only raises the level of the others, so what is over its limit stays so.
        let overfull: Vec<usize> = (0..zone_size.len()).filter(|&zone| !full[zone]).filter(over).collect();
        if overfull.is_empty() {
            let level = |zone: usize| {
                let at_limit = full[zone];
                let (total, members) =
                    if at_limit { (limit(zone), zone_size[zone]) } else { (left, sharing) };
                Load { least: total / members, most: total.div_ceil(members), at_limit }
            };
            return (0..zone_size.len()).map(level).collect();
        }
        for zone in overfull {
            full[zone] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_the_even_share_unless_zones_are_too_small() {
        assert_eq!(zone_cap(&[1, 1, 1], 3), 1);
        assert_eq!(zone_cap(&[4, 4, 4, 4], 3), 1);
        assert_eq!(zone_cap(&[3, 3], 3), 2);
        assert_eq!(zone_cap(&[9], 3), 3);
        assert_eq!(zone_cap(&[1, 5], 4), 3, "one zone cannot hold its half");
        assert_eq!(zone_cap(&[1, 1, 5], 5), 3);
    }

    fn shares(sizes: &[u32], q: u32, n: u32) -> Vec<(u32, u32, bool)> {
        let loads = levels(sizes, zone_cap(sizes, n), q, n);
        loads.iter().map(|load| (load.least, load.most, load.at_limit)).collect()
    }

    #[test]
    fn without_pressure_all_members_share_alike() {
        assert_eq!(shares(&[5], 256, 3), [(153, 154, false)]);
        assert_eq!(shares(&[2, 2, 2], 256, 3), [(128, 128, false); 3]);
        assert_eq!(shares(&[2, 2, 1, 1], 256, 3), [(128, 128, false); 4]);
    }

    #[test]
    fn a_zone_at_its_limit_leaves_the_rest_to_the_others() {
        // N = 3: the large zone holds each partition once at most, 256 in all over its ten members.
        let small = (170, 171, false);
        assert_eq!(shares(&[1, 1, 1, 10], 256, 3), [small, small, small, (25, 26, true)]);
    }
}
