//! What any placement has to satisfy, and to move, computed without the planner: no line here knows how it works.
//!
//! The most even loads are dealt out one replica at a time, always to the member that has the least and may take one.
//! The fewest moves come from the most replicas that can stay: a maximum flow, by Dinic's algorithm of `petgraph`, over
//! the pairs (partition, member) that exist already. A flow is no placement yet, since the replicas that move have to find room as
//! well; so what is not in it is a lower bound for the moves of every placement, and a placement that meets it has the fewest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use petgraph::algo::dinics;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::case::{Case, Side};

/// The most replicas of one partition in one zone: the smallest number with which each finds N members.
pub fn zone_cap(zones: &[u32], n: u32) -> u32 {
    let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
    for &zone in zones {
        *sizes.entry(zone).or_default() += 1;
    }
    (1..n).find(|&cap| sizes.values().map(|&size| size.min(cap)).sum::<u32>() >= n).unwrap_or(n)
}

/// The most even loads that zones allow, member by member.
pub fn fairest(zones: &[u32], q: u32, n: u32) -> Vec<u32> {
    let cap = zone_cap(zones, n) * q;
    let mut in_zone: BTreeMap<u32, u32> = BTreeMap::new();
    let mut loads = vec![0; zones.len()];
    let mut least: BinaryHeap<Reverse<(u32, usize)>> = (0..zones.len()).map(|i| Reverse((0, i))).collect();
    let mut left = q * n;
    while left > 0
        && let Some(Reverse((load, member))) = least.pop()
    {
        let zone = in_zone.entry(zones[member]).or_default();
        // Whoever is full, or in a full zone, is not asked again.
        if load < q && *zone < cap {
            *zone += 1;
            left -= 1;
            loads[member] = load + 1;
            least.push(Reverse((load + 1, member)));
        }
    }
    loads
}

/// Members whose loads may differ by who of them gets one more: those of a zone at its limit, or all others.
pub(crate) struct Group {
    pub(crate) members: Vec<usize>,
    pub(crate) least: u32,
    pub(crate) most: u32,
    /// How many of them get one more than the least.
    pub(crate) spare: u32,
}

pub(crate) fn groups(zones: &[u32], fairest: &[u32], q: u32, n: u32) -> Vec<Group> {
    let cap = zone_cap(zones, n) * q;
    let top = fairest.iter().copied().max().unwrap_or(0);
    let mut of_zone: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (member, &zone) in zones.iter().enumerate() {
        of_zone.entry(zone).or_default().push(member);
    }
    let at_limit = |members: &[usize]| {
        let sum: u32 = members.iter().map(|&m| fairest[m]).sum();
        sum == cap && members.iter().all(|&m| fairest[m] < top)
    };
    let (limited, open): (Vec<_>, Vec<_>) = of_zone.into_values().partition(|members| at_limit(members));
    let group = |members: Vec<usize>| {
        let loads = members.iter().map(|&m| fairest[m]);
        let least = loads.clone().min().unwrap_or(0);
        let most = loads.clone().max().unwrap_or(0);
        let spare = loads.map(|load| load - least).sum();
        Group { members, least, most, spare }
    };
    limited.into_iter().chain([open.concat()]).map(group).collect()
}

/// No placement that keeps zones apart and loads as even as they allow moves fewer replicas than this.
pub fn least_moves(case: &Case) -> usize {
    let Side { members, zones, rows } = &case.after;
    let (q, n) = (u32::try_from(rows.len()).unwrap_or(u32::MAX), case.n);
    let loads = fairest(zones, q, n);
    let cap = zone_cap(zones, n);
    let mut net: DiGraph<(), u32> = DiGraph::new();
    let (source, sink) = (net.add_node(()), net.add_node(()));
    let of_member: Vec<NodeIndex> = members.iter().map(|_| net.add_node(())).collect();
    for group in groups(zones, &loads, q, n) {
        let more = net.add_node(());
        net.add_edge(more, sink, group.spare);
        for member in group.members {
            net.add_edge(of_member[member], sink, group.least);
            net.add_edge(of_member[member], more, group.most - group.least);
        }
    }
    let index: BTreeMap<u32, usize> = members.iter().enumerate().map(|(i, &number)| (number, i)).collect();
    for partition in 0..rows.len() {
        let of_partition = net.add_node(());
        net.add_edge(source, of_partition, n);
        let mut of_zone: BTreeMap<u32, NodeIndex> = BTreeMap::new();
        for member in case.before.holders(partition).filter_map(|number| index.get(&number).copied()) {
            let zone = *of_zone.entry(zones[member]).or_insert_with(|| {
                let zone = net.add_node(());
                net.add_edge(of_partition, zone, cap);
                zone
            });
            net.add_edge(zone, of_member[member], 1);
        }
    }
    let (stay, _) = dinics(&net, source, sink);
    q as usize * n as usize - stay as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Shape;

    #[test]
    fn the_fairest_loads_are_even_until_a_zone_is_full() {
        assert_eq!(fairest(&[0, 0, 0], 8, 3), [8, 8, 8]);
        assert_eq!(fairest(&[0; 5], 8, 3), [5, 5, 5, 5, 4]);
        // Three zones and N = 3: each holds each partition once.
        assert_eq!(fairest(&[0, 1, 2, 2], 8, 3), [8, 8, 4, 4]);
        assert_eq!(fairest(&[0, 1, 2, 3, 3, 3, 3], 8, 3), [6, 5, 5, 2, 2, 2, 2], "8 for the last zone");
    }

    /// By hand: one partition of two on each of two members, and a third member comes.
    #[test]
    fn what_has_to_move_is_what_cannot_stay() {
        let side = |members: &[u32], zones: &[u32], rows: &[&[u16]]| Side {
            members: members.to_vec(),
            zones: zones.to_vec(),
            rows: rows.iter().map(|row| row.to_vec()).collect(),
        };
        let before = side(&[0, 1], &[0, 0], &[&[0, 1], &[1, 0], &[0, 1], &[0, 1]]);
        let after = side(&[0, 1, 2], &[0, 0, 0], &[&[0, 2], &[1, 2], &[0, 1], &[0, 1]]);
        let case = Case { shape: Shape::Even, zones: 1, n: 2, before, after };
        assert_eq!((least_moves(&case), case.moved()), (2, 2));
        // The two old ones share a zone now: each partition has to leave one of them.
        let mut apart = case;
        apart.after.zones = vec![0, 0, 1];
        assert_eq!(least_moves(&apart), 4);
    }
}
