//! Proofs about a finished layout by exchange, without the planner's flows.
//!
//! A unit of load may pass from member x to member y if some partition that x holds and y does not may be held by y
//! in its place, with zones kept apart. A layout is as fair as can be if no such passing on, over any number of
//! members, takes a unit to a member that has at least two less (of equal weight); and it has the fewest moves if no closed round of
//! passing on saves one. (Both are the classical optimality conditions: a local one implies the global one.)

use std::collections::BTreeMap;

use super::super::bounds::Bounds;
use super::{Layout, Partition, crowding, loads};

const NEVER: i32 = i32::MAX / 4;

/// For each pair of members, the moves that it costs to pass one unit from the first to the second.
fn passing(before: Option<&Layout>, layout: &Layout, cap: usize) -> Vec<Vec<i32>> {
    let members = layout.members();
    let mut cost = vec![vec![NEVER; members.len()]; members.len()];
    let is_move = |i: usize, p: Partition| {
        i32::from(before.is_some_and(|before| !before.holds(&members[i].node_id, p)))
    };
    for p in layout.partitions().iter() {
        let mut in_zone: BTreeMap<&str, usize> = BTreeMap::new();
        layout.holders(p).for_each(|m| *in_zone.entry(&m.zone).or_default() += 1);
        let row: Vec<usize> = layout.row(p).iter().map(|&i| usize::from(i)).collect();
        for &x in &row {
            for y in (0..members.len()).filter(|y| !row.contains(y)) {
                let same_zone = members[x].zone == members[y].zone;
                if same_zone || in_zone.get(members[y].zone.as_str()).is_none_or(|&count| count < cap) {
                    cost[x][y] = cost[x][y].min(is_move(y, p) - is_move(x, p));
                }
            }
        }
    }
    cost
}

/// Cheapest ways over any number of members (Floyd and Warshall). A negative diagonal is a round that saves.
fn close(cost: &mut [Vec<i32>]) {
    for via in 0..cost.len() {
        for x in 0..cost.len() {
            for y in 0..cost.len() {
                let through = cost[x][via].saturating_add(cost[via][y]).max(-NEVER);
                if cost[x][via] < NEVER && cost[via][y] < NEVER && through < cost[x][y] {
                    cost[x][y] = through;
                }
            }
        }
    }
}

/// Two members between which a unit could be passed so that the loads, each by its weight, come closer: even then the
/// first would have no less for its weight than the second. With equal weights: it has at least two more.
pub(super) fn fairer(layout: &Layout, cap: usize) -> Option<(usize, usize)> {
    let load = loads(layout);
    let mut cost = passing(None, layout, cap);
    close(&mut cost);
    let pairs = (0..load.len()).flat_map(|x| (0..load.len()).map(move |y| (x, y)));
    let weight: Vec<usize> = layout.members().iter().map(|m| usize::from(m.weight)).collect();
    pairs.into_iter().find(|&(x, y)| {
        cost[x][y] < NEVER && load[x] > 0 && (load[x] - 1) * weight[y] >= (load[y] + 1) * weight[x]
    })
}

/// Whether some exchange within the loads' bounds would save a move.
pub(super) fn cheaper(before: &Layout, layout: &Layout) -> bool {
    let load = loads(layout);
    let bounds = Bounds::new(layout.members(), layout.partitions().get().into(), layout.n().into());
    let mut cost = passing(Some(before), layout, crowding(layout).max(bounds.zone_cap as usize));
    // A unit may also begin at a member that has more than its least, and end at one with less than its most, of the
    // same kind: the sum over zones at their limit is fixed. One hub for each kind.
    for at_limit in [false, true] {
        let hub = cost.len();
        for row in &mut cost {
            row.push(NEVER);
        }
        cost.push(vec![NEVER; hub + 1]);
        for (i, share) in bounds.load.iter().enumerate().filter(|(_, share)| share.at_limit == at_limit) {
            if load[i] > share.least as usize {
                cost[hub][i] = 0;
            }
            if load[i] < share.most as usize {
                cost[i][hub] = 0;
            }
        }
    }
    close(&mut cost);
    (0..cost.len()).any(|i| cost[i][i] < 0)
}

/// What the loads alone demand without zones, in closed form: all replicas less those that can stay. Each
/// member keeps at most the floor of the average, and one more on as many members as there are units left over, best
/// on those that have the most. No placement is better. With a handful of partitions none may be as good: the member
/// with room left may hold each of the partitions that look for one.
pub(super) fn least_moves(before: &Layout, after: &Layout) -> usize {
    let total = after.partitions().count() * usize::from(after.n());
    let (floor, spare) = (total / after.members().len(), total % after.members().len());
    let mut stays: Vec<usize> =
        after.members().iter().map(|m| before.partitions_of(&m.node_id).count()).collect();
    stays.sort_unstable_by(|a, b| b.cmp(a));
    let allowed = |rank: usize| floor + usize::from(rank < spare);
    total - stays.iter().enumerate().map(|(rank, &has)| has.min(allowed(rank))).sum::<usize>()
}
