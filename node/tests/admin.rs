//! What the operator is told, and what it is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use dynamo_node::peer::wire::node_id_bytes;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_proto::v1::{
    HoldingsRequest, InspectRequest, RetireReply, RetireRequest, SetLayoutRequest, Stage,
};
use dynamo_ring::{NodeId, Partition, Position};
use support::driver::status;
use support::{CLUSTER, Cluster, Running, Settings, get, members, node_id, put};
use tonic::{Code, Request};

async fn retire(running: &Running, node: NodeId, cluster: [u8; 16]) -> RetireReply {
    let request = RetireRequest { cluster_id: cluster.to_vec().into(), node_id: node_id_bytes(node) };
    running.admin.retire(Request::new(request)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_record_meant_for_another_node_is_refused_and_nothing_is_stored() {
    let mut cluster = Cluster::form(3, Settings::default()).await;
    cluster.start(3);
    let record = cluster.record.propose(&members(0..4)).unwrap();
    let request = SetLayoutRequest { record: record.to_json().into(), node_id: node_id_bytes(node_id(9)) };
    let refused = cluster.node(3).admin.set_layout(Request::new(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(cluster.node(3).layouts.current().is_none());

    let garbage = SetLayoutRequest { record: "{}".into(), ..SetLayoutRequest::default() };
    let refused = cluster.node(3).admin.set_layout(Request::new(garbage)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_older_record_is_refused_with_what_stands() {
    let mut cluster = Cluster::form(3, Settings::default()).await;
    let old = cluster.record.clone();
    cluster.start(3);
    cluster.record = cluster.record.propose(&members(0..4)).unwrap();
    cluster.settle().await;
    let request = SetLayoutRequest { record: old.to_json().into(), ..SetLayoutRequest::default() };
    let refused = cluster.node(0).admin.set_layout(Request::new(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("Committed 2"), "{}", refused.message());
}

#[tokio::test]
async fn who_is_named_or_is_not_meant_does_not_retire() {
    let cluster = Cluster::form(3, Settings::default()).await;
    let node = cluster.node(0);
    let named = retire(&node, node_id(0), CLUSTER.0).await;
    assert!(!named.retired && named.reason.contains("names this node"), "{named:?}");
    let other = retire(&node, node_id(1), CLUSTER.0).await;
    assert!(!other.retired && other.reason.contains("another was asked"), "{other:?}");
    let strange = retire(&node, node_id(0), [1; 16]).await;
    assert!(!strange.retired && strange.reason.contains("belongs to cluster"), "{strange:?}");
    assert_eq!(status(&node).await.stage(), Stage::Serving);
}

#[tokio::test]
async fn who_has_retired_says_so_for_ever_and_takes_no_layout() {
    let mut cluster = Cluster::form(3, Settings::default()).await;
    cluster.start(3);
    assert_eq!(status(&cluster.node(3)).await.stage(), Stage::Dormant);
    // A layout of an abandoned target named it, and it never heard of that.
    assert!(retire(&cluster.node(3), node_id(3), CLUSTER.0).await.retired);
    assert!(retire(&cluster.node(3), node_id(3), CLUSTER.0).await.retired, "asked twice");
    cluster.kill(3).await;
    cluster.start(3);
    let record = cluster.record.propose(&members(0..4)).unwrap();
    let request = SetLayoutRequest { record: record.to_json().into(), ..SetLayoutRequest::default() };
    let refused = cluster.node(3).admin.set_layout(Request::new(request)).await.unwrap_err();
    assert!(refused.message().contains("has retired"), "{}", refused.message());
}

#[tokio::test]
async fn a_key_and_its_partition_are_shown_as_they_are_here() {
    let cluster = Cluster::form(3, Settings::default()).await;
    put(&cluster.board, "k", b"v").await;
    assert_eq!(get(&cluster.board, "k").await, ["v"]);
    cluster.expect_equal_roots().await;
    let node = cluster.node(1);
    let request = Request::new(InspectRequest { key: "k".into(), value_bytes: 0 });
    let shown = node.admin.inspect(request).await.unwrap().into_inner();
    assert!(shown.found && shown.held);
    assert_eq!((&shown.siblings[0].value[..], shown.siblings.len(), shown.context.len()), (&b"v"[..], 1, 1));
    assert_eq!(shown.siblings[0].dot, Some(shown.context[0]));
    let partition = Position::of(b"k").partition(cluster.record.stable().partitions());
    assert_eq!(shown.partition, u32::from(partition.0));
    assert_eq!((&shown.leaf, shown.hash.len(), shown.owed.len()), (&shown.hash, 16, 0));
    assert!(shown.stored_bytes > 1);
    let nothing = Request::new(InspectRequest { key: "nothing".into(), value_bytes: 0 });
    let nothing = node.admin.inspect(nothing).await.unwrap().into_inner();
    assert!(!nothing.found && nothing.leaf.is_empty() && nothing.hash.is_empty());

    let request = Request::new(HoldingsRequest { partitions: vec![shown.partition] });
    let holdings = node.admin.holdings(request).await.unwrap().into_inner().holdings;
    let summary = node.local.summary(Partition(partition.0)).unwrap();
    assert_eq!((holdings.len(), holdings[0].keys, &holdings[0].root[..]), (1, 1, &summary.root.0[..]));
    let all = node.admin.holdings(Request::new(HoldingsRequest::default())).await.unwrap().into_inner();
    assert_eq!(all.holdings.len(), 16);
}
