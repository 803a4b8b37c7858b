//! The words of the design, one property each. How many moves are needed is computed by other means than the planner's:
//! see `exchange`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::LayoutError;

mod exchange;

const CLUSTER: ClusterId = ClusterId([7; 16]);

fn member(number: usize, zone: u8) -> Member {
    let mut id = [0; 16];
    // Against the order of names.
    id[0] = 255 - u8::try_from(number).unwrap();
    let zone = if zone == 0 { String::new() } else { format!("zone-{zone}") };
    Member {
        name: format!("cart-{number}"),
        node_id: NodeId(id),
        zone,
        address: format!("cart-{number}:7000"),
        weight: 1,
    }
}

fn unzoned(count: usize) -> Vec<Member> {
    (0..count).map(|i| member(i, 0)).collect()
}

fn q(count: u32) -> Partitions {
    Partitions::new(count).unwrap()
}

fn loads(layout: &Layout) -> Vec<usize> {
    layout.members().iter().map(|m| layout.partitions_of(&m.node_id).count()).collect()
}

fn tokens(layout: &Layout) -> Vec<usize> {
    layout.members().iter().map(|m| layout.tokens_of(&m.node_id).count()).collect()
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().unwrap() - counts.iter().min().unwrap()
}

/// The most replicas of one partition in one zone.
fn crowding(layout: &Layout) -> usize {
    let crowd = |p| {
        let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
        layout.holders(p).for_each(|m| *zones.entry(&m.zone).or_default() += 1);
        zones.into_values().max().unwrap()
    };
    layout.partitions().iter().map(crowd).max().unwrap()
}

/// A pool of members with zones, and subsets of it to pass through; each subset has enough members for N.
#[derive(Debug, Clone)]
struct Journey {
    q: Partitions,
    n: u8,
    stops: Vec<Vec<Member>>,
}

fn journeys(zones: u8) -> impl Strategy<Value = Journey> {
    weighted_journeys(zones, 1)
}

/// Each member of the pool has a weight from 1 to `heaviest`.
fn weighted_journeys(zones: u8, heaviest: u16) -> impl Strategy<Value = Journey> {
    (3u32..=6, 1u8..=4).prop_flat_map(move |(bits, n)| {
        let stop = prop::collection::btree_set(0usize..14, usize::from(n)..=13);
        let zone_of = prop::collection::vec(0..zones, 14);
        let weight_of = prop::collection::vec(1..=heaviest, 14);
        (zone_of, weight_of, prop::collection::vec(stop, 2..5)).prop_map(
            move |(zone_of, weight_of, stops)| {
                let member = |i: usize| Member { weight: weight_of[i], ..member(i, zone_of[i]) };
                let stops = stops.into_iter().map(|stop| stop.into_iter().map(member).collect()).collect();
                Journey { q: q(1 << bits), n, stops }
            },
        )
    })
}

impl Journey {
    fn layouts(&self) -> Vec<Layout> {
        let mut layouts = vec![first(&self.stops[0], self.q, self.n, CLUSTER).unwrap()];
        for (stop, epoch) in self.stops[1..].iter().zip(2..) {
            layouts.push(plan(layouts.last().unwrap(), stop, epoch).unwrap());
        }
        layouts
    }
}

/// A stable layout that no planner made: any rows whatever.
fn arbitrary_stable() -> impl Strategy<Value = Layout> {
    (3u32..=5, 1usize..=3, 3usize..=8).prop_flat_map(|(bits, n, count)| {
        let row = Just((0u16..).take(count).collect::<Vec<_>>()).prop_shuffle();
        (prop::collection::vec(row, 1 << bits), prop::collection::vec(0u8..3, count)).prop_map(
            move |(mut rows, zones)| {
                for row in &mut rows {
                    row.truncate(n);
                }
                let members = zones.iter().enumerate().map(|(i, &zone)| member(i, zone)).collect();
                Layout::new(5, CLUSTER, q(1 << bits), u8::try_from(n).unwrap(), members, &rows).unwrap()
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn deterministic(journey in journeys(4), seed in any::<u64>()) {
        let mut turned = journey.clone();
        for stop in &mut turned.stops {
            let by = usize::try_from(seed % 97).unwrap() % stop.len();
            stop.rotate_left(by);
            stop.swap(0, by);
        }
        prop_assert_eq!(journey.layouts(), turned.layouts());
    }

    #[test]
    fn balanced_to_within_one(journey in journeys(1)) {
        for layout in journey.layouts() {
            prop_assert!(spread(&loads(&layout)) <= 1, "{:?}", loads(&layout));
            prop_assert!(spread(&tokens(&layout)) <= 1, "{:?}", tokens(&layout));
        }
    }

    #[test]
    fn balanced_as_far_as_zones_allow(journey in journeys(5)) {
        for layout in journey.layouts() {
            prop_assert_eq!(exchange::fairer(&layout, crowding(&layout)), None, "{:?}", loads(&layout));
        }
    }

    /// And as far as no member can hold a partition twice.
    #[test]
    fn balanced_by_weight(journey in weighted_journeys(5, 6)) {
        for layout in journey.layouts() {
            prop_assert_eq!(exchange::fairer(&layout, crowding(&layout)), None, "{:?}", loads(&layout));
        }
    }

    /// Without zones, and where no weight asks for more than everything: the fair share, rounded down or up.
    #[test]
    fn replicas_and_tokens_go_by_weight(journey in weighted_journeys(1, 6)) {
        for layout in journey.layouts() {
            let weight: usize = layout.members().iter().map(|m| usize::from(m.weight)).sum();
            let (q, n) = (layout.partitions().count(), usize::from(layout.n()));
            for (member, load) in layout.members().iter().zip(loads(&layout)) {
                let share = q * n * usize::from(member.weight);
                let over = layout.members().iter().any(|m| q * n * usize::from(m.weight) > q * weight);
                prop_assert!(over || (share / weight..=share.div_ceil(weight)).contains(&load), "{:?}", member);
            }
        }
    }

    #[test]
    fn zones_apart(journey in weighted_journeys(5, 3)) {
        for layout in journey.layouts() {
            let zones: BTreeSet<&str> = layout.members().iter().map(|m| m.zone.as_str()).collect();
            let room = |cap: usize| -> usize {
                let size = |zone| layout.members().iter().filter(|m| m.zone == zone).count();
                zones.iter().map(|&zone| size(zone).min(cap)).sum()
            };
            let n = usize::from(layout.n());
            let crowd = crowding(&layout);
            prop_assert!(crowd >= n.div_ceil(zones.len()));
            prop_assert!(crowd == 1 || room(crowd - 1) < n, "{} to a zone, but {} would do", crowd, crowd - 1);
        }
    }

    #[test]
    fn never_fewer_moves_than_loads_alone_demand(journey in journeys(1)) {
        for pair in journey.layouts().windows(2) {
            prop_assert!(moves(&pair[0], &pair[1]).len() >= exchange::least_moves(&pair[0], &pair[1]));
        }
    }

    /// This is "moves the fewest", exactly: for any zones, or none.
    #[test]
    fn no_exchange_saves_a_move(journey in journeys(5)) {
        for pair in journey.layouts().windows(2) {
            prop_assert!(!exchange::cheaper(&pair[0], &pair[1]));
        }
    }

    /// The same with weights, which change on the way.
    #[test]
    fn no_exchange_saves_a_move_whatever_members_weigh(
        journey in weighted_journeys(4, 5), weights in prop::collection::vec(1u16..=5, 14)
    ) {
        let mut journey = journey;
        let mut again = journey.stops[0].clone();
        again.iter_mut().zip(weights).for_each(|(member, weight)| member.weight = weight);
        journey.stops.push(again.clone());
        again[0].weight += 1;
        journey.stops.push(again);
        for pair in journey.layouts().windows(2) {
            prop_assert!(!exchange::cheaper(&pair[0], &pair[1]));
        }
    }

    #[test]
    fn the_same_holds_from_a_layout_that_was_never_balanced(
        stable in arbitrary_stable(), added in 0usize..4, removed in 0usize..4
    ) {
        let keep = stable.members().len().saturating_sub(removed).max(usize::from(stable.n()));
        let mut members = stable.members()[..keep].to_vec();
        members.extend((0..added).map(|i| member(20 + i, 1)));
        prop_assume!(members != stable.members());
        let next = plan(&stable, &members, 6).unwrap();
        prop_assert_eq!(exchange::fairer(&next, crowding(&next)), None);
        prop_assert!(!exchange::cheaper(&stable, &next));
    }

    #[test]
    fn an_abort_changes_nothing_but_the_epoch(stable in arbitrary_stable()) {
        let again = plan(&stable, stable.members(), 9).unwrap();
        prop_assert_eq!(again.epoch(), 9);
        prop_assert_eq!(moves(&stable, &again), vec![]);
        for p in stable.partitions().iter() {
            prop_assert_eq!(stable.row(p), again.row(p));
        }
    }

    #[test]
    fn moves_are_exactly_the_gains(journey in journeys(3)) {
        for pair in journey.layouts().windows(2) {
            let held = |layout: &Layout| -> BTreeSet<(Partition, NodeId)> {
                let row = |p| layout.holders(p).map(move |m| (p, m.node_id));
                layout.partitions().iter().flat_map(row).collect()
            };
            let gained: Vec<_> = held(&pair[1]).difference(&held(&pair[0])).copied().collect();
            let mut moved: Vec<_> =
                moves(&pair[0], &pair[1]).iter().map(|m| (m.partition, m.member)).collect();
            moved.sort_unstable();
            prop_assert_eq!(moved, gained);
        }
    }
}

/// Every size and every step up to eight, as an operator takes them: the very number that the loads demand.
#[test]
fn moves_the_fewest_at_every_size() {
    for count in 3..=64usize {
        let stable = first(&unzoned(count), q(64), 3, CLUSTER).unwrap();
        for next in count.saturating_sub(8).max(3)..=(count + 8).min(64) {
            let next = plan(&stable, &unzoned(next), 2).unwrap();
            let least = if next.members().len() == count { 0 } else { exchange::least_moves(&stable, &next) };
            assert_eq!(moves(&stable, &next).len(), least, "{count} to {}", next.members().len());
        }
    }
}

#[test]
fn what_cannot_be_planned_is_said() {
    let stable = first(&unzoned(3), q(8), 3, CLUSTER).unwrap();
    assert_eq!(plan(&stable, &unzoned(4), 1).unwrap_err(), PlanError::Epoch { stable: 1, epoch: 1 });
    let few = plan(&stable, &unzoned(2), 2).unwrap_err();
    assert_eq!(few.to_string(), "2 members cannot hold 3 replicas of each partition");
    let mut twice = unzoned(4);
    twice[3].node_id = twice[0].node_id;
    assert!(matches!(first(&twice, q(8), 3, CLUSTER), Err(PlanError::Layout(LayoutError::NodeTwice(_)))));
}

#[test]
fn a_new_disk_under_an_old_name_gains_what_the_lost_one_held() {
    let stable = first(&unzoned(5), q(64), 3, CLUSTER).unwrap();
    let mut members = unzoned(5);
    let lost = std::mem::replace(&mut members[2].node_id, NodeId([0xee; 16]));
    let next = plan(&stable, &members, 2).unwrap();
    let moved = moves(&stable, &next);
    assert!(moved.iter().all(|m| m.member == members[2].node_id));
    assert!(moved.len().abs_diff(stable.partitions_of(&lost).count()) <= 1);
}

#[test]
fn a_weight_that_changes_moves_what_it_asks_for() {
    let stable = first(&unzoned(4), q(64), 3, CLUSTER).unwrap();
    assert_eq!(loads(&stable), [48; 4]);
    let mut members = unzoned(4);
    members[3].weight = 2;
    let next = plan(&stable, &members, 2).unwrap();
    // 192 over a weight of 5 would be 76 of 64 for the heavy one: it holds everything, the others share the rest.
    let mut shares = loads(&next);
    shares.sort_unstable();
    assert_eq!(shares, [42, 43, 43, 64]);
    assert_eq!(moves(&stable, &next).len(), 16);
    assert!(moves(&stable, &next).iter().all(|m| m.member == members[3].node_id));
}

#[test]
fn owners_stay_where_balance_lets_them() {
    let stable = first(&unzoned(4), q(64), 3, CLUSTER).unwrap();
    let next = plan(&stable, &unzoned(5), 2).unwrap();
    let changed = q(64).iter().filter(|&p| stable.owner(p) != next.owner(p)).count();
    assert!(changed <= 64 / 5 + 1, "{changed} tokens change their owner for the 12 that the new member gets");
}

/// What a new member takes comes from everyone, and what a leaving one held goes to everyone.
#[test]
fn moves_are_spread_over_members() {
    let stable = first(&unzoned(16), q(256), 3, CLUSTER).unwrap();
    let shared = |a: &Member, b: &Member| {
        stable.partitions_of(&a.node_id).filter(|&p| stable.holds(&b.node_id, p)).count()
    };
    for a in stable.members() {
        let partners = stable.members().iter().filter(|b| a != *b && shared(a, b) > 0).count();
        assert!(partners >= 12, "{} shares its partitions with {partners} others only", a.name);
    }
}
