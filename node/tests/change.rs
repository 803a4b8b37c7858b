//! Changes of size under writes: nothing acknowledged is lost, replicas end up alike, and who leaves retires.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynamo_node::store::{Merge, Put, StandIn};
use dynamo_node::transfer::facts::{Copied, Pull};
use dynamo_node::version::VersionVector;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_proto::v1::{Move, MoveState, MovesRequest};
use dynamo_ring::{Fate, Partition, Partitions, Position, Step};
use support::{Cluster, Settings, Switchboard, get, members, node_id, put};
use tokio::task::JoinHandle;
use tonic::Request;

/// Writers that go on until they are stopped; the number of keys that each had acknowledged.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<usize>>,
}

impl Writers {
    fn start(board: &Arc<Switchboard>, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |writer: usize| {
            let (stop, board) = (Arc::clone(&stop), Arc::clone(board));
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    put(&board, &key(writer, written), &value(writer, written)).await;
                    written += 1;
                }
                written
            })
        };
        Self { tasks: (0..count).map(task).collect(), stop: Arc::clone(&stop) }
    }

    async fn stop(self) -> Vec<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let mut written = Vec::new();
        for task in self.tasks {
            written.push(task.await.unwrap());
        }
        written
    }
}

fn key(writer: usize, n: usize) -> String {
    format!("writer-{writer}/key-{n}")
}

fn q() -> Partitions {
    Partitions::new(16).unwrap()
}

fn value(writer: usize, n: usize) -> Vec<u8> {
    format!("value {writer} {n} ").repeat(20).into_bytes()
}

/// A write that one node has and sends to nobody.
fn alone(key: &str, value: &'static str, hint: Option<StandIn>) -> Put {
    Put {
        key: key.to_owned().into(),
        context: VersionVector::new(),
        value: Some(value.into()),
        write_id: None,
        now_ms: 1,
        expires_at_ms: None,
        hint,
    }
}

async fn expect_all(cluster: &Cluster, written: &[usize]) {
    for (writer, count) in written.iter().enumerate() {
        assert!(*count > 0, "writer {writer} wrote nothing, so this shows nothing");
        for n in 0..*count {
            // A write that was tried again at another coordinator may stand twice, side by side.
            let mut found = get(&cluster.board, &key(writer, n)).await;
            found.dedup();
            assert!(found == [value(writer, n)], "{}: {} versions", key(writer, n), found.len());
        }
    }
    let written: usize = written.iter().sum();
    assert!(cluster.keys() >= written as u64, "{} of {written} keys", cluster.keys());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_to_five_to_three_under_writes_loses_nothing() {
    let mut cluster = Cluster::form(3, Settings::default()).await;
    let writers = Writers::start(&cluster.board, 4);
    tokio::time::sleep(Duration::from_millis(200)).await;

    cluster.start(3);
    cluster.start(4);
    cluster.record = cluster.record.propose(&members(0..5)).unwrap();
    cluster.settle().await;
    assert_eq!(cluster.record.stable().members().len(), 5);

    cluster.record = cluster.record.propose(&members(0..3)).unwrap();
    cluster.settle().await;
    assert_eq!(cluster.record.stable().members().len(), 3);
    for i in 3..5 {
        assert_eq!(cluster.record.fate(&node_id(i)), Some(Fate::Retired));
        assert!(cluster.node(i).local.summaries().unwrap().iter().all(|(_, summary)| summary.keys == 0));
    }
    let written = writers.stop().await;
    cluster.expect_equal_roots().await;
    expect_all(&cluster, &written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_mind_before_the_copy_has_ended_loses_nothing() {
    // Slow enough that the copy to five is still under way.
    let mut cluster = Cluster::form(3, Settings { bytes_per_second: 200_000, ..Settings::default() }).await;
    let writers = Writers::start(&cluster.board, 2);
    tokio::time::sleep(Duration::from_millis(300)).await;

    cluster.start(3);
    cluster.start(4);
    cluster.record = cluster.record.propose(&members(0..5)).unwrap();
    cluster.drive_until(|_, next| matches!(next, dynamo_ring::change::Next::Wait(_))).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(cluster.record.step(), Step::Proposed);
    let copied = |i| (0..16).any(|p| cluster.node(i).local.summary(Partition(p)).unwrap().keys > 0);
    assert!(copied(3) || copied(4), "something was copied already");
    let coming = loop {
        let mut coming = moves(&cluster, 3).await;
        coming.extend(moves(&cluster, 4).await);
        if coming.iter().any(|one| one.bytes_pulled > 0 && one.bytes_wanted.is_some() && one.keys > 0) {
            break coming;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let target = &cluster.record.target().unwrap().layout;
    let gained: usize = (3..5).map(|i| target.partitions_of(&node_id(i)).count()).sum();
    assert_eq!(coming.len(), gained, "each partition that moves is shown once: {coming:?}");
    let leaving = moves(&cluster, 0).await;
    assert!(
        !leaving.is_empty() && leaving.iter().all(|one| one.state() == MoveState::Leaving && one.keys > 0)
    );

    cluster.record = cluster.record.propose(&members(0..3)).unwrap();
    cluster.settle().await;
    let written = writers.stop().await;
    for i in 3..5 {
        assert_eq!(cluster.record.fate(&node_id(i)), Some(Fate::Retired));
    }
    assert_eq!(moves(&cluster, 0).await, [], "nothing is under way");
    cluster.expect_equal_roots().await;
    expect_all(&cluster, &written).await;
}

/// What a node says of each partition that comes to it or leaves it.
async fn moves(cluster: &Cluster, i: u8) -> Vec<Move> {
    let reply = cluster.node(i).admin.moves(Request::new(MovesRequest::default())).await;
    reply.unwrap().into_inner().moves
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_on_where_it_stood_when_the_node_was_killed() {
    let mut cluster = Cluster::form(3, Settings { bytes_per_second: 2 << 20, ..Settings::default() }).await;
    // Partitions of several batches each.
    let large = vec![7u8; 64 << 10];
    for n in 0..160 {
        put(&cluster.board, &key(0, n), &large).await;
    }
    cluster.start(3);
    cluster.record = cluster.record.propose(&members(0..4)).unwrap();
    cluster.drive_until(|_, next| matches!(next, dynamo_ring::change::Next::Wait(_))).await;
    let local = cluster.node(3).local.clone();
    let stands =
        || (0..16).map(Partition).find(|p| matches!(Copied::read(&local, *p).unwrap().pull, Pull::After(_)));
    let in_the_middle = loop {
        if let Some(partition) = stands() {
            break partition;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    cluster.kill(3).await;
    let Pull::After(stood) = Copied::read(&local, in_the_middle).unwrap().pull else {
        panic!("partition {in_the_middle} had ended meanwhile, so this shows nothing")
    };
    cluster.board.pulls.lock().unwrap().clear();

    cluster.start(3);
    cluster.settle().await;
    let pulls = cluster.board.pulls.lock().unwrap().clone();
    let again = pulls.iter().find(|(.., request)| request.partition == u32::from(in_the_middle.0));
    let (.., request) = again.expect("it went on with that partition");
    assert_eq!(request.after, *stood.as_bytes());
    for n in 0..160 {
        assert_eq!(get(&cluster.board, &key(0, n)).await, [&large[..]]);
    }
    cluster.expect_equal_roots().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_members_replicas_are_copied_from_those_that_live() {
    let mut cluster = Cluster::form(4, Settings { repair: true, ..Settings::default() }).await;
    let writers = Writers::start(&cluster.board, 2);
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.kill(1).await;
    cluster.disks.remove(&node_id(1));
    cluster.record = cluster.record.lost(&node_id(1)).unwrap();
    cluster.settle().await;

    let mut living = members(0..5);
    living.remove(1);
    cluster.start(4);
    cluster.record = cluster.record.propose(&living).unwrap();
    cluster.settle().await;
    assert!(!cluster.record.stable().names(&node_id(1)));
    let written = writers.stop().await;
    cluster.expect_equal_roots().await;
    expect_all(&cluster, &written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn riak_core_154_who_leaves_hands_its_hints_over_first() {
    let mut cluster = Cluster::form(4, Settings::default()).await;
    // The leaver alone has this: it stood in for somebody whom no layout names any more.
    let leaver = cluster.node(3);
    let hint = Some(StandIn { target: node_id(40), since_ms: 1 });
    leaver.committer.submit(alone("owed", "late", hint)).unwrap().durable().await.unwrap();
    drop(leaver);
    cluster.record = cluster.record.propose(&members(0..3)).unwrap();
    cluster.settle().await;
    assert_eq!(cluster.record.fate(&node_id(3)), Some(Fate::Retired));
    for i in 0..3 {
        let state = cluster.node(i).local.state(b"owed").unwrap().expect("every holder has it");
        assert_eq!(state.values().collect::<Vec<_>>(), ["late"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_has_by_the_freeze_what_the_member_it_was_pulled_from_had_missed() {
    let mut cluster = Cluster::form(3, Settings::default()).await;
    let proposed = cluster.record.propose(&members(0..4)).unwrap();
    // Acknowledged by two of three, and the third is the one to be pulled from: the token's owner.
    let gained = proposed.target().unwrap().layout.partitions_of(&node_id(3)).next().unwrap();
    let missed =
        (0..1000).map(|n| key(8, n)).find(|k| Position::of(k.as_bytes()).partition(q()) == gained).unwrap();
    let [_, second, third] =
        [0, 1, 2].map(|i| cluster.record.stable().holders(gained).nth(i).unwrap().node_id);
    let (second, third) = (cluster.board.get(second).unwrap(), cluster.board.get(third).unwrap());
    let written =
        second.committer.submit(alone(&missed, "missed", None)).unwrap().durable().await.unwrap().outcome;
    let merge = Merge { key: missed.clone().into(), state: written.state.clone(), hint: None, from: None };
    third.committer.submit(merge).unwrap().durable().await.unwrap();
    drop((second, third));

    cluster.start(3);
    cluster.record = proposed;
    cluster.drive_until(|record, _| record.step() == Step::Frozen).await;
    assert_eq!(cluster.node(3).local.state(missed.as_bytes()).unwrap(), Some(written.state));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_old_holder_alone_has_is_pushed_to_every_new_one_before_it_is_dropped() {
    let mut cluster = Cluster::form(4, Settings::default()).await;
    cluster.record = cluster.record.propose(&members(0..3)).unwrap();
    cluster.drive_until(|record, _| record.step() == Step::Switched).await;
    // Too late for the copy: a write with w = 1, which nobody else has.
    let leaver = cluster.node(3);
    let held = |n: &usize| leaver.layouts.holds(Position::of(key(9, *n).as_bytes()).partition(q()));
    let late = key(9, (0..1000).find(held).unwrap());
    let late_put = alone(&late, "late", None);
    leaver.committer.submit(late_put).unwrap().durable().await.unwrap();
    // One of those who are to have it cannot be asked for a while: then nothing is dropped.
    let stalled = cluster.board.unplug(node_id(1)).unwrap();
    let record = cluster.record.commit().unwrap();
    for node in [&stalled, &leaver, &cluster.node(0), &cluster.node(2)] {
        node.layouts.take(record.clone()).await.unwrap();
    }
    cluster.record = record;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(leaver.local.encoded(late.as_bytes()).unwrap().is_some(), "dropped before everyone had it");
    cluster.board.plug(node_id(1), stalled);

    cluster.settle().await;
    assert_eq!(cluster.record.fate(&node_id(3)), Some(Fate::Retired));
    for i in 0..3 {
        let state = cluster.node(i).local.state(late.as_bytes()).unwrap().expect("every holder has it");
        assert_eq!(state.values().collect::<Vec<_>>(), ["late"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_acknowledged_only_when_older_requests_have_ended() {
    let mut cluster = Cluster::form(3, Settings::default()).await;
    cluster.start(3);
    let guard = cluster.node(0).layouts.enter().unwrap();
    cluster.record = cluster.record.propose(&members(0..4)).unwrap();
    let node = cluster.node(0);
    node.layouts.take(cluster.record.clone()).await.unwrap();
    let standing = node.layouts.current().unwrap();
    assert_eq!((standing.stamp().id, standing.acked), (cluster.record.id(), false));
    assert_eq!(guard.record.id(), cluster.record.stable().id(), "it goes on under what it entered under");

    // The others acknowledge, and the new holder pulls. It may not compare: the request that still runs here may yet
    // meet its quorum in S alone.
    for i in 1..4 {
        cluster.node(i).layouts.take(cluster.record.clone()).await.unwrap();
        assert!(cluster.node(i).layouts.acked().await.is_some());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let newcomer = support::driver::status(&cluster.node(3)).await.target.unwrap();
    assert_eq!(newcomer.partitions_synced, 0);
    assert!(newcomer.partitions_wanted > 0);

    drop(guard);
    cluster.settle().await;
    assert_eq!(cluster.record.stable().members().len(), 4);
}
