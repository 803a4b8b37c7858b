//! Who a node is after a stop, a crash, another volume: real directories, real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

mod wire;

use dynamo_node::server::StartError;
use dynamo_proto::v1::{PutRequest, SetLayoutRequest};
use tonic::Code;
use wire::{Pod, Wired, eventually, put, shown, values};

/// The members that see this one.
async fn seen_by(cluster: &Wired, pod: &Pod) -> usize {
    let mut seen = 0;
    for other in &cluster.pods {
        if other.name != pod.name {
            let connected = other.status().await.connected;
            seen += usize::from(connected.iter().any(|node| node[..] == pod.node_id.0));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clean_stop_a_member_that_cannot_be_asked_costs_the_actor() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[0].put(PutRequest { w: Some(3), ..put("k", "v") }).await.unwrap();
    let before = cluster.pods[0].status().await;
    cluster.pods[0].stop().await;
    cluster.pods[2].stop().await;
    cluster.pods[0].start().await;
    let after = cluster.pods[0].status().await;
    assert_eq!(after.node_id, before.node_id);
    assert_ne!(after.actor, before.actor, "the one that is away might know of more");
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_2_a_directory_put_back_to_an_older_copy_is_set_aside_and_begins_as_a_new_node() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[0].put(PutRequest { w: Some(3), ..put("k", "old") }).await.unwrap();
    cluster.pods[0].stop().await;
    let copy = cluster.pods[0].copy_data();
    cluster.pods[0].start().await;
    cluster.connected().await;
    let written = cluster.pods[0].put(PutRequest { w: Some(3), ..put("k2", "new") }).await.unwrap();
    assert_eq!(written.answered, 3);
    // The others have to hear that this is on its disk.
    eventually("its numbers are known", async || {
        let mut known = 0;
        for pod in &cluster.pods[1..] {
            known += usize::from(!pod.status().await.connected.is_empty());
        }
        cluster.pods[0].put(put("k3", "more")).await.is_ok() && known == 2
    })
    .await;
    cluster.pods[0].stop().await;
    cluster.pods[0].put_back(&copy);

    let refused = cluster.pods[0].try_start().await.unwrap_err();
    let StartError::SetBack { aside, .. } = &refused else { panic!("{refused}") };
    assert!(aside.as_ref().is_some_and(|path| path.exists()), "{refused}");
    assert_eq!(refused.exit_code(), 75);
    let old = cluster.pods[0].node_id;
    cluster.pods[0].start().await;
    let status = cluster.pods[0].status().await;
    assert_ne!(status.node_id[..], old.0, "a new node");
    assert_eq!((status.keys, status.has_data), (0, false));
    assert_eq!(values(&cluster.pods[1].get("k").await), ["old"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_8_a_wiped_directory_is_a_new_node_and_nobody_takes_it_for_the_old_one() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[0].put(PutRequest { w: Some(3), ..put("k", "v") }).await.unwrap();
    let old = cluster.pods[0].node_id;
    cluster.pods[0].stop().await;
    cluster.pods[0].wipe();
    cluster.pods[0].start().await;
    let status = cluster.pods[0].status().await;
    assert_ne!(status.node_id[..], old.0);
    assert_eq!((status.keys, cluster.pods[0].is_ready()), (0, false));
    let refused = cluster.pods[0].put(put("k", "w")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    // It answers at the address of the old one, and does not let itself be taken for it.
    let record = cluster.record.to_json().into();
    let request = SetLayoutRequest { record, ..SetLayoutRequest::default() };
    let refused = cluster.pods[0].admin().set_layout(shown(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("does not name it"), "{}", refused.message());
    let written = cluster.pods[1].put(put("k2", "v")).await.unwrap();
    assert_eq!(written.answered, 2);
    assert_eq!(seen_by(&cluster, &cluster.pods[0]).await, 0, "the old node id is not used again");
    assert_eq!(cluster.pods[0].status().await.keys, 0);
}
