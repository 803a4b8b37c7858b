//! How many replicas each member has to hold, and how many of one partition a zone may.
//!
//! Zones come first, then balance. The zone cap is the smallest number that lets every partition find N members. It
//! limits what a zone can hold in all, and a member holds each partition once at most; so members are balanced, each
//! by its weight, by water-filling: zones and members whose limit lies below the common level are filled to the limit,
//! and the others share what is left.

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

/// A member's share: what its level comes to for its weight, rounded down and up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) least: u32,
    pub(super) most: u32,
    /// It or its zone holds as much as it can: it is filled to that before others take more than their least.
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
        let zone_limit: Vec<u32> = zone_size.iter().map(|&size| q * zone_cap.min(size)).collect();
        let weight: Vec<u16> = members.iter().map(|member| member.weight).collect();
        let load = loads(&zone_of, &weight, &zone_limit, q, n);
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

/// A height of the water: so many replicas for so much weight.
#[derive(Debug, Clone, Copy)]
struct Level {
    units: u64,
    weight: u64,
}

impl Level {
    const fn below(self, other: Self) -> bool {
        self.units * other.weight < other.units * self.weight
    }

    /// What it comes to for a member of this weight. No load is above Q, so it fits.
    fn load(self, weight: u64, at_limit: bool) -> Load {
        let fit = |units: u64| u32::try_from(units).unwrap_or(u32::MAX);
        let share = self.units * weight;
        Load { least: fit(share / self.weight), most: fit(share.div_ceil(self.weight)), at_limit }
    }
}

/// The load of each member. The water rises over all alike, by weight; the lowest limit, of a member (it can hold each
/// partition once) or of a zone, is met first and settles those whom it concerns.
fn loads(zone_of: &[usize], weight: &[u16], zone_limit: &[u32], q: u32, n: u32) -> Vec<Load> {
    let weight: Vec<u64> = weight.iter().copied().map(u64::from).collect();
    let mut left = Level { units: u64::from(q) * u64::from(n), weight: weight.iter().sum() };
    let mut zone_left: Vec<Level> =
        zone_limit.iter().map(|&limit| Level { units: limit.into(), weight: 0 }).collect();
    for (&zone, weight) in zone_of.iter().zip(&weight) {
        zone_left[zone].weight += weight;
    }
    let mut load: Vec<Option<Load>> = vec![None; zone_of.len()];
    let take = |from: &mut Level, units: u64, weight: u64| {
        from.units -= units;
        from.weight -= weight;
    };
    loop {
        let open = |i: &usize| load[*i].is_none();
        let heaviest = (0..load.len()).filter(open).max_by_key(|&i| weight[i]);
        let Some(heaviest) = heaviest else { break };
        let member = Level { units: q.into(), weight: weight[heaviest] };
        let tightest = (0..zone_left.len())
            .filter(|&zone| zone_left[zone].weight > 0)
            .reduce(|a, b| if zone_left[b].below(zone_left[a]) { b } else { a });
        match tightest {
            Some(zone) if zone_left[zone].below(left) && !member.below(zone_left[zone]) => {
                let level = zone_left[zone];
                for i in (0..load.len()).filter(|&i| zone_of[i] == zone) {
                    load[i].get_or_insert_with(|| level.load(weight[i], true));
                }
                take(&mut left, level.units, level.weight);
                zone_left[zone] = Level { units: 0, weight: 0 };
            }
            _ if member.below(left) => {
                load[heaviest] = Some(member.load(member.weight, true));
                take(&mut left, member.units, member.weight);
                take(&mut zone_left[zone_of[heaviest]], member.units, member.weight);
            }
            _ => break,
        }
    }
    load.into_iter().zip(weight).map(|(load, w)| load.unwrap_or_else(|| left.load(w, false))).collect()
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

    /// The loads of the members of zones, each given by its members' weights: as (least, most, at its limit).
    fn shares(zones: &[&[u16]], q: u32, n: u32) -> Vec<(u32, u32, bool)> {
        let sizes: Vec<u32> = zones.iter().map(|zone| u32::try_from(zone.len()).unwrap()).collect();
        let cap = zone_cap(&sizes, n);
        let limit: Vec<u32> = sizes.iter().map(|&size| q * cap.min(size)).collect();
        let zone_of: Vec<usize> =
            zones.iter().enumerate().flat_map(|(zone, members)| vec![zone; members.len()]).collect();
        let loads = loads(&zone_of, &zones.concat(), &limit, q, n);
        loads.iter().map(|load| (load.least, load.most, load.at_limit)).collect()
    }

    #[test]
    fn without_pressure_all_members_share_alike() {
        assert_eq!(shares(&[&[1; 5]], 256, 3), [(153, 154, false); 5]);
        assert_eq!(shares(&[&[1; 2], &[1; 2], &[1; 2]], 256, 3), [(128, 128, false); 6]);
        assert_eq!(shares(&[&[1; 2], &[1; 2], &[1], &[1]], 256, 3), [(128, 128, false); 6]);
    }

    #[test]
    fn a_zone_at_its_limit_leaves_the_rest_to_the_others() {
        // N = 3: the large zone holds each partition once at most, 256 in all over its ten members.
        let expected = [[(170, 171, false); 3].to_vec(), [(25, 26, true); 10].to_vec()].concat();
        assert_eq!(shares(&[&[1], &[1], &[1], &[1; 10]], 256, 3), expected);
    }

    #[test]
    fn members_share_by_weight() {
        let (light, heavy) = ((128, 128, false), (256, 256, false));
        assert_eq!(shares(&[&[1, 1, 2, 2]], 256, 3), [light, light, heavy, heavy]);
        assert_eq!(shares(&[&[2; 5]], 256, 3), shares(&[&[1; 5]], 256, 3), "only their ratio counts");
        // 48 over a weight of 7 would be 20.57 of 16 for the heavy one.
        assert_eq!(shares(&[&[1, 3, 1, 1, 1]], 16, 3)[..2], [(8, 8, false), (16, 16, true)]);
        assert_eq!(
            shares(&[&[3, 4, 4, 3]], 16, 2),
            [(6, 7, false), (9, 10, false), (9, 10, false), (6, 7, false)]
        );
    }

    #[test]
    fn a_member_holds_each_partition_once_whatever_it_weighs() {
        let light = (128, 128, false);
        assert_eq!(shares(&[&[64, 1, 1, 1, 1]], 256, 3), [&[(256, 256, true)][..], &[light; 4]].concat());
        // The second is over its limit only when the first has left more to share.
        assert_eq!(
            shares(&[&[6, 2, 1, 1]], 12, 3),
            [(12, 12, true), (12, 12, false), (6, 6, false), (6, 6, false)]
        );
    }

    #[test]
    fn a_heavy_member_does_not_lift_its_zone_over_its_limit() {
        // One of each partition in each zone: the weights count within the zone.
        let loads = shares(&[&[3, 1], &[1, 1], &[1, 1]], 64, 3);
        assert_eq!(
            loads,
            [
                (48, 48, true),
                (16, 16, true),
                (32, 32, false),
                (32, 32, false),
                (32, 32, false),
                (32, 32, false)
            ]
        );
    }
}
