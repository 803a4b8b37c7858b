//! Hedged reads against servers whose behaviour is scripted. The time limits here are those of a hang, not of speed.

#![allow(clippy::unwrap_used)] // a panic is the report

mod support;

use std::time::Duration;

use dynamo_client::{Client, Context, Options, ReadOptions, WriteOptions};
use dynamo_ring::Position;
use support::{Act, Node, cluster};
use tokio::task::JoinHandle;
use tonic::Status;

const KEY: &[u8] = b"anna";

/// Three nodes, the two that are asked first for `KEY`, and a client that has read enough to know how long a read takes.
async fn warm() -> (Client, Node, Node, Vec<JoinHandle<()>>) {
    let (nodes, serving, record) = cluster(3).await;
    let client = Client::connect([nodes[0].address.to_string()], Options::default()).await.unwrap();
    for _ in 0..240 {
        client.get(KEY, &ReadOptions::default()).await.unwrap();
    }
    let partition = Position::of(KEY).partition(record.stable().partitions());
    let row = record.stable().row(partition);
    let node = |at: usize| nodes[usize::from(row[at])].clone();
    (client, node(0), node(1), serving)
}

#[tokio::test]
async fn a_read_that_hangs_is_answered_by_the_second_coordinator() {
    let (client, first, second, _serving) = warm().await;
    let (hedges, calls) = (client.statistics().hedges, second.calls().len());
    first.will(Act::Hang);
    client.get(KEY, &ReadOptions::default()).await.unwrap();
    let counted = client.statistics();
    assert_eq!((counted.hedges, counted.retries), (hedges + 1, 0), "no attempt had to run out of time");
    assert_eq!(second.calls().len(), calls + 1);
}

#[tokio::test]
async fn the_first_answer_counts_though_the_second_attempt_fails() {
    let (client, first, second, _serving) = warm().await;
    let hedges = client.statistics().hedges;
    first.will(Act::Slow(Duration::from_millis(300)));
    second.will(Act::Fail(Status::resource_exhausted("full")));
    client.get(KEY, &ReadOptions::default()).await.unwrap();
    assert_eq!((client.statistics().hedges, client.statistics().retries), (hedges + 1, 0));
}

#[tokio::test]
async fn writes_are_never_hedged() {
    let (client, first, second, _serving) = warm().await;
    let (hedges, calls) = (client.statistics().hedges, second.calls().len());
    first.will(Act::Slow(Duration::from_millis(300)));
    client.put(KEY, "v", &Context::default(), &WriteOptions::default()).await.unwrap();
    assert_eq!((client.statistics().hedges, second.calls().len()), (hedges, calls));
}

#[tokio::test]
async fn a_store_that_is_slow_as_a_whole_is_not_asked_twice_as_much() {
    let (client, first, second, _serving) = warm().await;
    let before = client.statistics().hedges;
    for _ in 0..60 {
        first.will(Act::Slow(Duration::from_millis(15)));
        second.will(Act::Slow(Duration::from_millis(15)));
        client.get(KEY, &ReadOptions::default()).await.unwrap();
    }
    // What may be saved up, and a twentieth of these.
    let hedges = client.statistics().hedges - before;
    assert!(hedges <= 10 + 3, "{hedges}");
}
