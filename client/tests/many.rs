//! Many keys at once, against servers whose behaviour is scripted: who is asked for what, and what is asked again.

#![allow(clippy::unwrap_used)] // a panic is the report

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use dynamo_client::{BatchWrite, Client, Context, Error, ListOptions, Options, ReadOptions, WriteOptions};
use dynamo_ring::{Position, Record};
use futures::TryStreamExt;
use support::{Act, Node, cluster};
use tonic::Status;

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("key-{i}")).collect()
}

fn puts(count: usize) -> Vec<BatchWrite> {
    let put = |key: String| BatchWrite::Put {
        key: key.into(),
        value: Bytes::from_static(b"v"),
        context: Context::default(),
    };
    keys(count).into_iter().map(put).collect()
}

/// How many of these keys each node is the first holder of.
fn owned(record: &Record, keys: &[String], nodes: usize) -> Vec<usize> {
    let mut owned = vec![0; nodes];
    for key in keys {
        let partition = Position::of(key.as_bytes()).partition(record.stable().partitions());
        owned[usize::from(record.stable().row(partition)[0])] += 1;
    }
    owned
}

fn counts(nodes: &[Node]) -> Vec<usize> {
    nodes.iter().map(|node| node.calls().len()).collect()
}

async fn connect(node: &Node, options: Options) -> Client {
    Client::connect([node.address.to_string()], options).await.unwrap()
}

#[tokio::test]
async fn each_item_goes_to_its_own_coordinator_and_comes_back_in_its_place() {
    let (nodes, _serving, record) = cluster(4).await;
    let client = connect(&nodes[0], Options::default()).await;
    let keys = keys(200);
    let found = client.get_many(&keys, &ReadOptions::default()).await;
    let values: Vec<_> = found.iter().map(|value| value.as_ref().unwrap().single().unwrap()).collect();
    assert_eq!(values, keys.iter().map(String::as_bytes).collect::<Vec<_>>());
    assert_eq!(counts(&nodes), owned(&record, &keys, 4));
    assert_eq!((client.statistics().requests, client.statistics().retries), (200, 0));
}

#[tokio::test]
async fn an_item_that_fails_is_asked_again_alone_and_keeps_its_write_id() {
    let (nodes, _serving, _) = cluster(3).await;
    let client = connect(&nodes[0], Options::default()).await;
    for _ in 0..5 {
        nodes[1].will(Act::Fail(Status::resource_exhausted("full")));
    }
    let written = client.write_many(puts(60), &WriteOptions::default()).await;
    assert!(written.iter().all(Result::is_ok));
    let ids: Vec<_> = nodes.iter().flat_map(Node::calls).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (65, 60));
    assert_eq!(client.statistics().retries, 5);
}

#[tokio::test]
async fn what_can_never_succeed_is_told_for_its_item_only() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&nodes[0], Options::default()).await;
    nodes[2].will(Act::Fail(Status::invalid_argument("no")));
    let written = client.write_many(puts(60), &WriteOptions::default()).await;
    let failed: Vec<_> = written.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(matches!(&failed[..], [Error::Invalid(_)]), "{failed:?}");
    assert_eq!(counts(&nodes), owned(&record, &keys(60), 3));
}

#[tokio::test]
async fn the_items_of_a_member_that_is_gone_go_to_others() {
    let (nodes, mut serving, _) = cluster(3).await;
    let client = connect(&nodes[0], Options::default()).await;
    serving.remove(1).abort();
    let keys = keys(60);
    let found = client.get_many(&keys, &ReadOptions::default()).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(counts(&nodes).iter().sum::<usize>(), 60);
}

#[tokio::test]
async fn a_batch_ends_with_its_deadline_and_says_what_is_missing() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&nodes[0], Options::default()).await;
    let keys = keys(30);
    let lost = owned(&record, &keys, 3)[1];
    assert!(lost > 0);
    // It answers nothing more on a stream once it hangs at its first item.
    nodes[1].will(Act::Hang);
    let options = ReadOptions { deadline: Some(Duration::from_millis(500)), ..ReadOptions::default() };
    let found = client.get_many(&keys, &options).await;
    let failed = found.iter().filter(|answer| matches!(answer, Err(Error::Unavailable { .. }))).count();
    assert_eq!(failed, lost);
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let (nodes, _serving, _) = cluster(3).await;
    let client = connect(&nodes[0], Options::default()).await;
    let listed: Vec<_> = client.list(ListOptions::default()).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|one| &one.key[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
}
