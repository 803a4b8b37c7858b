//! Answers that are too large for one message, against servers whose behaviour is scripted.

#![allow(clippy::unwrap_used)] // a panic is the report

mod support;

use std::collections::HashMap;

use dynamo_client::{Client, Error, Options, ReadOptions};
use dynamo_ring::{Position, Record};
use support::{Act, Node, cluster};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

fn too_large() -> Act {
    let details = ErrorDetails::with_error_info("ANSWER_TOO_LARGE", "dynamokv.dev", HashMap::new());
    Act::Fail(Status::with_error_details(Code::OutOfRange, "too large", details))
}

async fn connect(node: &Node, options: Options) -> Client {
    Client::connect([node.address.to_string()], options).await.unwrap()
}

/// Whom a read of this key goes to.
fn first<'a>(nodes: &'a [Node], record: &Record, key: &[u8]) -> &'a Node {
    let partition = Position::of(key).partition(record.stable().partitions());
    &nodes[usize::from(record.stable().row(partition)[0])]
}

fn calls(nodes: &[Node]) -> usize {
    nodes.iter().map(|node| node.calls().len()).sum()
}

#[tokio::test]
async fn what_is_too_large_for_a_message_is_read_in_pieces() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&nodes[0], Options::default()).await;
    first(&nodes, &record, b"anna and berta").will(too_large());
    let found = client.get(b"anna and berta", &ReadOptions::default()).await.unwrap();
    assert_eq!(found.single().unwrap(), "anna and berta");
    assert_eq!((found.answered, found.context.is_empty(), calls(&nodes)), (2, false, 2));

    // The same out of a batch, for the one item alone.
    first(&nodes, &record, b"key-1").will(too_large());
    let found = client.get_many(&["key-1", "key-2"], &ReadOptions::default()).await;
    let values: Vec<_> = found.iter().map(|value| value.as_ref().unwrap().single().unwrap()).collect();
    assert_eq!(values, ["key-1", "key-2"]);
    assert_eq!(calls(&nodes), 5);
}

#[tokio::test]
async fn pieces_that_break_off_are_asked_of_another_coordinator() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&nodes[0], Options::default()).await;
    let first = first(&nodes, &record, b"anna");
    first.will(too_large());
    first.will(Act::Fail(Status::internal("broken off")));
    let found = client.get(b"anna", &ReadOptions::default()).await.unwrap();
    assert_eq!(found.single().unwrap(), "anna");
    assert_eq!((first.calls().len(), calls(&nodes)), (2, 3));
}

#[tokio::test]
async fn more_than_the_client_takes_is_told_and_not_read() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&nodes[0], Options { largest_answer: 3, ..Options::default() }).await;
    first(&nodes, &record, b"anna").will(too_large());
    let refused = client.get(b"anna", &ReadOptions::default()).await.unwrap_err();
    let Error::TooLarge(text) = &refused else { panic!("{refused}") };
    assert!(
        text.contains("4 bytes") && text.contains("takes 3") && text.contains("largest_answer"),
        "{text}"
    );
    assert_eq!(calls(&nodes), 2, "another coordinator would say the same");
}
