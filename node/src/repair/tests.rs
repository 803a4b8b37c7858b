//! Whose turn it is, and what is on whose disk after a round.

use std::collections::BTreeMap;

use dynamo_ring::{Partition, Record};

use super::*;
use crate::hint::testing::{Fabric, data_key, keys, state};
use crate::layout::state::tests::{fresh, member_id, members, standing};
use crate::merkle::MerkleHash;
use crate::pace::Pace;
use crate::store::{MergeMany, MetaKey, PutMeta, Summary};
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
        AntiEntropy::new(fabric.exchange(0), Pace::unbound(), metrics.clone(), anti_entropy::INTERVAL);
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

/// Three members of eight partitions with the same 40 keys, and the worker of the first.
async fn alike() -> (Fabric, AntiEntropy, RepairMetrics) {
    let record = fresh(3);
    let fabric = Fabric::new(3, &record).await;
    for key in keys(&record, |_| true).take(40) {
        for i in 0..3 {
            fabric.machine(i).keep(&key, 10, None, 0).await;
        }
    }
    let metrics = RepairMetrics::default();
    let worker =
        AntiEntropy::new(fabric.exchange(0), Pace::unbound(), metrics.clone(), anti_entropy::INTERVAL);
    (fabric, worker, metrics)
}

#[tokio::test]
async fn a_cycle_in_which_nothing_differs_costs_one_small_round_trip_a_member() {
    let (fabric, mut worker, metrics) = alike().await;
    fabric.traffic();
    for _ in 0..2 {
        worker.turn().await;
    }
    let traffic = fabric.traffic();
    assert_eq!((traffic.trips, traffic.descents), (2, 0), "one for each other member");
    assert!(traffic.bytes < 2 * 100, "{} bytes", traffic.bytes);
    assert_eq!(metrics.counts(), [2, 0, 0, 0, 0]);
}

#[tokio::test]
async fn partitions_that_differ_by_one_key_share_their_messages() {
    let (fabric, mut worker, metrics) = alike().await;
    for p in 0..8 {
        let key = keys(&fresh(3), |partition| partition.0 == p).nth(30).unwrap();
        fabric.machine(1).keep(&key, 11, None, 0).await;
    }
    fabric.traffic();
    worker.turn().await;
    assert_eq!(metrics.counts(), [1, 0, 8, 8, 0]);
    let traffic = fabric.traffic();
    // As deep as the deepest, not the sum of them; and a fetch for each partition.
    assert!(traffic.descents <= 4, "{traffic:?}");
    assert_eq!(traffic.trips, 1 + traffic.descents + 8);
}

/// It knows neither the hash over all shared roots nor more than one partition in a request: its answers are taken for
/// neither agreement nor difference.
#[tokio::test]
async fn a_member_of_an_earlier_release_is_asked_as_it_understands() {
    let (fabric, mut worker, metrics) = alike().await;
    fabric.is_of_an_earlier_release(1);
    worker.turn().await;
    assert_eq!(metrics.counts(), [1, 0, 0, 0, 0]);
    worker.turn().await;
    for p in 0..8 {
        let key = keys(&fresh(3), |partition| partition.0 == p).nth(30).unwrap();
        fabric.machine(u8::from(p < 4)).keep(&key, 11, None, 0).await;
    }
    worker.turn().await;
    let roots = |i| fabric.machine(i).local.summaries().unwrap();
    assert_eq!(roots(0), roots(1));
    assert_eq!(metrics.counts(), [3, 0, 8, 4, 4]);
}

#[tokio::test]
async fn one_difference_among_10_000_keys_is_found_in_a_few_small_messages() {
    let record = fresh(3);
    let fabric = Fabric::new(2, &record).await;
    let all: Vec<_> = keys(&record, |_| true).take(10_000).collect();
    for i in 0..2 {
        for some in all.chunks(1000) {
            let entries = some.iter().map(|key| (data_key(key), state(10).encode())).collect();
            fabric.machine(i).run(MergeMany { entries, hint: None, from: None }).await;
        }
    }
    fabric.machine(1).keep(&all[4321], 11, None, 0).await;
    let mut worker = AntiEntropy::new(
        fabric.exchange(0),
        Pace::unbound(),
        RepairMetrics::default(),
        anti_entropy::INTERVAL,
    );
    fabric.traffic();
    worker.turn().await;
    let traffic = fabric.traffic();
    assert_eq!(fabric.machine(0).has(&all[4321]), Some(state(10).merge(&state(11))));
    assert!(traffic.bytes < 4096 && traffic.trips <= 8, "{traffic:?}");
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
        AntiEntropy::new(fabric.exchange(0), Pace::unbound(), metrics.clone(), anti_entropy::INTERVAL);
    worker.turn().await;
    assert_eq!(metrics.counts()[..2], [0, 1]);
    worker.turn().await;
    assert_eq!(fabric.machine(2).has(&key), Some(state(7)));
    assert_eq!(fabric.machine(1).has(&key), None);
}

/// The root in a member's summary is wrong, and its tree is right: the descent finds nothing, whatever is repaired.
#[tokio::test]
async fn roots_that_stand_after_a_repair_have_the_tree_made_anew_once() {
    let (fabric, mut worker, metrics) = alike().await;
    let right = fabric.machine(0).local.summaries().unwrap();
    let wrong =
        Summary { root: MerkleHash([9; 16]), ..fabric.machine(0).local.summary(Partition(3)).unwrap() };
    fabric.machine(0).run(PutMeta::one(MetaKey::Summary(Partition(3)), Some(wrong.encode()))).await;
    // Two others: each is met, and repaired with in vain.
    for _ in 0..2 {
        worker.turn().await;
    }
    assert_eq!((metrics.rebuilds(), metrics.counts()), (0, [2, 0, 2, 0, 0]));
    worker.turn().await;
    assert_eq!(metrics.rebuilds(), 1);
    assert_eq!(fabric.machine(0).local.summaries().unwrap(), right);
    for _ in 0..4 {
        worker.turn().await;
    }
    assert_eq!((metrics.rebuilds(), metrics.counts()), (1, [7, 0, 3, 0, 0]));
}

#[tokio::test]
async fn what_a_peer_has_wrong_is_made_anew_there_and_here_at_most_once() {
    let (fabric, mut worker, metrics) = alike().await;
    let wrong =
        Summary { root: MerkleHash([9; 16]), ..fabric.machine(1).local.summary(Partition(3)).unwrap() };
    fabric.machine(1).run(PutMeta::one(MetaKey::Summary(Partition(3)), Some(wrong.encode()))).await;
    for _ in 0..12 {
        worker.turn().await;
    }
    assert_eq!(metrics.rebuilds(), 1, "once for this pair, however long the other side takes");
    let theirs = RepairMetrics::default();
    let mut other =
        AntiEntropy::new(fabric.exchange(1), Pace::unbound(), theirs.clone(), anti_entropy::INTERVAL);
    for _ in 0..4 {
        other.turn().await;
    }
    assert_eq!(theirs.rebuilds(), 1);
    let roots = |i| fabric.machine(i).local.summaries().unwrap();
    assert_eq!(roots(1), roots(0));
}
