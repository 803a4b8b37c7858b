//! Reads that have to cover what their client knows to exist, on real nodes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod wire;

use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::{GetRequest, GetResponse, PutRequest};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use wire::{Pod, Wired, get, put, values};

async fn read(pod: &Pod, request: GetRequest, within: Duration) -> Result<GetResponse, Status> {
    let mut request = Request::new(request);
    request.set_timeout(within);
    pod.kv().get(request).await.map(tonic::Response::into_inner)
}

const SOON: Duration = Duration::from_millis(500);
const PATIENT: Duration = Duration::from_secs(9);

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_the_member_that_has_what_it_has_to_cover() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[1].crash().await;
    cluster.pods[2].crash().await;
    // Only this one has it, and owes it to the others.
    let written =
        cluster.pods[0].put(PutRequest { w: Some(1), strict: true, ..put("k", "v") }).await.unwrap();
    assert!(!written.witness.is_empty());
    cluster.pods[0].crash().await;
    cluster.pods[1].start().await;
    cluster.pods[2].start().await;

    let any = GetRequest { r: Some(1), ..get("k") };
    assert_eq!(read(&cluster.pods[1], any.clone(), PATIENT).await.unwrap().siblings, []);
    for at_least in [written.witness.clone(), written.context.clone()] {
        let covering = GetRequest { at_least: vec![at_least], ..any.clone() };
        let refused = read(&cluster.pods[1], covering.clone(), SOON).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        assert_eq!(refused.get_details_error_info().unwrap().reason, "BEHIND");
        let partial = GetRequest { allow_partial: true, ..covering };
        let found = read(&cluster.pods[1], partial, SOON).await.unwrap();
        assert!(found.behind && found.siblings.is_empty());
    }
    // A write may not pass a witness: it would discard what its client has never seen.
    let misused = PutRequest { context: written.witness.clone(), ..put("k", "w") };
    assert_eq!(cluster.pods[1].put(misused).await.unwrap_err().code(), Code::InvalidArgument);

    cluster.pods[0].start().await;
    let covering = GetRequest { at_least: vec![written.witness], ..any };
    let found = read(&cluster.pods[1], covering, PATIENT).await.unwrap();
    assert_eq!((values(&found), found.behind), (vec!["v".to_owned()], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_none_of_all_own_members_knows_was_reaped_for_a_strict_read() {
    let (cluster, other) = (Wired::form(3, &[]).await, Wired::form(3, &[]).await);
    // As good as one whose key was deleted and reaped: nobody here knows its writer.
    let gone = other.pods[0].put(put("k", "v")).await.unwrap().witness;
    let a = &cluster.pods[0];
    let covering = GetRequest { at_least: vec![gone.clone()], ..get("k") };
    assert_eq!(read(a, covering.clone(), SOON).await.unwrap_err().code(), Code::Unavailable);
    let found = read(a, GetRequest { strict: true, ..covering.clone() }, PATIENT).await.unwrap();
    assert_eq!((found.siblings.len(), found.behind, found.answered), (0, false, 3));
    a.put(put("k", "anew")).await.unwrap();
    let found = read(a, GetRequest { strict: true, ..covering }, PATIENT).await.unwrap();
    assert_eq!(values(&found), ["anew"]);
    let another = GetRequest { at_least: vec![gone], ..get("another") };
    assert_eq!(read(a, another, PATIENT).await.unwrap_err().code(), Code::InvalidArgument);
    let nonsense = GetRequest { at_least: vec![Bytes::from_static(b"x")], ..get("k") };
    assert_eq!(read(a, nonsense, PATIENT).await.unwrap_err().code(), Code::InvalidArgument);
}
