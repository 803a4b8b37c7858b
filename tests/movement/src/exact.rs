//! The fewest moves of any placement that is as even as zones allow: a flow of least cost over all pairs of partition and
//! member, where a pair that exists costs nothing. Slow, and so asked only where a change is above the lower bound.

use std::collections::{BTreeMap, VecDeque};

use crate::bound::{fairest, groups, zone_cap};
use crate::case::{Case, Side};

struct Edge {
    to: usize,
    room: u32,
    cost: i32,
}

/// A network of residual edges; edge `2 i + 1` is the way back of edge `2 i`.
#[derive(Default)]
struct Net {
    edges: Vec<Edge>,
    out: Vec<Vec<usize>>,
}

impl Net {
    fn node(&mut self) -> usize {
        self.out.push(Vec::new());
        self.out.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, room: u32, cost: i32) {
        self.out[from].push(self.edges.len());
        self.edges.push(Edge { to, room, cost });
        self.out[to].push(self.edges.len());
        self.edges.push(Edge { to: from, room: 0, cost: -cost });
    }

    /// The cheapest way with room (Bellman and Ford, with a queue), as edges from its end; nothing if there is none.
    fn cheapest(&self, source: usize, sink: usize) -> Option<(Vec<usize>, i32)> {
        let mut cost = vec![i32::MAX; self.out.len()];
        let mut by = vec![usize::MAX; self.out.len()];
        let mut waits = vec![false; self.out.len()];
        let mut queue = VecDeque::from([source]);
        cost[source] = 0;
        while let Some(node) = queue.pop_front() {
            waits[node] = false;
            for &at in &self.out[node] {
                let edge = &self.edges[at];
                if edge.room > 0 && cost[node] + edge.cost < cost[edge.to] {
                    cost[edge.to] = cost[node] + edge.cost;
                    by[edge.to] = at;
                    if !std::mem::replace(&mut waits[edge.to], true) {
                        queue.push_back(edge.to);
                    }
                }
            }
        }
        if cost[sink] == i32::MAX {
            return None;
        }
        let (mut way, mut node) = (Vec::new(), sink);
        while node != source {
            way.push(by[node]);
            node = self.edges[by[node] ^ 1].to;
        }
        Some((way, cost[sink]))
    }

    /// The least cost of as much flow as there can be.
    fn least_cost(mut self, source: usize, sink: usize) -> i32 {
        let mut total = 0;
        while let Some((way, cost)) = self.cheapest(source, sink) {
            let much = way.iter().map(|&at| self.edges[at].room).min().unwrap_or(0);
            for at in way {
                self.edges[at].room -= much;
                self.edges[at ^ 1].room += much;
            }
            total += cost * i32::try_from(much).unwrap_or(i32::MAX);
        }
        total
    }
}

/// The fewest replicas that any change to these members has to copy.
pub fn least_moves(case: &Case) -> usize {
    let Side { members, zones, rows } = &case.after;
    let (q, n) = (u32::try_from(rows.len()).unwrap_or(u32::MAX), case.n);
    let (loads, cap) = (fairest(zones, q, n), zone_cap(zones, n));
    let mut net = Net::default();
    let (source, sink) = (net.node(), net.node());
    let of_member: Vec<usize> = members.iter().map(|_| net.node()).collect();
    for group in groups(zones, &loads, q, n) {
        let more = net.node();
        net.edge(more, sink, group.spare, 0);
        for member in group.members {
            net.edge(of_member[member], sink, group.least, 0);
            net.edge(of_member[member], more, group.most - group.least, 0);
        }
    }
    for partition in 0..rows.len() {
        let of_partition = net.node();
        net.edge(source, of_partition, n, 0);
        let held: Vec<u32> = case.before.holders(partition).collect();
        let mut of_zone: BTreeMap<u32, usize> = BTreeMap::new();
        for (member, number) in members.iter().enumerate() {
            let zone = *of_zone.entry(zones[member]).or_insert_with(|| {
                let zone = net.node();
                net.edge(of_partition, zone, cap, 0);
                zone
            });
            net.edge(zone, of_member[member], 1, i32::from(!held.contains(number)));
        }
    }
    usize::try_from(net.least_cost(source, sink)).unwrap_or(0)
}
