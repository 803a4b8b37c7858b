//! The deliverer among whole members: what is on whose disk afterwards.

use dynamo_ring::Record;

use super::testing::{Fabric, Machine, Stored, keys, state};
use super::*;
use crate::layout::state::tests::{fresh, member_id, members};
use crate::pace::Pace;
use crate::worker::{Turn, Worker};

fn deliverer(fabric: &Fabric, i: u8) -> (Deliverer, HintMetrics) {
    let metrics = HintMetrics::default();
    (Deliverer::new(fabric.exchange(i), Pace::unbound(), metrics.clone()), metrics)
}

/// Turns until nothing is due.
async fn settle(deliverer: &mut Deliverer) {
    while deliverer.turn().await == Turn::Busy {}
}

/// Four members, and keys that the last does not hold and the first does.
fn foreign() -> (Record, Vec<String>) {
    let record = fresh(4);
    let layout = record.stable();
    let mine = |p| !layout.holds(&member_id(3), p) && layout.holds(&member_id(0), p);
    let keys = keys(&record, mine).take(3).collect();
    (record, keys)
}

#[tokio::test(start_paused = true)]
async fn lesson_7_hints_are_found_again_after_a_restart_and_delivered() {
    let (record, keys) = foreign();
    let fabric = Fabric::new(4, &record).await;
    fabric.cut(0);
    for key in &keys {
        fabric.machine(3).keep(key, 7, Some(0), 5).await;
    }
    let (mut before, _) = deliverer(&fabric, 3);
    settle(&mut before).await;
    assert_eq!(fabric.machine(3).owes(&keys[0]), [member_id(0)], "whose target is down stays");
    drop(before);

    let store = fabric.machine(3).store;
    store.crash();
    fabric.plug(3, Machine::start(3, store, None).await);
    fabric.mend(0);
    let (mut after, metrics) = deliverer(&fabric, 3);
    settle(&mut after).await;

    assert_eq!(fabric.stored(), [Stored { to: member_id(0), entries: 3, hint_for: None }]);
    for key in &keys {
        assert_eq!(fabric.machine(0).has(key), Some(state(7)));
        assert!(fabric.machine(3).owes(key).is_empty());
        assert_eq!(fabric.machine(3).has(key), None, "what was here for its hint only goes with it");
    }
    assert_eq!(metrics.counts(), [3, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_running_deliverer_is_woken_when_the_member_is_back() {
    let (record, keys) = foreign();
    let fabric = Fabric::new(4, &record).await;
    fabric.cut(0);
    fabric.machine(3).keep(&keys[0], 7, Some(0), 5).await;
    let (mut worker, _) = deliverer(&fabric, 3);
    settle(&mut worker).await;
    fabric.mend(0);
    worker.woken().await;
    settle(&mut worker).await;
    assert_eq!(fabric.machine(0).has(&keys[0]), Some(state(7)));
}

#[tokio::test(start_paused = true)]
async fn a_hint_for_a_member_that_does_not_hold_the_key_is_owed_to_all_that_do() {
    let (record, keys) = foreign();
    let key = &keys[0];
    let fabric = Fabric::new(4, &record).await;
    fabric.cut(1);
    // The first member holds the key, and owes it to the last, which does not.
    fabric.machine(0).keep(key, 7, Some(3), 5).await;
    let (mut worker, metrics) = deliverer(&fabric, 0);
    settle(&mut worker).await;
    assert_eq!(fabric.machine(0).owes(key), [member_id(1)]);
    assert_eq!(fabric.machine(2).has(key), Some(state(7)));
    assert_eq!(metrics.counts(), [1, 1, 0, 0]);

    fabric.mend(1);
    settle(&mut worker).await;
    assert_eq!(fabric.machine(1).has(key), Some(state(7)));
    assert!(fabric.machine(0).owes(key).is_empty());
    assert_eq!(fabric.machine(0).has(key), Some(state(7)), "it is the first member's own");
    assert_eq!(fabric.machine(3).has(key), None);
}

#[tokio::test(start_paused = true)]
async fn one_hint_that_is_refused_does_not_hold_up_the_others_and_stays() {
    let (record, keys) = foreign();
    let fabric = Fabric::new(4, &record).await;
    for (since_ms, key) in (1..).zip(&keys) {
        fabric.machine(3).keep(key, 7, Some(0), since_ms).await;
    }
    fabric.spoil(&keys[0]);
    let (mut worker, metrics) = deliverer(&fabric, 3);
    settle(&mut worker).await;
    assert_eq!(metrics.counts(), [0, 0, 0, 1], "refused together, then alone");
    tokio::time::sleep(queue::AGAIN).await;
    settle(&mut worker).await;
    assert_eq!(metrics.counts(), [2, 0, 0, 1]);
    let owed = keys.iter().map(|key| fabric.machine(3).owes(key).len());
    assert_eq!(owed.collect::<Vec<_>>(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_passes_its_hints_on_when_enough_can_take_them() {
    let record = fresh(4);
    let proposed = record.propose(&members(0..3)).unwrap();
    let frozen = proposed.freeze().unwrap();
    let switched = frozen.switch().unwrap();
    let committed = switched.commit().unwrap();
    let (_, keys) = foreign();
    let key = &keys[0];
    let fabric = Fabric::new(4, &record).await;
    fabric.machine(3).keep(key, 7, Some(0), 5).await;
    for step in [&proposed, &frozen, &switched, &committed] {
        for i in 0..4 {
            fabric.machine(i).take(step).await;
        }
    }
    fabric.cut(0);
    fabric.cut(1);
    let (mut worker, metrics) = deliverer(&fabric, 3);
    settle(&mut worker).await;
    assert_eq!(fabric.machine(3).owes(key), [member_id(0)], "one copy is fewer than W");

    fabric.mend(1);
    tokio::time::sleep(queue::LEAVING).await;
    settle(&mut worker).await;
    assert_eq!((fabric.machine(3).has(key), fabric.machine(3).owes(key)), (None, vec![]));
    for i in [1, 2] {
        assert_eq!(
            (fabric.machine(i).has(key), fabric.machine(i).owes(key)),
            (Some(state(7)), vec![member_id(0)])
        );
    }
    assert_eq!(metrics.counts(), [0, 0, 1, 0]);

    fabric.mend(0);
    let (mut heir, _) = deliverer(&fabric, 1);
    settle(&mut heir).await;
    assert_eq!(fabric.machine(0).has(key), Some(state(7)));
}
