//! Keys whose versions are more than a message takes: what clients see of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

mod wire;

use bytes::Bytes;
use dynamo_proto::v1::batch_get_response::Result as Item;
use dynamo_proto::v1::get_piece::Piece;
use dynamo_proto::v1::{
    BatchGetRequest, GetPiece, GetResponse, InspectRequest, ListKeysRequest, PutRequest, Sibling,
    VersionPiece,
};
use futures::stream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;
use wire::{Pod, Wired, eventually, get, put, shown};

const MIB: usize = 1 << 20;

/// Writes so many versions of 1 MiB side by side.
async fn grow(pod: &Pod, key: &str, versions: u8) {
    for n in 0..versions {
        let value = Bytes::from(vec![n; MIB]);
        pod.put(PutRequest { value, w: Some(3), ..put(key, "") }).await.unwrap();
    }
}

/// The answer of a stream, put together.
async fn whole(mut pieces: Streaming<GetPiece>) -> Result<GetResponse, Status> {
    let mut answer = GetResponse::default();
    while let Some(GetPiece { piece }) = pieces.message().await? {
        match piece.unwrap() {
            Piece::Head(head) => answer = head.answer.unwrap(),
            Piece::Version(VersionPiece { begins, data }) => {
                let begun =
                    begins.map(|head| Sibling { written_at_ms: head.written_at_ms, ..Sibling::default() });
                answer.siblings.extend(begun);
                let value = &mut answer.siblings.last_mut().unwrap().value;
                *value = [&value[..], &data[..]].concat().into();
            }
        }
    }
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_above_a_message_comes_in_pieces_alone_and_is_refused_by_itself_in_a_batch() {
    let cluster = Wired::form(3, &[]).await;
    let [a, b, c] = &cluster.pods[..] else { unreachable!() };
    grow(a, "large", 5).await;
    a.put(put("small", "v")).await.unwrap();

    let refused = b.kv().get(get("large")).await.unwrap_err();
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((refused.code(), info.reason.as_str()), (Code::OutOfRange, "ANSWER_TOO_LARGE"));
    assert!(info.metadata["bytes"].parse::<usize>().unwrap() > 5 * MIB);
    assert_eq!(info.metadata["limit"], (4 * MIB).to_string());

    let found = whole(b.kv().get_stream(get("large")).await.unwrap().into_inner()).await.unwrap();
    let mut begins: Vec<_> = found.siblings.iter().map(|s| (s.value[0], s.value.len())).collect();
    begins.sort_unstable();
    assert_eq!(begins, (0..5).map(|n| (n, MIB)).collect::<Vec<_>>());
    assert!(found.answered == 2 && found.siblings.iter().all(|s| s.written_at_ms > 0));
    let empty = whole(b.kv().get_stream(get("nothing")).await.unwrap().into_inner()).await.unwrap();
    assert!(empty.siblings.is_empty() && empty.answered == 2);

    let item = |id, key| BatchGetRequest { id, get: Some(get(key)), deadline_ms: 0 };
    let items = stream::iter([item(1, "large"), item(2, "small")]);
    let mut answers = c.kv().batch_get(items).await.unwrap().into_inner();
    while let Some(answer) = answers.message().await.unwrap() {
        match (answer.id, answer.result.unwrap()) {
            (1, Item::Failed(status)) => assert_eq!(Code::from_i32(status.code), Code::OutOfRange),
            (2, Item::Found(found)) => assert_eq!(found.siblings[0].value, "v"),
            (id, other) => panic!("{id}: {other:?}"),
        }
    }

    // A list and an inspection have no values, or their beginnings.
    let listed = c.kv().list_keys(ListKeysRequest::default()).await.unwrap().into_inner();
    let mut keys: Vec<_> = listed.keys.iter().map(|key| (&key.key[..], key.siblings)).collect();
    keys.sort_unstable();
    assert_eq!(keys, [(&b"large"[..], 5), (&b"small"[..], 1)]);
    let inspect = |value_bytes| shown(InspectRequest { key: "large".into(), value_bytes });
    for (asked, each) in [(0, 1024), (10, 10), (u32::MAX, 2 * MIB / 5)] {
        let inspected = a.admin().inspect(inspect(asked)).await.unwrap().into_inner();
        let lengths = inspected.siblings.iter().map(|s| (s.value.len(), s.value_bytes));
        assert_eq!(lengths.collect::<Vec<_>>(), [(each, MIB as u64); 5]);
    }

    // Settled with the context that the stream brought.
    let settle = PutRequest { context: found.context, ..put("large", "one") };
    assert_eq!(a.put(settle).await.unwrap().siblings, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_on_their_way_are_bounded_and_a_client_that_reads_nothing_holds_up_small_reads_of_nobody() {
    let cluster = Wired::form(3, &["--max-answer-bytes=4194304", "--request-timeout-ms=3000"]).await;
    let pod = &cluster.pods[0];
    grow(pod, "large", 5).await;
    pod.put(PutRequest { value: vec![7; 100 << 10].into(), ..put("middle", "") }).await.unwrap();
    pod.put(put("small", "v")).await.unwrap();
    let held = async || {
        let figures = pod.http_get("/metrics").await;
        let line = figures.lines().find_map(|line| line.strip_prefix("dynamo_answers_bytes "));
        line.unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(held().await, 0);

    let stuck = pod.kv().get_stream(get("large")).await.unwrap();
    assert!(held().await >= 4 * MIB, "all of it: it is larger than the limit");
    let refused = pod.kv().get(get("middle")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("--max-answer-bytes"), "{}", refused.message());
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!(pod.get("small").await.siblings.len(), 1, "what is small is counted by the gate alone");
    eventually("the client that reads nothing is given up", async || held().await == 0).await;
    assert_eq!(pod.get("middle").await.siblings.len(), 1);
    let status = whole(stuck.into_inner()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);

    let gone = pod.kv().get_stream(get("large")).await.unwrap();
    drop(gone);
    eventually("a client that has gone holds nothing", async || held().await == 0).await;
    assert_eq!(pod.get("middle").await.siblings.len(), 1);
    eventually("an answer that was read holds nothing", async || held().await == 0).await;
}
