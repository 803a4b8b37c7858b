//! Requests that make no sense, over real gRPC: each is refused where it is given, by name, and nothing is stored.

use dynamo_client::{Admin, AdminError, Context, ReadOptions, Token, WriteOptions};
use dynamo_cluster_tests::{Bench, PATIENCE};
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_proto::v1::{DeleteRequest, GetRequest, PutRequest};
use tonic::Code;
use tonic::transport::Channel;

async fn raw(bench: &Bench, ordinal: u16) -> KvClient<Channel> {
    let address = bench.cluster.address(ordinal).unwrap();
    KvClient::connect(format!("http://{address}")).await.unwrap().max_encoding_message_size(64 << 20)
}

fn good() -> PutRequest {
    PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_with_value_limit_and_field() {
    let bench = Bench::start(3, &["--max-value-bytes", "65536"]).await;
    let client = bench.client().await;
    let other = client.put(b"other", "v", &Context::default(), &WriteOptions::default()).await.unwrap();
    let of_another_key = other.context.unwrap().0;
    let mut flipped = of_another_key.to_vec();
    *flipped.last_mut().unwrap() ^= 1;

    // What is wrong, and what the message has to name.
    let cases: [(&str, PutRequest, &[&str]); 10] = [
        ("empty key", PutRequest { key: "".into(), ..good() }, &["key"]),
        ("long key", PutRequest { key: vec![b'k'; 4097].into(), ..good() }, &["key", "4097", "4096"]),
        ("long value", PutRequest { value: vec![0; 65537].into(), ..good() }, &["value", "65537", "65536"]),
        ("garbage context", PutRequest { context: "garbage".into(), ..good() }, &["context"]),
        (
            "flipped context",
            PutRequest { key: "other".into(), context: flipped.into(), ..good() },
            &["context"],
        ),
        ("another key's context", PutRequest { context: of_another_key, ..good() }, &["context"]),
        ("w = 0", PutRequest { w: Some(0), ..good() }, &["w", "0"]),
        ("w = 9", PutRequest { w: Some(9), ..good() }, &["w", "9", "3"]),
        ("short write id", PutRequest { write_id: vec![1; 15].into(), ..good() }, &["write", "15", "16"]),
        ("long write id", PutRequest { write_id: vec![1; 17].into(), ..good() }, &["write", "17", "16"]),
    ];
    let mut kv = raw(&bench, 0).await;
    for (what, request, names) in cases {
        let delete = DeleteRequest {
            key: request.key.clone(),
            context: request.context.clone(),
            w: request.w,
            write_id: request.write_id.clone(),
            ..DeleteRequest::default()
        };
        let mut refusals = vec![kv.put(request).await.expect_err(what)];
        if what != "long value" {
            refusals.push(kv.delete(delete).await.expect_err(what));
        }
        for refused in refusals {
            assert_eq!(refused.code(), Code::InvalidArgument, "{what}: {refused}");
            let message = refused.message();
            assert!(names.iter().all(|name| message.contains(name)), "{what}: {message}");
        }
    }
    let reads: [(&str, GetRequest); 4] = [
        ("empty key", GetRequest::default()),
        ("long key", GetRequest { key: vec![b'k'; 4097].into(), ..GetRequest::default() }),
        ("r = 0", GetRequest { key: "k".into(), r: Some(0), ..GetRequest::default() }),
        ("r = 9", GetRequest { key: "k".into(), r: Some(9), ..GetRequest::default() }),
    ];
    for (what, request) in reads {
        let refused = kv.get(request).await.expect_err(what);
        assert_eq!(refused.code(), Code::InvalidArgument, "{what}: {refused}");
    }
    let read = client.get(b"k", &ReadOptions::default()).await.unwrap();
    assert!(read.is_absent(), "nothing of it was stored");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_themselves_are_possible() {
    let bench = Bench::start(3, &["--max-value-bytes", "65536"]).await;
    let key = vec![b'k'; 4096];
    let mut kv = raw(&bench, 1).await;
    let largest = PutRequest { key: key.clone().into(), value: vec![7; 65536].into(), w: Some(3), ..good() };
    kv.put(largest).await.unwrap();
    let read = kv.get(GetRequest { key: key.into(), r: Some(3), ..GetRequest::default() }).await.unwrap();
    assert_eq!(read.into_inner().siblings[0].value.len(), 65536);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_administers_without_the_token() {
    let bench = Bench::start(3, &[]).await;
    let address = bench.cluster.address(0).unwrap();
    let stranger = Admin::new(&address, &Token::new("a guess").unwrap(), PATIENCE).unwrap();
    assert!(matches!(stranger.status().await, Err(AdminError::Denied { .. })));
    let record = bench.look().await.record;
    let node = record.stable().members()[0].node_id;
    assert!(matches!(stranger.set_layout(&record, node).await, Err(AdminError::Denied { .. })));
    assert!(matches!(stranger.retire(record.cluster_id(), node).await, Err(AdminError::Denied { .. })));
    assert!(matches!(stranger.inspect(b"k", 0).await, Err(AdminError::Denied { .. })));
    assert!(matches!(stranger.holdings(&[]).await, Err(AdminError::Denied { .. })));
    bench.stop().await;
}
