//! Deletes and values past their time to live, on whole nodes: they go from everywhere, and nothing old comes back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod engines;

use std::time::Duration;

use dynamo_node::engine::Settings;
use dynamo_node::store::{Merge, Put, Space};
use dynamo_node::version::VersionVector;
use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::{DeleteRequest, GetRequest, PutRequest};
use dynamo_ring::{Member, NodeId, Position};
use engines::{Engines, PASS, eventually, figure, put};
use tokio::time::sleep;
use tonic::Request;

fn key(n: usize) -> String {
    format!("key-{n}")
}

/// Whoever holds a key, the first holder first, and whoever does not.
fn holders(engines: &Engines, key: &str) -> (Vec<u8>, Vec<u8>) {
    let stable = engines.record.stable();
    let partition = Position::of(key.as_bytes()).partition(stable.partitions());
    let ordinal = |member: &Member| member.name["cart-".len()..].parse::<u8>().unwrap();
    let holders: Vec<u8> = stable.holders(partition).map(ordinal).collect();
    let all = stable.members().iter().map(ordinal);
    let others = all.filter(|i| !holders.contains(i)).collect();
    (holders, others)
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_keys_go_from_every_replica_with_their_birth_marks_and_live_ones_stay() {
    let engines = Engines::form(4).await;
    for n in 0..40 {
        engines.put(u8::try_from(n % 4).unwrap(), put(&key(n), "v")).await;
    }
    for n in 0..39 {
        engines.delete(u8::try_from((n + 1) % 4).unwrap(), &key(n)).await;
    }
    eventually("only the last key is left, at its three holders", async || {
        engines.rows(Space::Data).iter().sum::<usize>() == 3 && engines.rows(Space::Passing) == [0; 4]
    })
    .await;
    assert!(engines.rows(Space::Birth).iter().sum::<usize>() <= 3, "the marks went along");
    let roots = |i| {
        let summaries = engines.engine(i).local.summaries().unwrap();
        let held = summaries.into_iter().filter(|(_, summary)| summary.held);
        held.map(|(partition, summary)| (partition, (summary.root, summary.keys)))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    for (i, j) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        let theirs = roots(j);
        assert!(
            roots(i).iter().all(|(partition, root)| theirs.get(partition).is_none_or(|other| other == root))
        );
    }
    let reaped: u64 = (0..4).map(|i| figure(engines.engine(i), "reaped_keys_total")).sum();
    assert!(reaped >= 3 * 39, "{reaped}");
    assert_eq!(engines.get(0, &key(39)).await.siblings.len(), 1);

    engines.delete(2, &key(39)).await;
    eventually("nothing is left", async || engines.is_bare()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_2_a_key_that_is_written_anew_after_it_was_reaped_is_there() {
    let engines = Engines::form(3).await;
    for life in 0..3u8 {
        let value = format!("life {life}");
        // Each life is written at a coordinator of its own, and the last one at one that wrote before.
        let written = engines.put(life % 2, PutRequest { w: Some(3), ..put("k", &value) }).await;
        assert_eq!((written.siblings, written.answered), (1, 3));
        for i in 0..3 {
            let found = engines.get(i, "k").await;
            assert_eq!(found.siblings.iter().map(|s| &s.value[..]).collect::<Vec<_>>(), [value.as_bytes()]);
        }
        // An update on top, so that counters stand higher than where the next life begins.
        let context = engines.get(0, "k").await.context;
        engines.put(life % 2, PutRequest { context, ..put("k", "updated") }).await;
        engines.delete(0, "k").await;
        eventually("it is reaped", async || engines.is_bare()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_6_while_a_member_is_down_nothing_is_reaped_however_long_it_takes() {
    let mut engines = Engines::form(4).await;
    let (holders, _) = holders(&engines, "k");
    engines.put(holders[0], PutRequest { w: Some(3), ..put("k", "v") }).await;
    let sleeper = holders[2];
    engines.stop(sleeper).await;
    engines.delete(holders[0], "k").await;
    eventually("it counts what waits", async || {
        (0..4).filter(|i| *i != sleeper).any(|i| figure(engines.engine(i), "reap_waiting_keys") > 0)
    })
    .await;
    sleep(PASS * 10).await;
    let passing: usize = engines.rows(Space::Passing).iter().sum();
    assert!(
        passing >= 2,
        "{passing}: the one that sleeps has the value, and only the tombstone can cover it"
    );

    engines.start(sleeper).await;
    eventually("it has the delete, and all is reaped", async || engines.is_bare()).await;
    sleep(PASS * 5).await;
    assert!(engines.is_bare(), "and it stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_6_a_repair_that_sleeps_on_its_way_holds_up_the_round() {
    // Nothing but the repair below brings the value to 2.
    let settings = Settings { anti_entropy_interval: Duration::from_hours(1), ..Settings::default() };
    let engines = Engines::form_with(3, settings).await;
    let k = (0..1000).map(key).find(|k| holders(&engines, k).0[0] == 1).unwrap();
    let alone = Put {
        key: k.clone().into(),
        context: VersionVector::new(),
        value: Some("old".into()),
        write_id: None,
        now_ms: 1,
        expires_at_ms: None,
        hint: None,
    };
    let ticket = engines.machine(0).committer.submit(alone).unwrap();
    let state = ticket.durable().await.unwrap().outcome.state;
    let copy = Merge { key: k.clone().into(), state, hint: None, from: None };
    engines.machine(1).committer.submit(copy).unwrap().durable().await.unwrap();

    // A read finds 2 stale. The repair behind it is sent, and its sender waits no longer than two seconds for it.
    engines.net.hold_stores(0, 2);
    let read = GetRequest { key: k.clone().into(), r: Some(3), ..GetRequest::default() };
    let found = engines.engine(0).kv.get(Request::new(read)).await.unwrap().into_inner();
    let delete = DeleteRequest {
        key: k.clone().into(),
        context: found.context,
        w: Some(3),
        ..DeleteRequest::default()
    };
    engines.engine(1).kv.delete(Request::new(delete)).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(engines.rows(Space::Passing), [1; 3], "the barrier is behind the repair");

    engines.net.release(0, 2);
    eventually("it arrives, is covered, and all is reaped", async || engines.is_bare()).await;
    sleep(PASS * 5).await;
    assert!(engines.is_bare() && engines.get(2, &k).await.siblings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_5_a_write_left_on_a_broken_stream_is_void_and_never_brings_the_value_back() {
    let engines = Engines::form(3).await;
    engines.put(0, PutRequest { w: Some(3), ..put("k", "old") }).await;
    engines.net.hold(0, 2);
    let context = engines.get(0, "k").await.context;
    engines.put(0, PutRequest { context, ..put("k", "slept") }).await;
    // The stream breaks with the write on it; 2 does not notice. 0 opens another, on which nothing is held up.
    engines.net.break_off(0, 2);
    engines.delete(1, "k").await;
    eventually("all is reaped over the new stream", async || engines.is_bare()).await;

    // Now the old one delivers.
    engines.net.release(0, 2);
    sleep(PASS * 10).await;
    assert!(engines.is_bare(), "its messages are void");
    for i in 0..3 {
        assert!(engines.get(i, "k").await.siblings.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_5_no_reaping_while_a_change_of_layout_is_under_way() {
    let mut engines = Engines::form(3).await;
    let newcomer = Member {
        name: "cart-3".to_owned(),
        node_id: NodeId([4; 16]),
        zone: String::new(),
        address: "cart-3:7070".to_owned(),
        weight: 1,
    };
    let mut members = engines.record.stable().members().to_vec();
    members.push(newcomer);
    let proposed = engines.record.propose(&members).unwrap();
    engines.put(0, put("k", "v")).await;
    for i in 0..3 {
        engines.engine(i).layouts.take(proposed.clone()).await.unwrap();
        engines.engine(i).layouts.acked().await.unwrap();
    }
    engines.delete(1, "k").await;
    sleep(PASS * 10).await;
    assert!(engines.rows(Space::Passing).iter().filter(|rows| **rows > 0).count() >= 2);
    let begun: u64 = (0..3).map(|i| figure(engines.engine(i), "reap_rounds_begun_total")).sum();
    assert_eq!(begun, 0, "none is begun");

    // The change is given up: the members that there are, under an epoch of their own.
    members.pop();
    let back = proposed.propose(&members).unwrap();
    for record in [back.clone(), back.freeze().unwrap()] {
        take(&engines, record).await;
    }
    let switched = back.freeze().unwrap().switch().unwrap();
    let committed = switched.commit().unwrap();
    let settled = committed.settle().unwrap();
    for record in [switched, committed] {
        take(&engines, record).await;
    }
    sleep(PASS * 5).await;
    assert!(!engines.is_bare(), "until the last acknowledgement");
    take(&engines, settled.clone()).await;
    engines.record = settled;
    eventually("the change is over, and all is reaped", async || engines.is_bare()).await;
}

async fn take(engines: &Engines, record: dynamo_ring::Record) {
    for i in 0..3 {
        engines.engine(i).layouts.take(record.clone()).await.unwrap();
        engines.engine(i).layouts.acked().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_past_its_time_to_live_goes_when_every_holders_own_clock_says_so() {
    let engines = Engines::form(3).await;
    engines.put(0, PutRequest { ttl_ms: Some(1000), w: Some(3), ..put("k", "v") }).await;
    let before = engines.engine(1).local.encoded(b"k").unwrap();
    for i in [0, 1] {
        engines.machine(i).clock.set(1_001_000);
    }
    assert_eq!(engines.get(0, "k").await.expired, 1, "past, where the clock says so");
    assert_eq!(engines.get(2, "k").await.siblings.len(), 1, "shown, where it does not");
    sleep(PASS * 10).await;
    assert_eq!(engines.engine(1).local.encoded(b"k").unwrap(), before, "no clock changes its bytes");
    engines.machine(2).clock.set(1_001_000);
    eventually("all agree, and it goes", async || engines.is_bare()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_6_a_late_retry_of_a_write_that_was_deleted_and_reaped_makes_no_version() {
    let engines = Engines::form(3).await;
    let write = PutRequest { write_id: vec![7; 16].into(), ..put("k", "v") };
    engines.put(0, write.clone()).await;
    engines.delete(1, "k").await;
    eventually("it is reaped", async || engines.is_bare()).await;
    let retried = engines.put(0, write.clone()).await;
    assert_eq!((retried.siblings, retried.context.is_empty()), (0, true));
    assert!(engines.is_bare(), "the delete covered it");

    engines.put(0, put("k", "anew")).await;
    assert_eq!(engines.put(0, write).await.siblings, 1, "what stands has another origin");
    let found = engines.get(2, "k").await;
    assert_eq!(found.siblings.iter().map(|s| &s.value[..]).collect::<Vec<_>>(), [b"anew"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reaping_goes_on_under_writes_and_loses_none_of_them() {
    let engines = Engines::form(4).await;
    for turn in 0..30 {
        for n in 0..8 {
            let i = u8::try_from((turn + n) % 4).unwrap();
            let context = engines.get(i, &key(n)).await.context;
            engines.put(i, PutRequest { context, ..put(&key(n), &format!("turn {turn}")) }).await;
            if n % 2 == 0 {
                engines.delete((i + 1) % 4, &key(n)).await;
            }
        }
    }
    eventually("what was deleted goes, at whoever has it", async || {
        engines.rows(Space::Passing) == [0; 4] && engines.rows(Space::Data).iter().sum::<usize>() == 12
    })
    .await;
    for n in 0..8 {
        let found = engines.get(0, &key(n)).await;
        let values: Vec<_> = found.siblings.iter().map(|sibling| &sibling.value[..]).collect();
        let expected: &[&[u8]] = if n % 2 == 0 { &[] } else { &[b"turn 29"] };
        assert_eq!(values, expected, "{n}");
    }
}
