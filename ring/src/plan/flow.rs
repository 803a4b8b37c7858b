//! Flows of least cost through a network of small whole numbers.
//!
//! Successive shortest paths, in the primal-dual form: node potentials keep every residual arc's reduced cost at zero
//! or more, and all paths of one cost are filled together by Dinic's blocking flows. Costs here are 0 and 1, so there
//! are only a few different path costs, and a phase is a handful of passes over the arcs. After each phase the flow is
//! the cheapest of its size.
//!
//! Arcs are tried in the order in which they were added, which is how the caller decides between equals.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A node, numbered by the caller.
pub(super) type Node = u32;

/// An arc, as returned by [`Network::arc`]. Its residual twin differs in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arc(u32);

impl Arc {
    const fn index(self) -> usize {
        self.0 as usize
    }

    const fn twin(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// One direction of an arc.
struct Half {
    to: Node,
    /// Units that still fit.
    room: u32,
    cost: i32,
}

/// A network with one source and one sink.
pub(super) struct Network {
    source: Node,
    sink: Node,
    halves: Vec<Half>,
    leaving: Vec<Vec<Arc>>,
    potential: Vec<i32>,
}

const UNSEEN: u32 = u32::MAX;

impl Network {
    /// Nodes `0..nodes`, without arcs.
    pub(super) fn new(nodes: usize, source: Node, sink: Node) -> Self {
        Self { source, sink, halves: Vec::new(), leaving: vec![Vec::new(); nodes], potential: vec![0; nodes] }
    }

    /// Adds an arc. Its cost is zero or more.
    pub(super) fn arc(&mut self, from: Node, to: Node, room: u32, cost: u8) -> Arc {
        let arc = Arc(u32::try_from(self.halves.len()).unwrap_or(u32::MAX));
        let cost = i32::from(cost);
        self.halves.push(Half { to, room, cost });
        self.halves.push(Half { to: from, room: 0, cost: -cost });
        self.leaving[from as usize].push(arc);
        self.leaving[to as usize].push(arc.twin());
        arc
    }

    /// Lets `more` units through an arc into the sink.
    ///
    /// Doing so between two calls of [`fill`](Self::fill) sets priorities: what was filled before stays, as if the
    /// first units were worth more than any cost.
    pub(super) fn widen(&mut self, into_sink: Arc, more: u32) {
        debug_assert_eq!(self.half(into_sink).to, self.sink);
        self.halves[into_sink.index()].room += more;
    }

    /// The units that flow through an arc.
    pub(super) fn flow(&self, arc: Arc) -> u32 {
        self.half(arc.twin()).room
    }

    /// Adds as many units as fit, as cheaply as possible, and returns how many.
    ///
    /// Nothing is ever taken back out of the sink, so the flow through each arc into it only grows.
    pub(super) fn fill(&mut self) -> u32 {
        self.settle_sink();
        let mut units = 0;
        while self.lower_costs() {
            while let Some(levels) = self.levels() {
                units += self.block(levels);
            }
        }
        units
    }

    fn half(&self, arc: Arc) -> &Half {
        &self.halves[arc.index()]
    }

    /// What an arc costs beyond the difference in potential: never negative on an arc with room.
    fn reduced(&self, from: Node, arc: Arc) -> i32 {
        let half = self.half(arc);
        half.cost + self.potential[from as usize] - self.potential[half.to as usize]
    }

    /// Arcs into the sink may have been widened since the potentials were made.
    fn settle_sink(&mut self) {
        let entering = &self.leaving[self.sink as usize];
        let cheapest = entering
            .iter()
            .filter(|twin| self.half(twin.twin()).room > 0)
            .map(|twin| self.half(twin.twin()).cost + self.potential[self.half(*twin).to as usize])
            .min();
        if let Some(cheapest) = cheapest {
            self.potential[self.sink as usize] = cheapest;
        }
    }

    /// Dijkstra over reduced costs; then shifts the potentials so that the cheapest paths cost nothing. False if the
    /// sink cannot be reached any more.
    fn lower_costs(&mut self) -> bool {
        let mut distance = vec![i32::MAX; self.leaving.len()];
        distance[self.source as usize] = 0;
        let mut queue = BinaryHeap::from([Reverse((0, self.source))]);
        while let Some(Reverse((so_far, node))) = queue.pop() {
            if so_far > distance[node as usize] {
                continue;
            }
            if node == self.sink {
                break;
            }
            for &arc in &self.leaving[node as usize] {
                let half = self.half(arc);
                let through = so_far + self.reduced(node, arc);
                if half.room > 0 && through < distance[half.to as usize] {
                    distance[half.to as usize] = through;
                    queue.push(Reverse((through, half.to)));
                }
            }
        }
        let reach = distance[self.sink as usize];
        if reach == i32::MAX {
            return false;
        }
        // Beyond the sink's distance nothing is exact, and nothing needs to be.
        for (potential, distance) in self.potential.iter_mut().zip(distance) {
            *potential += distance.min(reach);
        }
        true
    }

    /// Steps from the source along arcs that cost nothing; none if they do not lead to the sink.
    fn levels(&self) -> Option<Vec<u32>> {
        let mut level = vec![UNSEEN; self.leaving.len()];
        level[self.source as usize] = 0;
        let mut queue = VecDeque::from([self.source]);
        while let Some(node) = queue.pop_front() {
            if node == self.sink {
                return Some(level);
            }
            for &arc in &self.leaving[node as usize] {
                let half = self.half(arc);
                if half.room > 0 && level[half.to as usize] == UNSEEN && self.reduced(node, arc) == 0 {
                    level[half.to as usize] = level[node as usize] + 1;
                    queue.push_back(half.to);
                }
            }
        }
        None
    }

    /// Fills shortest free paths until each is blocked. Iterative: a path may be as long as the ring.
    fn block(&mut self, mut level: Vec<u32>) -> u32 {
        let mut tried = vec![0; self.leaving.len()];
        let mut path: Vec<Arc> = Vec::new();
        let mut node = self.source;
        let mut units = 0;
        loop {
            if node == self.sink {
                units += self.push(&path);
                // Back to the tail of the first arc that is full now; everything before it has room left.
                let full = path.iter().position(|&arc| self.half(arc).room == 0).unwrap_or(0);
                node = self.half(path[full].twin()).to;
                path.truncate(full);
                continue;
            }
            let onward = self.leaving[node as usize][tried[node as usize]..].iter().position(|&arc| {
                let half = self.half(arc);
                half.room > 0
                    && level[half.to as usize] == level[node as usize] + 1
                    && self.reduced(node, arc) == 0
            });
            if let Some(skipped) = onward {
                tried[node as usize] += skipped;
                let arc = self.leaving[node as usize][tried[node as usize]];
                path.push(arc);
                node = self.half(arc).to;
            } else {
                level[node as usize] = UNSEEN;
                let Some(back) = path.pop() else { return units };
                node = self.half(back.twin()).to;
                tried[node as usize] += 1;
            }
        }
    }

    fn push(&mut self, path: &[Arc]) -> u32 {
        let units = path.iter().map(|&arc| self.half(arc).room).min().unwrap_or(0);
        for &arc in path {
            self.halves[arc.index()].room -= units;
            self.halves[arc.twin().index()].room += units;
        }
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_cheap_path_and_reroutes_when_it_must() {
        // Two workers, two jobs. Cheapest for the first alone is job 2, which the second worker cannot do without.
        let (source, sink) = (0, 5);
        let mut net = Network::new(6, source, sink);
        net.arc(source, 1, 1, 0);
        net.arc(source, 2, 1, 0);
        let costly = net.arc(1, 3, 1, 1);
        let cheap = net.arc(1, 4, 1, 0);
        let only = net.arc(2, 4, 1, 0);
        net.arc(3, sink, 1, 0);
        net.arc(4, sink, 1, 0);
        assert_eq!(net.fill(), 2);
        assert_eq!([costly, cheap, only].map(|arc| net.flow(arc)), [1, 0, 1]);
        assert_eq!(net.fill(), 0, "full is full");
    }

    #[test]
    fn what_was_filled_before_widening_stays() {
        let (source, sink) = (0, 3);
        let mut net = Network::new(4, source, sink);
        net.arc(source, 1, 2, 1);
        net.arc(source, 2, 2, 0);
        let first = net.arc(1, sink, 1, 0);
        let later = net.arc(2, sink, 0, 0);
        assert_eq!(net.fill(), 1);
        net.widen(later, 1);
        net.widen(first, 1);
        assert_eq!(net.fill(), 2);
        assert_eq!((net.flow(first), net.flow(later)), (2, 1));
    }
}
