//! Whose turn it is, and what is on whose disk after a round.

use std::collections::BTreeMap;

use dynamo_ring::{Partition, Record};

use super::*;
use crate::hint::testing::{Fabric, keys, state};
use crate::layout::state::tests::{fresh, member_id, members, standing};
use crate::transfer::Pace;
use crate::worker::Worker;

#[test]
fn everyone_that_can_be_asked_has_its_turn() {
    let shared = BTreeMap::from([1, 2, 3].map(|i| (member_id(i), vec![Partition(0)])));
    let mut last = None;
    let mut turns = Vec::new();
    for _ in 0..5 {
        last = rota::next(&shared, last, |node| node != member_id(2));
        turns.extend(last);
    }
    assert_eq!(turns, [1, 3, 1, 3, 1].map(member_id));
    assert_eq!(rota::next(&shared, last, |_| false), None);
    assert_eq!(rota::next(&shared, Some(member_id(9)), |_| true), Some(member_id(1)));
}

#[test]
fn what_a_target_newly_gives_is_compared_only_from_the_freeze_on() {
    let proposed = fresh(3).propose(&members(0..4)).unwrap();
    let frozen = proposed.freeze().unwrap();
    let target = &frozen.target().unwrap().layout;
    let gained: Vec<Partition> = target.partitions_of(&member_id(3)).collect();
    assert!(!gained.is_empty());
    let with = |i, record: &Record, peer: u8| {
        rota::shared(&standing(i, record)).remove(&member_id(peer)).unwrap_or_default()
    };
    assert_eq!((with(0, &proposed, 3), with(3, &proposed, 0)), (vec![], vec![]));
    assert_eq!(with(0, &proposed, 1).len(), 8);
    // Each of the three holds everything in S.
    assert_eq!((with(0, &frozen, 3), with(3, &frozen, 0)), (gained.clone(), gained));
}

#[test]
fn a_lost_member_is_never_compared_with() {
    let record = fresh(4).lost(&member_id(1)).unwrap();
    assert!(!rota::shared(&standing(0, &record)).contains_key(&member_id(1)));
}

#[tokio::test]
async fn rounds_bring_all_replicas_to_the_same_roots_and_then_move_nothing() {
    let record = fresh(3);
    let fabric = Fabric::new(3, &record).await;
    let keys: Vec<String> = keys(&record, |_| true).take(40).collect();
    for (n, key) in keys.iter().enumerate() {
        let i = u8::try_from(n % 3).unwrap();
        fabric.machine(i).keep(key, 10 + u64::from(i), None, 0).await;
    }
    // One that two members have in versions that know nothing of each other.
    fabric.machine(1).keep(&keys[0], 99, None, 0).await;

    let metrics = RepairMetrics::default();
    let mut worker =
        AntiEntropy::new(fabric.exchange(0), Pace::new(0), metrics.clone(), anti_entropy::INTERVAL);
    for _ in 0..3 {
        worker.turn().await;
    }
    let roots = |i| fabric.machine(i).local.summaries().unwrap();
    assert_eq!(roots(0).iter().map(|(_, summary)| summary.keys).sum::<u64>(), 40);
    assert_eq!((roots(1), roots(2)), (roots(0), roots(0)));
    assert_eq!(fabric.machine(2).has(&keys[0]), Some(state(10).merge(&state(99))));

    let moved = metrics.counts();
    fabric.stored();
    worker.turn().await;
    worker.turn().await;
    assert_eq!(fabric.stored(), []);
    assert_eq!(metrics.counts(), [moved[0] + 2, moved[1], moved[2], moved[3], moved[4]]);
    assert_eq!(moved[1], 0, "no round failed");
}

#[tokio::test]
async fn a_member_that_fails_does_not_keep_the_others_waiting() {
    let record = fresh(3);
    let fabric = Fabric::new(3, &record).await;
    let key = keys(&record, |_| true).next().unwrap();
    fabric.machine(0).keep(&key, 7, None, 0).await;
    // Behind by a layout: it refuses, though it is up.
    let next = record.propose(&members(0..4)).unwrap().freeze().unwrap();
    for i in [0, 2] {
        fabric.machine(i).take(&next).await;
    }
    let metrics = RepairMetrics::default();
    let mut worker =
        AntiEntropy::new(fabric.exchange(0), Pace::new(0), metrics.clone(), anti_entropy::INTERVAL);
    worker.turn().await;
    assert_eq!(metrics.counts()[..2], [0, 1]);
    worker.turn().await;
    assert_eq!(fabric.machine(2).has(&key), Some(state(7)));
    assert_eq!(fabric.machine(1).has(&key), None);
}
