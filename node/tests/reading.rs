//! What a read costs on the wire: one state at most, and none where the coordinator has it, unless replicas differ.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dynamo_node::coordinate::{ReadAnswer, ReadOrder, Terms};
use dynamo_node::store::Merge;
use dynamo_node::version::{ActorId, Birth, Dot, Sibling, State, VersionVector, Writer};
use dynamo_ring::Position;
use support::{Cluster, Settings};
use tokio::time::Instant;

/// A large value, and all else that a read may send: requests, hashes, frames.
const VALUE: usize = 1 << 20;
const AROUND: usize = 4 << 10;

/// The nodes that hold `key`, in the order of its preference list, and then the others.
fn holders_first(cluster: &Cluster, key: &str) -> Vec<u8> {
    let layout = cluster.record.stable();
    let partition = Position::of(key.as_bytes()).partition(layout.partitions());
    layout.preference_list(partition).iter().map(|member| member.node_id.0[0] - 1).collect()
}

/// Reads at a node, and says how many bytes that took between nodes.
async fn read(cluster: &Cluster, at: u8, key: &str, r: u32) -> (ReadAnswer, usize) {
    let node = cluster.node(at);
    let before = cluster.board.carried.load(Ordering::Relaxed);
    let until = Instant::now() + Duration::from_secs(30);
    let pass = node.gate.enter(1).unwrap();
    let terms = Terms { quorum: Some(r), strict: true, forwarded: false, until, pass };
    let key = Bytes::copy_from_slice(key.as_bytes());
    let answer = node
        .coordinator
        .read(ReadOrder { key, allow_partial: false, at_least: VersionVector::new(), terms })
        .await
        .unwrap();
    (answer, cluster.board.carried.load(Ordering::Relaxed) - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_value_crosses_the_wire_once_at_most() {
    let cluster = Cluster::form(5, Settings::default()).await;
    support::put(&cluster.board, "large", &vec![7; VALUE]).await;
    cluster.expect_equal_roots().await;
    let order = holders_first(&cluster, "large");
    for r in [2, 3] {
        let (answer, bytes) = read(&cluster, order[0], "large", r).await;
        assert_eq!(answer.state.value_bytes(), VALUE);
        assert!(bytes <= AROUND, "{bytes} bytes at a member that holds the key, r = {r}");
        let (answer, bytes) = read(&cluster, order[4], "large", r).await;
        assert_eq!(answer.state.value_bytes(), VALUE);
        // One that is slow to send the value may be hedged by another one.
        assert!(bytes <= 2 * VALUE + AROUND, "{bytes} bytes at another, r = {r}");
        assert!(bytes >= VALUE, "{bytes} bytes at another, r = {r}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_replicas_differ_all_is_found_and_brought_together() {
    let cluster = Cluster::form(3, Settings::default()).await;
    support::put(&cluster.board, "k", &vec![7; VALUE]).await;
    cluster.expect_equal_roots().await;
    let order = holders_first(&cluster, "k");
    // A write that only the second of them has heard of.
    let dot = Dot { writer: Writer { actor: ActorId(99), birth: Birth(1) }, counter: 1 };
    let value = Some(Bytes::from_static(b"more"));
    let sibling = Sibling { dot, value, write_id: None, written_at_ms: 1, expires_at_ms: None };
    let state = State::from_parts(VersionVector::new(), vec![sibling]);
    let merge = Merge { key: Bytes::from_static(b"k"), state, hint: None, from: None };
    let elsewhere = cluster.node(order[1]);
    elsewhere.committer.submit(merge).unwrap().durable().await.unwrap();

    let (answer, _) = read(&cluster, order[0], "k", 3).await;
    assert_eq!(answer.answered, 3);
    let mut lengths: Vec<usize> = answer.state.values().map(Bytes::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [4, VALUE]);
    // Nothing else brings replicas together here: the copier and the giver have no change to work on.
    cluster.expect_equal_roots().await;
    let (_, bytes) = read(&cluster, order[0], "k", 3).await;
    assert!(bytes <= AROUND, "{bytes} bytes once they are alike");
}
