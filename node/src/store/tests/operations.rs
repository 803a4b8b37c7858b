//! Each operation by itself.

use super::*;
use crate::version::{Birth, Dot, WriteId, Writer};

#[test]
fn puts_on_one_key_in_one_batch_get_dots_one_after_another() {
    let bench = Bench::new();
    let mut batch = Batch::new(&bench.store, Limits::default()).unwrap();
    let dots: Vec<Dot> = (0..50).map(|n| batch.apply(&blind("k", &n.to_string())).unwrap().dot).collect();
    let writer = Writer { actor: ActorId(1), birth: Birth(1) };
    assert_eq!(dots, (1..=50).map(|counter| Dot { writer, counter }).collect::<Vec<_>>());
    bench.store.write(batch.finish().unwrap()).unwrap();
    assert_eq!(bench.state("k").unwrap().siblings().len(), 50, "blind writes are all concurrent");
    audit(&bench.store);
}

#[test]
fn lesson_1_sibling_explosion() {
    let bench = Bench::new();
    let mut contexts = [VersionVector::new(), VersionVector::new()];
    for round in 0..40 {
        let client = &mut contexts[round % 2];
        let written = bench.run(&put("k", client, "v")).unwrap();
        *client = [(written.dot.writer, written.dot.counter)].into_iter().collect();
        assert!(written.state.siblings().len() <= 2);
    }
}

#[test]
fn lesson_2_amnesia() {
    // This node stands in, delivers, forgets, and stands in again. The owner must see both writes.
    let bench = Bench::without_layout(Limits::default());
    bench.run(&layout([])).unwrap();
    let stand_in = |value| Put { hint: Some(Bench::hint(9, 5)), ..blind("k", value) };
    let first = bench.run(&stand_in("first")).unwrap();
    let gone = RemoveHint { key: data_key("k"), target: node(9), delivered: first.hash };
    assert_eq!(bench.run(&gone), Ok(true));
    assert_eq!(bench.state("k"), None, "a state that was here for its hint goes with it");

    let second = bench.run(&stand_in("second")).unwrap();
    assert_ne!(first.dot.writer, second.dot.writer);
    let owner = first.state.merge(&second.state);
    assert_eq!(owner.values().collect::<Vec<_>>(), ["first", "second"]);

    // A reaped key is forgotten in the same way.
    let delete =
        |context: &VersionVector| Put { value: None, hint: Some(Bench::hint(9, 5)), ..put("k", context, "") };
    let deleted = bench.run(&delete(owner.context())).unwrap();
    bench.run(&RemoveHint { key: data_key("k"), target: node(9), delivered: deleted.hash }).unwrap();
    assert_ne!(bench.run(&stand_in("third")).unwrap().dot.writer, second.dot.writer);
}

#[test]
fn a_write_is_refused_where_it_would_hold_too_much_and_let_in_where_it_settles() {
    let bench = Bench::with_limits(Limits { siblings: 3, bytes: 10 });
    for value in ["a", "b", "c"] {
        bench.run(&blind("k", value)).unwrap();
    }
    let Err(OpError::TooManySiblings { context, siblings: 4, .. }) = bench.run(&blind("k", "d")) else {
        panic!("a fourth version")
    };
    let settled = bench.run(&put("k", &context, "larger than ten bytes")).unwrap();
    assert_eq!(settled.state.siblings().len(), 1);
    assert!(matches!(
        bench.run(&blind("k", "e")),
        Err(OpError::TooManySiblings { siblings: 2, bytes: 22, .. })
    ));
    // A merge has no limits: what was written elsewhere stands.
    let mut elsewhere = State::new();
    for n in 0..9 {
        let dot = Dot { writer: Writer { actor: ActorId(77), birth: Birth(1) }, counter: n + 1 };
        elsewhere.put(&VersionVector::new(), crate::version::testing::sibling(dot, b"elsewhere"));
    }
    bench.run(&Merge { key: Bytes::from_static(b"k"), state: elsewhere, hint: None, from: None }).unwrap();
    assert_eq!(bench.state("k").unwrap().siblings().len(), 10);
}

#[test]
fn a_retry_that_is_known_makes_no_second_version() {
    let bench = Bench::new();
    let write = Put { write_id: Some(WriteId([7; 16])), ..blind("k", "v") };
    let first = bench.run(&write).unwrap();
    let commit = bench.local.counters().unwrap().commit;
    let again = bench.run(&write).unwrap();
    assert_eq!((again.dot, again.repeated, first.repeated), (first.dot, true, false));
    assert_eq!(again.encoded, first.encoded);
    assert_eq!(bench.local.counters().unwrap().commit, commit, "nothing changed, so there was no batch");
}

#[test]
fn a_forged_context_at_the_end_of_the_numbers_begins_a_new_count() {
    let bench = Bench::new();
    let first = bench.run(&blind("k", "v")).unwrap();
    let writer = |birth| Writer { actor: ActorId(1), birth: Birth(birth) };
    let forged: VersionVector = [(first.dot.writer, u64::MAX), (writer(2), 8)].into_iter().collect();
    let next = bench.run(&put("k", &forged, "w")).unwrap();
    assert_eq!(next.dot, Dot { writer: writer(3), counter: 1 });
    assert_eq!(next.state.siblings().len(), 1);
}

#[test]
fn nothing_is_stored_without_a_layout_a_holding_or_a_hint() {
    let bench = Bench::without_layout(Limits::default());
    assert_eq!(bench.run(&blind("k", "v")).unwrap_err(), OpError::NoLayout);
    let away = (partition_of("k").0 + 1) % 8;
    bench.run(&layout([away])).unwrap();
    assert_eq!(bench.run(&blind("k", "v")).unwrap_err(), OpError::NotHeld(partition_of("k")));
    let other = LayoutChange { partitions: Partitions::new(16).unwrap(), ..layout([]) };
    assert_eq!(bench.run(&other), Err(OpError::OtherPartitions { given: 16, stored: 8 }));
    assert!(matches!(bench.run(&blind("", "v")), Err(OpError::Key(KeyError::Length(0)))));
    let nothing = Merge { key: Bytes::from_static(b"k"), state: State::new(), hint: None, from: None };
    assert_eq!(bench.run(&nothing).unwrap_err(), OpError::EmptyState);
}

#[test]
fn a_bulk_merge_stores_new_keys_as_they_came_and_refuses_nonsense_whole() {
    let (source, target) = (Bench::new(), Bench::new());
    for n in 0..20 {
        source.run(&blind(&format!("k{n}"), "v")).unwrap();
    }
    let entries: Vec<(DataKey, Bytes)> =
        q().iter().flat_map(|p| source.local.scan(p, None, 1 << 20).unwrap().entries).collect();
    let many = |entries| MergeMany { entries, hint: None, from: None };
    let mut broken = entries.clone();
    broken.push((data_key("x"), Bytes::from_static(b"\x01\x00")));
    assert!(matches!(target.run(&many(broken)), Err(OpError::State(_))));
    assert_eq!(all(&target.store, Space::Data), [], "an operation happens whole or not at all");
    assert_eq!(target.run(&many(entries.clone())), Ok(20));
    assert_eq!(target.run(&many(entries)), Ok(0));
    assert_eq!(all(&target.store, Space::Data), all(&source.store, Space::Data));
    assert_eq!(
        target.local.summaries().unwrap(),
        source.local.summaries().unwrap(),
        "births differ, but no hash sees them"
    );
}

#[test]
fn a_hint_stays_until_what_it_points_to_is_delivered() {
    let bench = Bench::without_layout(Limits::default());
    bench.run(&layout([])).unwrap();
    let write = |value, target, since| Put { hint: Some(Bench::hint(target, since)), ..blind("k", value) };
    bench.run(&write("a", 8, 50)).unwrap();
    let sent = bench.hash("k");
    bench.run(&write("b", 8, 20)).unwrap();
    bench.run(&write("c", 9, 70)).unwrap();
    let counts: Vec<_> =
        bench.local.hint_counts().unwrap().iter().map(|c| (c.target, c.hints, c.oldest_ms)).collect();
    assert_eq!(counts, [(node(8), 1, Some(20)), (node(9), 1, Some(70))]);

    let delivered = |target, delivered| RemoveHint { key: data_key("k"), target: node(target), delivered };
    assert_eq!(bench.run(&delivered(8, sent)), Ok(false), "the key has changed since");
    assert_eq!(bench.run(&delivered(8, bench.hash("k"))), Ok(true));
    assert_eq!(bench.local.hints_of(&data_key("k")).unwrap(), [node(9)]);
    assert!(bench.state("k").is_some(), "another is still owed it");
    assert_eq!(bench.run(&MoveHint { key: data_key("k"), from: node(9), to: node(4) }), Ok(true));
    assert_eq!(bench.run(&MoveHint { key: data_key("k"), from: node(9), to: node(5) }), Ok(false));
    let owed = bench.local.hints(node(4), None, Limit::rows(9)).unwrap();
    assert_eq!((owed.len(), owed[0].key.since_ms), (1, 70), "a hint that is re-aimed keeps its age");

    // The keeper becomes a holder: the hint goes, the key stays and is in the tree.
    bench.run(&layout(0..8)).unwrap();
    assert_eq!(bench.run(&delivered(4, bench.hash("k"))), Ok(true));
    assert_eq!(bench.local.summary(partition_of("k")).unwrap().keys, 1);
    assert_eq!(bench.run(&AddHint { key: data_key("none"), hint: Bench::hint(4, 1) }), Ok(false));
    assert_eq!(bench.run(&AddHint { key: data_key("k"), hint: Bench::hint(4, 1) }), Ok(true));
}

#[test]
fn dropped_hints_are_counted_and_take_their_keys_along() {
    let bench = Bench::without_layout(Limits::default());
    bench.run(&layout([0])).unwrap();
    let held = key_in(0, 0);
    for key in [held.clone(), key_in(1, 0), key_in(2, 0)] {
        bench.run(&Put { hint: Some(Bench::hint(8, 1)), ..blind(&key, "v") }).unwrap();
    }
    let dropped = bench.run(&DropHints { target: None, limit: 2 }).unwrap();
    assert_eq!((dropped.hints, dropped.more), (2, true));
    let dropped = bench.run(&DropHints { target: Some(node(8)), limit: 2 }).unwrap();
    assert_eq!((dropped.hints, dropped.more), (1, false));
    assert_eq!(all(&bench.store, Space::Data).len(), 1);
    assert!(bench.state(&held).is_some());
}

#[test]
fn a_partition_that_is_taken_away_is_purged_but_for_what_is_owed() {
    let bench = Bench::new();
    let keys: Vec<String> = (0..12).map(|n| key_in(3, n)).collect();
    for key in &keys {
        bench.run(&blind(key, "v")).unwrap();
    }
    bench.run(&AddHint { key: data_key(&keys[5]), hint: Bench::hint(8, 1) }).unwrap();
    let purge = |after| Purge { partition: Partition(3), after, limit: 5 };
    assert_eq!(bench.run(&purge(None)), Err(OpError::StillHeld(Partition(3))));
    bench.run(&layout([0, 1])).unwrap();
    let (mut after, mut gone, mut turns) = (None, 0, 0);
    loop {
        let purged = bench.run(&purge(after)).unwrap();
        gone += purged.keys;
        after = purged.after;
        turns += 1;
        if purged.done {
            break;
        }
    }
    assert!(gone == 11 && turns <= 8, "{gone} keys in {turns} turns");
    assert!(all(&bench.store, Space::Merkle).is_empty());
    assert!(bench.state(&keys[5]).is_some());

    // Held again: what was kept for the hint stands in the new tree.
    bench.run(&layout([3])).unwrap();
    assert_eq!(bench.local.summary(Partition(3)).unwrap().keys, 1);
}

#[test]
fn a_partition_that_comes_back_before_it_was_purged_gets_a_new_tree() {
    let bench = Bench::new();
    for n in 0..30 {
        bench.run(&blind(&key_in(3, n), "v")).unwrap();
    }
    let before = bench.local.summary(Partition(3)).unwrap();
    bench.run(&layout([])).unwrap();
    assert_eq!(
        bench.local.merkle(Partition(3), &[crate::merkle::Prefix::root(Partition(3), q())]).unwrap(),
        None
    );
    bench.run(&Purge { partition: Partition(3), after: None, limit: 10 }).unwrap();
    bench.run(&layout([3])).unwrap();
    let after = bench.local.summary(Partition(3)).unwrap();
    assert_eq!((before.keys, after.keys), (30, 20));
}

#[test]
fn only_what_was_agreed_on_is_reaped() {
    let bench = Bench::new();
    for key in ["a", "b", "c"] {
        bench.run(&Put { value: None, ..blind(key, "") }).unwrap();
    }
    let keys = ["a", "b", "c"].map(|key| listed(&bench, key)).to_vec();
    bench.run(&blind("b", "written since")).unwrap();
    bench.run(&AddHint { key: data_key("c"), hint: Bench::hint(8, 1) }).unwrap();
    assert_eq!(bench.run(&Reap { keys }), Ok(1));
    assert_eq!(["a", "b", "c"].map(|key| bench.state(key).is_some()), [false, true, true]);
}

fn listed(bench: &Bench, key: &str) -> Listed {
    Listed { position: data_key(key).position(), hash: bench.hash(key) }
}

#[test]
fn what_passes_is_listed_in_order_and_by_the_clock_that_asks() {
    let bench = Bench::new();
    let keys: Vec<String> = (0..5).map(|n| key_in(3, n)).collect();
    for key in &keys {
        bench.run(&Put { value: None, ..blind(key, "") }).unwrap();
    }
    bench.run(&blind(&keys[0], "written since")).unwrap();
    bench.run(&Put { expires_at_ms: Some(50), ..blind(&key_in(3, 7), "v") }).unwrap();
    bench.run(&Put { value: None, ..blind(&key_in(4, 0), "") }).unwrap();
    let passed = |now| {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let some = bench.local.passed(Partition(3), after, now, Limit::rows(2)).unwrap();
            keys.extend(some.keys.iter().map(|key| Listed { position: key.position, hash: key.hash }));
            after = some.after;
            if after.is_none() {
                return keys;
            }
        }
    };
    let mut expected: Vec<Listed> = keys[1..].iter().map(|key| listed(&bench, key)).collect();
    expected.sort();
    assert_eq!(passed(49), expected);
    expected.push(listed(&bench, &key_in(3, 7)));
    expected.sort();
    assert_eq!(passed(50), expected);
    let some = bench.local.passed(Partition(3), None, 50, Limit::bytes(1)).unwrap();
    assert_eq!((some.keys.len(), some.after), (1, Some(expected[0].position)), "a large state is read alone");
}

#[test]
fn what_an_earlier_release_stored_is_noted_once() {
    let bench = Bench::new();
    for key in ["a", "b", "c"] {
        bench.run(&Put { value: None, ..blind(key, "") }).unwrap();
    }
    bench.run(&blind("d", "lasts")).unwrap();
    let noted = all(&bench.store, Space::Passing);
    let rows = noted.iter().map(|(key, _)| (Space::Passing, key.clone(), None)).collect();
    bench.store.write(WriteBatch { rows, reserve: false }).unwrap();

    let (mut after, mut turns) = (None, 0);
    while bench.local.meta(IndexPassing::DONE).unwrap().is_none() {
        let mut batch = Batch::new(&bench.store, Limits::default()).unwrap();
        after = batch.apply(&IndexPassing { after, limit: 2 }).unwrap();
        bench.store.write(batch.finish().unwrap()).unwrap();
        turns += 1;
    }
    assert_eq!((turns, all(&bench.store, Space::Passing)), (3, noted));
    audit(&bench.store);
}

#[test]
fn a_holder_testifies_to_the_listed_state_and_anybody_else_to_nothing_at_all() {
    let bench = Bench::without_layout(Limits::default());
    bench.run(&layout([3])).unwrap();
    let [gone, back, owed, late] = [0, 1, 2, 3].map(|n| key_in(3, n));
    for key in [&gone, &back, &owed] {
        bench.run(&Put { value: None, ..blind(key, "") }).unwrap();
    }
    bench.run(&Put { expires_at_ms: Some(50), ..blind(&late, "v") }).unwrap();
    let keys = [&gone, &back, &owed, &late].map(|key| listed(&bench, key)).to_vec();
    bench.run(&blind(&back, "written since")).unwrap();
    bench.run(&AddHint { key: data_key(&owed), hint: Bench::hint(8, 1) }).unwrap();
    let mut testify = Testify { partition: Partition(3), keys, now_ms: 49 };
    assert_eq!(bench.run(&testify).unwrap().agreed, [true, false, false, false]);
    testify.now_ms = 50;
    let testimony = bench.run(&testify).unwrap();
    assert_eq!((&testimony.agreed[..], testimony.hints), (&[true, false, false, true][..], 1));

    let other = key_in(4, 0);
    let elsewhere = Listed { position: data_key(&other).position(), hash: StateHash([0; 16]) };
    let testify = Testify { partition: Partition(4), keys: vec![elsewhere], now_ms: 0 };
    assert_eq!(bench.run(&testify).unwrap().agreed, [true], "nothing is here");
    bench.run(&Put { hint: Some(Bench::hint(9, 5)), ..blind(&other, "stood in for") }).unwrap();
    let kept = bench.run(&testify).unwrap();
    assert_eq!((&kept.agreed[..], kept.hints), (&[false][..], 2), "a hint points to it");
}

#[test]
fn lesson_2_a_reaped_key_begins_a_new_count() {
    let bench = Bench::new();
    let first = bench.run(&blind("k", "v")).unwrap();
    let gone = bench.run(&Put { value: None, ..put("k", first.state.context(), "") }).unwrap();
    assert_eq!(bench.run(&Reap { keys: vec![listed(&bench, "k")] }), Ok(1));
    assert_eq!((bench.state("k"), all(&bench.store, Space::Birth)), (None, vec![]), "the mark went along");
    // Who still holds the tombstone must not take the new write for one that it has seen.
    let anew = bench.run(&put("k", &VersionVector::new(), "anew")).unwrap();
    let merged = gone.state.merge(&anew.state);
    assert_eq!(merged.values().collect::<Vec<_>>(), ["anew"]);
    // Nor one that carries the context of the old life.
    assert_eq!(
        bench.run(&Reap { keys: vec![listed(&bench, "k")] }),
        Ok(1),
        "it is the caller that has to know"
    );
    let late = bench.run(&put("k", gone.state.context(), "late")).unwrap();
    assert!(!gone.state.context().covers(late.dot));
}

#[test]
fn a_peers_numbers_only_rise_and_come_in_the_batch_of_what_it_sent() {
    let bench = Bench::new();
    let mark = |commit, synced| PeerMark { node_id: node(3), actor: ActorId(5), commit, synced };
    bench.run(&Mark(mark(10, 4))).unwrap();
    bench.run(&Mark(mark(7, 6))).unwrap();
    assert_eq!(bench.local.peer(node(3)).unwrap(), Some(mark(10, 6)));
    let before = bench.local.counters().unwrap();
    bench.run(&Mark(mark(9, 5))).unwrap();
    assert_eq!(bench.local.counters().unwrap(), before, "nothing new, nothing written");
    let state = bench.run(&blind("k", "v")).unwrap().state;
    let merge = Merge { key: Bytes::from_static(b"k"), state, hint: None, from: Some(mark(11, 11)) };
    bench.run(&merge).unwrap();
    assert_eq!(bench.local.peers().unwrap(), [mark(11, 11)]);
}

#[test]
fn facts_actors_and_clusters_are_kept() {
    let bench = Bench::new();
    let fact = MetaKey::Named("barred");
    bench.run(&PutMeta::one(fact, Some(Bytes::from_static(b"\x01x")))).unwrap();
    assert_eq!(bench.local.meta(fact).unwrap(), Some(Bytes::from_static(b"\x01x")));
    bench.run(&PutMeta::one(fact, None)).unwrap();
    assert_eq!(bench.local.meta(fact).unwrap(), None);
    bench.run(&blind("k", "v")).unwrap();
    bench.run(&NewActor(ActorId(2))).unwrap();
    assert_eq!(bench.run(&blind("k", "w")).unwrap().dot.writer.actor, ActorId(2));
    let cluster = dynamo_ring::ClusterId([4; 16]);
    bench.run(&JoinCluster(cluster)).unwrap();
    bench.run(&JoinCluster(cluster)).unwrap();
    assert_eq!(bench.local.identity().unwrap().unwrap().cluster_id, Some(cluster));
    assert!(matches!(
        bench.run(&JoinCluster(dynamo_ring::ClusterId([5; 16]))),
        Err(OpError::OtherCluster { .. })
    ));
}
