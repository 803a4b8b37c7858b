//! The client against real gRPC servers whose behaviour is scripted: whom it asks, when it asks again, when it stops.

#![allow(clippy::unwrap_used)] // a panic is the report

mod support;

use std::time::{Duration, Instant};

use dynamo_client::{Client, Context, Error, Options, ReadOptions, WriteOptions};
use dynamo_ring::{Position, Record};
use support::{Act, Node, cluster, member, record};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const KEY: &[u8] = b"anna";

/// Indexes of the nodes that hold `KEY`, in order.
fn holders(record: &Record) -> Vec<usize> {
    let partition = Position::of(KEY).partition(record.stable().partitions());
    record.stable().row(partition).iter().map(|&i| usize::from(i)).collect()
}

async fn connect(seeds: &[&Node], options: Options) -> Client {
    Client::connect(seeds.iter().map(|node| node.address.to_string()), options).await.unwrap()
}

async fn put(client: &Client) -> Result<(), Error> {
    client.put(KEY, "v", &Context::default(), &WriteOptions::default()).await.map(|_| ())
}

fn counts(nodes: &[Node]) -> Vec<usize> {
    nodes.iter().map(|node| node.calls().len()).collect()
}

#[tokio::test]
async fn a_request_goes_straight_to_the_first_holder() {
    let (nodes, _serving, record) = cluster(5).await;
    let [first, .., last] = holders(&record)[..] else { panic!("no holders") };
    let outsider = (0..5).find(|i| !holders(&record).contains(i)).unwrap();
    let client = connect(&[&nodes[outsider], &nodes[last]], Options::default()).await;
    put(&client).await.unwrap();
    client.get(KEY, &ReadOptions::default()).await.unwrap();
    client.delete(KEY, &Context::default(), &WriteOptions::default()).await.unwrap();
    let mut expected = vec![0; 5];
    expected[first] = 3;
    assert_eq!(counts(&nodes), expected);
    assert_eq!(client.statistics().retries, 0);
}

#[tokio::test]
async fn a_member_that_is_gone_costs_one_quick_retry_and_is_asked_again_when_it_is_back() {
    let (nodes, mut serving, record) = cluster(3).await;
    let [first, second, third] = holders(&record)[..] else { panic!("no holders") };
    let client = connect(&[&nodes[third]], Options::default()).await;
    serving.remove(first).abort();
    let begun = Instant::now();
    for _ in 0..20 {
        put(&client).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_millis(900), "no pause, no timeout: {:?}", begun.elapsed());
    assert_eq!(nodes[second].calls().len(), 20);
    assert_eq!(client.statistics().retries, 1, "the suspect is not asked again");

    let _serving = nodes[first].restart();
    let back = async {
        while nodes[first].calls().is_empty() {
            put(&client).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), back).await.expect("asked again once a probe has found it");
}

#[tokio::test]
async fn all_attempts_of_a_write_carry_one_write_id_and_the_next_write_another() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&[&nodes[0]], Options::default()).await;
    for &holder in &holders(&record) {
        nodes[holder].will(Act::Fail(Status::resource_exhausted("full")));
    }
    put(&client).await.unwrap();
    put(&client).await.unwrap();
    let ids: Vec<_> = nodes.iter().flat_map(Node::calls).collect();
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|id| id.len() == 16));
    let mut distinct = ids.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 2);
    assert_eq!(client.statistics().retries, 3);
}

#[tokio::test]
async fn after_a_pause_another_coordinator_is_asked() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&[&nodes[0]], Options::default()).await;
    let [first, second, _] = holders(&record)[..] else { panic!("no holders") };
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_millis(120)));
    // One that is cut off from its peers says this for as long as it is asked.
    for _ in 0..10 {
        nodes[first].will(Act::Fail(Status::with_error_details(
            Code::Unavailable,
            "too few",
            details.clone(),
        )));
    }
    let begun = Instant::now();
    put(&client).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(120), "the server's wish is the least pause");
    assert_eq!((nodes[first].calls().len(), nodes[second].calls().len()), (1, 1));
}

#[tokio::test]
async fn nothing_is_done_beyond_the_deadline() {
    let (nodes, _serving, _) = cluster(3).await;
    let client = connect(&[&nodes[0]], Options::default()).await;
    for node in &nodes {
        for _ in 0..9 {
            node.will(Act::Hang);
        }
    }
    let options = WriteOptions { deadline: Some(Duration::from_millis(400)), ..WriteOptions::default() };
    let begun = Instant::now();
    let failed = client.put(KEY, "v", &Context::default(), &options).await.unwrap_err();
    let took = begun.elapsed();
    assert!(matches!(failed, Error::Unavailable { attempts: 1, .. }), "{failed}");
    assert!(took >= Duration::from_millis(390) && took < Duration::from_millis(700), "{took:?}");
}

#[tokio::test]
async fn a_silent_member_is_left_after_the_time_of_one_attempt() {
    let (nodes, _serving, record) = cluster(3).await;
    let options = Options { attempt: Duration::from_millis(200), ..Options::default() };
    let client = connect(&[&nodes[0]], options).await;
    nodes[holders(&record)[0]].will(Act::Hang);
    let begun = Instant::now();
    put(&client).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(600), "{:?}", begun.elapsed());
    assert_eq!(client.statistics().retries, 1);
}

#[tokio::test]
async fn what_can_never_succeed_is_told_at_once() {
    let (nodes, _serving, record) = cluster(3).await;
    let client = connect(&[&nodes[0]], Options::default()).await;
    let first = &nodes[holders(&record)[0]];
    first.will(Act::Fail(Status::invalid_argument("the key has 4097 bytes; 4096 are allowed")));
    let failed = put(&client).await.unwrap_err();
    assert!(matches!(&failed, Error::Invalid(text) if text.contains("4097")), "{failed}");
    assert_eq!(counts(&nodes).iter().sum::<usize>(), 1);
}

#[tokio::test]
async fn where_members_cannot_be_dialled_the_seeds_serve() {
    let (seed, _serving) = Node::start().await;
    // Nobody listens on port 1, as if the addresses were those of another network.
    let members: Vec<_> = (0..3).map(|i| member(i, &format!("127.0.0.1:{}", i + 1))).collect();
    seed.knows(&record(&members));
    let client = connect(&[&seed], Options::default()).await;
    for _ in 0..10 {
        put(&client).await.unwrap();
    }
    assert_eq!(seed.calls().len(), 10);
    assert_eq!(client.statistics().retries, 3, "each member was tried once");

    let client = connect(&[&seed], Options { direct: false, ..Options::default() }).await;
    put(&client).await.unwrap();
    assert_eq!(client.statistics().retries, 0);
}

#[tokio::test]
async fn an_answer_of_another_epoch_makes_the_client_learn_the_layout() {
    let (nodes, _serving, before) = cluster(4).await;
    let client = connect(&[&nodes[0]], Options::default()).await;
    let target: Vec<_> = before.stable().members()[..3].to_vec();
    let after = before.propose(&target).unwrap().freeze().unwrap().switch().unwrap().commit().unwrap();
    for node in &nodes {
        node.knows(&after);
    }
    put(&client).await.unwrap();
    let learnt = async {
        while client.layout().unwrap().stable().epoch() != 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), learnt).await.expect("long before the usual 30 s");
}

#[tokio::test]
async fn without_a_seed_that_answers_there_is_no_client() {
    assert_eq!(Client::connect([""; 0], Options::default()).await.unwrap_err(), Error::NoSeed);
    let none = Client::connect(["cart"], Options::default()).await.unwrap_err();
    assert!(matches!(none, Error::Address { .. }), "{none}");
    let options = Options { deadline: Duration::from_millis(300), ..Options::default() };
    let silent = Client::connect(["127.0.0.1:1"], options).await.unwrap_err();
    assert!(matches!(silent, Error::NoAnswer { .. }), "{silent}");
}
