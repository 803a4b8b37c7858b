//! Many requests on one stream, and keys by the page, on real nodes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::batch_get_response::Result as Got;
use dynamo_proto::v1::batch_put_request::Write;
use dynamo_proto::v1::batch_put_response::Result as Put;
use dynamo_proto::v1::{
    BatchGetRequest, BatchGetResponse, BatchPutRequest, BatchPutResponse, ListKeysRequest, PutRequest,
};
use futures::{StreamExt, stream};
use tonic::{Code, Request};
use wire::{Pod, Wired, delete, get, put, values};

async fn batch_put(pod: &Pod, items: Vec<BatchPutRequest>) -> BTreeMap<u64, BatchPutResponse> {
    let answers = pod.kv().batch_put(stream::iter(items)).await.unwrap().into_inner();
    answers.map(|answer| answer.unwrap()).map(|answer| (answer.id, answer)).collect().await
}

async fn batch_get(pod: &Pod, keys: &[String]) -> BTreeMap<u64, BatchGetResponse> {
    let item =
        |(id, key): (usize, &String)| BatchGetRequest { id: id as u64, get: Some(get(key)), deadline_ms: 0 };
    let items: Vec<_> = keys.iter().enumerate().map(item).collect();
    let answers = pod.kv().batch_get(stream::iter(items)).await.unwrap().into_inner();
    answers.map(|answer| answer.unwrap()).map(|answer| (answer.id, answer)).collect().await
}

/// All pages, from the nodes in turn.
async fn list(cluster: &Wired, request: &ListKeysRequest) -> (BTreeMap<String, (u32, u32)>, usize) {
    let (mut listed, mut pages, mut page_token) = (BTreeMap::new(), 0, Bytes::new());
    loop {
        let pod = &cluster.pods[pages % cluster.pods.len()];
        let page = pod.kv().list_keys(ListKeysRequest { page_token, ..request.clone() }).await.unwrap();
        let page = page.into_inner();
        pages += 1;
        for key in page.keys {
            let text = String::from_utf8(key.key.to_vec()).unwrap();
            let twice = listed.insert(text, (key.siblings, key.tombstones));
            assert_eq!(twice, None, "a key is listed once");
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (listed, pages);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_of_a_batch_has_its_own_result() {
    let cluster = Wired::form(3, &["--max-value-bytes=1024"]).await;
    let [a, b, _] = &cluster.pods[..] else { unreachable!() };
    let gone = a.put(put("gone", "x")).await.unwrap();
    let item = |id, write| BatchPutRequest { id, write: Some(write), deadline_ms: 0 };
    let mut items: Vec<_> =
        (0..200).map(|i| item(i, Write::Put(put(&format!("key-{i}"), &i.to_string())))).collect();
    items.push(item(200, Write::Put(put("large", &"v".repeat(1025)))));
    items.push(item(201, Write::Put(PutRequest { w: Some(4), ..put("key", "v") })));
    items.push(item(202, Write::Delete(delete("gone", gone.context.clone()))));
    items.push(item(203, Write::Put(PutRequest { context: gone.context, ..put("another", "v") })));
    items.push(BatchPutRequest { id: 204, ..BatchPutRequest::default() });
    items.push(item(205, Write::Put(put("last", "v"))));

    let answers = batch_put(b, items).await;
    assert_eq!(answers.len(), 206);
    let mut refused = Vec::new();
    for (id, answer) in answers {
        match answer.result.unwrap() {
            Put::Put(written) => assert!(written.answered >= 2 && (id < 200 || id == 205), "{id}"),
            Put::Delete(written) => assert_eq!((id, written.siblings), (202, 1)),
            Put::Failed(status) => {
                assert_eq!(Code::from_i32(status.code), Code::InvalidArgument);
                refused.push((id, status.message));
            }
        }
    }
    let refused: Vec<_> = refused.iter().map(|(id, message)| (*id, message.as_str())).collect();
    assert_eq!(
        refused,
        [
            (200, "`value`: 1025 bytes; this node takes up to 1024 (--max-value-bytes)"),
            (201, "`w`: w = 4 is not possible: the cluster keeps 3 replicas, so w is 1 to 3"),
            (
                203,
                "`context`: the context belongs to another key; pass the one that a read of this key returned"
            ),
            (204, "`write`: missing; an item holds one request"),
        ]
    );

    let mut keys: Vec<String> = (0..200).map(|i| format!("key-{i}")).collect();
    keys.extend(["gone".to_owned(), String::new()]);
    for (id, answer) in batch_get(a, &keys).await {
        match answer.result.unwrap() {
            Got::Found(found) if id < 200 => assert_eq!(values(&found), [id.to_string()]),
            Got::Found(found) => assert_eq!((id, found.siblings.len(), found.tombstones), (200, 0, 1)),
            Got::Failed(status) => {
                assert_eq!((id, Code::from_i32(status.code)), (201, Code::InvalidArgument));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_cannot_be_served_in_time_say_so_and_the_stream_goes_on() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[1].crash().await;
    cluster.pods[2].crash().await;
    let a = &cluster.pods[0];
    let write = |key: &str, w| Some(Write::Put(PutRequest { w: Some(w), strict: true, ..put(key, "v") }));
    let items = vec![
        BatchPutRequest { id: 1, write: write("two", 2), deadline_ms: 300 },
        BatchPutRequest { id: 2, write: write("one", 1), deadline_ms: 5000 },
    ];
    let answers = batch_put(a, items).await;
    let Some(Put::Failed(status)) = &answers[&1].result else { panic!("{:?}", answers[&1]) };
    assert_eq!(Code::from_i32(status.code), Code::Unavailable);
    assert!(status.message.starts_with("1 of the 2 members"), "{}", status.message);
    assert!(matches!(&answers[&2].result, Some(Put::Put(written)) if written.answered == 1));

    // The stream's own deadline bounds its items too.
    let item = BatchPutRequest { id: 3, write: write("three", 3), deadline_ms: 0 };
    let mut request = Request::new(stream::iter([item]));
    request.set_timeout(Duration::from_millis(500));
    let answers = a.kv().batch_put(request).await.unwrap().into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert!(matches!(&answers[..], [Ok(BatchPutResponse { result: Some(Put::Failed(_)), .. })]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_listed_once_with_what_stands_of_it() {
    let mut cluster = Wired::form(5, &[]).await;
    let a = &cluster.pods[0];
    let item = |(id, key): (u64, String)| BatchPutRequest {
        id,
        write: Some(Write::Put(PutRequest { strict: true, ..put(&key, "v") })),
        deadline_ms: 0,
    };
    let names = (0..120).map(|i| format!("cart/{i:03}")).chain((0..80).map(|i| format!("user/{i:03}")));
    let answers = batch_put(a, (0..).zip(names.clone()).map(item).collect()).await;
    assert!(answers.values().all(|answer| matches!(answer.result, Some(Put::Put(_)))));
    a.put(put("cart/000", "beside")).await.unwrap();
    let gone = a.get("cart/001").await;
    a.kv().delete(delete("cart/001", gone.context)).await.unwrap();

    let mut expected: BTreeMap<String, (u32, u32)> = names.map(|name| (name, (1, 0))).collect();
    expected.insert("cart/000".into(), (2, 0));
    expected.remove("cart/001");
    let all = ListKeysRequest::default();
    assert_eq!(list(&cluster, &all).await.0, expected);

    let small = ListKeysRequest { max_keys: 7, ..all.clone() };
    let (listed, pages) = list(&cluster, &small).await;
    assert_eq!(listed, expected);
    assert!(pages >= 199 / 7, "{pages}");

    let (users, _) =
        list(&cluster, &ListKeysRequest { prefix: Bytes::from_static(b"user/"), ..all.clone() }).await;
    assert_eq!(users.len(), 80);
    let with_deleted = ListKeysRequest { deleted: true, max_bytes: 20, ..all.clone() };
    expected.insert("cart/001".into(), (0, 1));
    assert_eq!(list(&cluster, &with_deleted).await.0, expected);

    let mut by_partition = BTreeMap::new();
    for partition in 0..16 {
        let request = ListKeysRequest { partition: Some(partition), deleted: true, ..all.clone() };
        by_partition.extend(list(&cluster, &request).await.0);
    }
    assert_eq!(by_partition, expected);

    // With one of five down every partition still has two members of its own.
    cluster.pods[4].crash().await;
    cluster.pods.truncate(4);
    assert_eq!(list(&cluster, &with_deleted).await.0, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_with_too_few_members_fails_rather_than_leave_keys_out() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[1].crash().await;
    cluster.pods[2].crash().await;
    let mut kv = cluster.pods[0].kv();
    let failed = kv.list_keys(ListKeysRequest::default()).await.unwrap_err();
    assert_eq!(
        (failed.code(), failed.message()),
        (Code::Unavailable, "1 of the 2 members wanted have answered")
    );
    let alone = kv.list_keys(ListKeysRequest { r: Some(1), ..ListKeysRequest::default() }).await;
    assert!(alone.unwrap().into_inner().keys.is_empty());
    let nonsense = ListKeysRequest { page_token: Bytes::from_static(b"x"), ..ListKeysRequest::default() };
    assert_eq!(kv.list_keys(nonsense).await.unwrap_err().code(), Code::InvalidArgument);
}
