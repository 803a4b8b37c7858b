//! Placements without a table, to compare with: tokens at random, and what they give to whom (Dynamo, SOSP 2007, sections
//! 4.2, 4.3 and 6.2).

use std::collections::BTreeSet;

use dynamo_ring::Position;

/// The circle has so many points; a token is one of them.
type Point = u128;

/// Who holds what: arcs of the circle by their end, and the members that hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Where each arc ends, in order; the next begins there.
    ends: Vec<Point>,
    /// The holders of each.
    holders: Vec<Vec<u32>>,
}

/// The tokens of members 0 to `members` - 1, in order, `each` for every member, at random but the same every time.
fn tokens(members: u32, each: u32) -> Vec<(Point, u32)> {
    let token = |member: u32, i: u32| {
        u128::from_be_bytes(Position::of(format!("member {member} token {i}").as_bytes()).0)
    };
    let mut tokens: Vec<_> =
        (0..members).flat_map(|member| (0..each).map(move |i| (token(member, i), member))).collect();
    tokens.sort_unstable();
    tokens
}

/// The first `n` different members from the token at `from` on.
fn successors(tokens: &[(Point, u32)], from: usize, n: usize) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::with_capacity(n);
    for (_, member) in tokens[from..].iter().chain(&tokens[..from]) {
        if !found.contains(member) {
            found.push(*member);
        }
        if found.len() == n {
            break;
        }
    }
    found
}

/// Strategy 1: tokens at random, and partitions end where tokens are. One token each is plain consistent hashing; 256 is
/// what stores with virtual nodes do.
pub fn by_token(members: u32, each: u32, n: usize) -> Placement {
    let tokens = tokens(members, each);
    let holders = (0..tokens.len()).map(|at| successors(&tokens, at, n)).collect();
    Placement { ends: tokens.iter().map(|(at, _)| *at).collect(), holders }
}

/// Strategy 2: tokens at random, and equal partitions: each lies on the first `n` members from its end on.
pub fn by_token_and_partition(members: u32, each: u32, partitions: u32, n: usize) -> Placement {
    let tokens = tokens(members, each);
    let ends = ends(partitions);
    let holder = |end: &Point| {
        let from = tokens.partition_point(|(at, _)| at < end);
        successors(&tokens, if from == tokens.len() { 0 } else { from }, n)
    };
    Placement { holders: ends.iter().map(holder).collect(), ends }
}

/// Strategy 3, as this store's planner fills it in: equal partitions, and a table of who holds each.
pub fn by_table(rows: &[Vec<u32>]) -> Placement {
    Placement { ends: ends(u32::try_from(rows.len()).unwrap_or(u32::MAX)), holders: rows.to_vec() }
}

fn ends(partitions: u32) -> Vec<Point> {
    let width = Point::MAX / Point::from(partitions);
    (1..=Point::from(partitions))
        .map(|i| if i == partitions.into() { Point::MAX } else { i * width })
        .collect()
}

#[allow(clippy::cast_precision_loss)] // parts of a circle
fn part(points: Point) -> f64 {
    points as f64 / Point::MAX as f64
}

impl Placement {
    /// Each arc's length, as a part of the circle, and its holders.
    fn arcs(&self) -> impl Iterator<Item = (f64, &[u32])> {
        let starts = self.ends.last().into_iter().chain(&self.ends);
        let arcs = starts.zip(&self.ends).zip(&self.holders);
        arcs.map(|((start, end), holders)| (part(end.wrapping_sub(*start)), holders.as_slice()))
    }

    /// The mean load of members over that of the most loaded one: 1 is even ("load balancing efficiency" of the paper).
    pub fn efficiency(&self, members: u32) -> f64 {
        let mut loads = vec![0.0; members as usize];
        for (length, holders) in self.arcs() {
            for holder in holders {
                loads[*holder as usize] += length;
            }
        }
        let most = loads.iter().copied().fold(0.0, f64::max);
        loads.iter().sum::<f64>() / f64::from(members) / most
    }

    /// The part of the circle, times replicas, that lies on a member that did not have it in `before`.
    pub fn moved_from(&self, before: &Self) -> f64 {
        let cuts: BTreeSet<Point> = self.ends.iter().chain(&before.ends).copied().collect();
        let cuts: Vec<Point> = cuts.into_iter().collect();
        let mut start = cuts.last().copied().unwrap_or_default();
        let mut moved = 0.0;
        for end in cuts {
            let (old, new) = (before.holders_of(end), self.holders_of(end));
            let gained = new.iter().filter(|member| !old.contains(member)).count();
            moved += part(end.wrapping_sub(start)) * f64::from(u32::try_from(gained).unwrap_or(u32::MAX));
            start = end;
        }
        moved
    }

    /// Of the point `at`.
    fn holders_of(&self, at: Point) -> &[u32] {
        let arc = self.ends.partition_point(|end| *end < at);
        &self.holders[if arc == self.ends.len() { 0 } else { arc }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placement_is_whole() {
        for placement in [by_token(10, 8, 3), by_token_and_partition(10, 8, 256, 3)] {
            let whole: f64 = placement.arcs().map(|(length, _)| length).sum();
            assert!((whole - 1.0).abs() < 1e-9, "{whole}");
            assert!(placement.holders.iter().all(|holders| holders.len() == 3));
            assert!(placement.moved_from(&placement).abs() < 1e-9);
        }
    }

    #[test]
    fn an_even_table_is_even_and_a_new_member_takes_what_it_holds() {
        let before = by_table(&[vec![0], vec![1], vec![0], vec![1]]);
        let after = by_table(&[vec![0], vec![1], vec![2], vec![1]]);
        assert!((before.efficiency(2) - 1.0).abs() < 1e-9);
        assert!((after.moved_from(&before) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn more_tokens_are_more_even() {
        assert!(by_token(30, 1, 3).efficiency(30) < by_token(30, 256, 3).efficiency(30));
    }
}
