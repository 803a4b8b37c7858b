//! Pulls of partitions: from several holders at once, checked, resumed, and within a limit that can be set anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dynamo_node::transfer::facts::{Copied, Pull};
use dynamo_node::transfer::serve::entries::BATCH_BYTES;
use dynamo_proto::v1::SetPaceRequest;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_ring::change::Next;
use dynamo_ring::{NodeId, Partition};
use support::{Cluster, Settings, get, members, node_id, put};

/// Bytes of one value: four to a batch.
const VALUE: usize = BATCH_BYTES / 4;

fn key(n: usize) -> String {
    format!("key-{n}")
}

/// Three members with some large keys, and a fourth that is to have its part of them.
async fn grown(keys: usize, settings: Settings) -> Cluster {
    let mut cluster = Cluster::form(3, settings).await;
    let value = vec![7u8; VALUE];
    for n in 0..keys {
        put(&cluster.board, &key(n), &value).await;
    }
    cluster.start(3);
    cluster.record = cluster.record.propose(&members(0..4)).unwrap();
    cluster
}

async fn expect_all(cluster: &Cluster, keys: usize) {
    for n in 0..keys {
        assert_eq!(get(&cluster.board, &key(n)).await, [vec![7u8; VALUE]], "{}", key(n));
    }
    cluster.expect_equal_roots().await;
}

/// Entry bytes that came of each partition.
fn came(cluster: &Cluster) -> BTreeMap<u32, usize> {
    let mut came = BTreeMap::new();
    for (_, partition, bytes) in cluster.board.batches.lock().unwrap().iter() {
        *came.entry(*partition).or_default() += bytes;
    }
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_partitions_come_from_different_holders_each_from_one_and_each_byte_once() {
    let mut cluster = grown(80, Settings::default()).await;
    cluster.settle().await;
    let batches = cluster.board.batches.lock().unwrap().clone();
    let mut holders: BTreeMap<u32, BTreeSet<NodeId>> = BTreeMap::new();
    for (from, partition, _) in &batches {
        holders.entry(*partition).or_default().insert(*from);
    }
    assert!(holders.values().all(|of_one| of_one.len() == 1), "{holders:?}");
    let all: BTreeSet<NodeId> = holders.values().flatten().copied().collect();
    assert_eq!(all, (0..3).map(node_id).collect(), "all three share the work");
    for (partition, bytes) in came(&cluster) {
        let stored = cluster.node(3).local.summary(Partition(u16::try_from(partition).unwrap())).unwrap();
        assert_eq!(bytes as u64, stored.bytes, "partition {partition}");
    }
    expect_all(&cluster, 80).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_no_more_than_one_batch_of_a_partition_is_sent_again() {
    let settings = Settings { bytes_per_second: 4 << 20, ..Settings::default() };
    let mut cluster = grown(160, settings).await;
    cluster.drive_until(|_, next| matches!(next, Next::Wait(_))).await;
    // Killed again and again, wherever that hits it.
    let mut hit = 0;
    for _ in 0..4 {
        let so_far = cluster.board.batches.lock().unwrap().len();
        let local = cluster.node(3).local.clone();
        let under_way = || {
            let copied = |p| Copied::read(&local, Partition(p)).unwrap().pull;
            (0..16).any(|p| matches!(copied(p), Pull::After(_)))
        };
        while cluster.board.batches.lock().unwrap().len() < so_far + 5 || !under_way() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.kill(3).await;
        hit += usize::from(under_way());
        cluster.start(3);
    }
    assert!(hit > 0, "no crash met a partition half way, so this shows nothing");
    cluster.settle().await;
    for (partition, bytes) in came(&cluster) {
        let stored = cluster.node(3).local.summary(Partition(u16::try_from(partition).unwrap())).unwrap();
        let (stored, again) = (usize::try_from(stored.bytes).unwrap(), 4 * (BATCH_BYTES + VALUE));
        assert!((stored..=stored + again).contains(&bytes), "partition {partition}: {bytes} of {stored}");
    }
    expect_all(&cluster, 160).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_batch_is_refused_counted_and_fetched_again() {
    let mut cluster = grown(80, Settings::default()).await;
    cluster.board.damage.store(5, Ordering::Relaxed);
    cluster.settle().await;
    let [batches, damaged, left] = cluster.node(3).transfers.counts();
    assert_eq!(damaged, 5);
    assert!(left >= 5 && batches > 0, "{left} times another holder was asked");
    expect_all(&cluster, 80).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_up_and_says_nothing_is_left_for_another() {
    let mut cluster = grown(40, Settings::default()).await;
    cluster.board.mute.lock().unwrap().insert(node_id(1));
    cluster.settle().await;
    let asked: BTreeSet<NodeId> = cluster.board.pulls.lock().unwrap().iter().map(|(_, of, _)| *of).collect();
    assert!(asked.contains(&node_id(1)), "it was asked too");
    assert!(cluster.board.batches.lock().unwrap().iter().all(|(of, ..)| *of != node_id(1)));
    expect_all(&cluster, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_is_set_anew_without_a_restart() {
    // By this limit the copy would take an hour.
    let mut cluster = grown(80, Settings { bytes_per_second: 1000, ..Settings::default() }).await;
    cluster.drive_until(|_, next| matches!(next, Next::Wait(_))).await;
    while cluster.board.batches.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let newcomer = cluster.node(3);
    assert_eq!(support::driver::status(&newcomer).await.background_bytes_per_second, 1000);
    let set = |of: NodeId, to| {
        let node_id = of.as_bytes().to_vec().into();
        tonic::Request::new(SetPaceRequest { node_id, background_bytes_per_second: to })
    };
    assert!(newcomer.admin.set_pace(set(node_id(1), 0)).await.is_err(), "meant for another node");
    for i in 0..4 {
        cluster.node(i).admin.set_pace(set(node_id(i), 0)).await.unwrap();
    }
    assert_eq!(support::driver::status(&newcomer).await.background_bytes_per_second, 0);
    drop(newcomer);
    cluster.settle().await;
    expect_all(&cluster, 80).await;
}
