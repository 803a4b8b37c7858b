//! Gossip between whole nodes, and with whom there is none.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod engines;

use dynamo_proto::v1::admin_server::Admin;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    Envelope, Frame, GossipRequest, HelloRequest, Introduction, Request as PeerRequest, Sender,
    StatusRequest, envelope, refusal,
};
use engines::{Engines, eventually, figure};
use futures::{StreamExt, stream};
use tonic::Request;

#[tokio::test]
async fn members_hear_of_each_other_and_of_a_new_start() {
    let mut engines = Engines::form(4).await;
    eventually("everybody has heard of everybody", async || {
        (0..4).all(|i| figure(engines.engine(i), "gossip_members") == 3)
    })
    .await;
    engines.stop(2).await;
    engines.start(2).await;
    let restarted = engines.engine(2).layouts.my_id();
    eventually("everybody knows of the new start", async || {
        for i in [0, 1, 3] {
            let status = engines.engine(i).admin.status(Request::new(StatusRequest {})).await.unwrap();
            let heard = status.into_inner().heard_of;
            let of_it = heard.into_iter().find(|heard| heard.node_id[..] == restarted.0).unwrap();
            if of_it.introduction.unwrap().process != 2 || of_it.commits.is_none() {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test]
async fn who_is_no_member_is_refused() {
    let engines = Engines::form(3).await;
    let record = &engines.record;
    let sender = Sender {
        cluster_id: record.cluster_id().0.to_vec().into(),
        node_id: vec![99; 16].into(),
        actor: 1,
        commit: 0,
        synced: 0,
    };
    let ask = |id, op| {
        let request = PeerRequest { op: Some(op), deadline_ms: 10_000, ..PeerRequest::default() };
        let envelopes = vec![Envelope { id, body: Some(envelope::Body::Request(request)) }];
        Ok(Frame { sender: Some(sender.clone()), envelopes })
    };
    let introduction =
        Some(Introduction { process: 1, version: 1, addresses: vec!["10.9.9.9:1".to_owned()] });
    let hello = HelloRequest { introduction, ..HelloRequest::default() };
    let frames = [ask(1, Op::Hello(hello)), ask(2, Op::Gossip(GossipRequest::default()))];
    let answers = engines.engine(0).replica.frames(stream::iter(frames));
    let answers: Vec<_> = answers.collect().await;
    let bodies = answers.into_iter().flat_map(|frame| frame.unwrap().envelopes).map(|envelope| envelope.body);
    let bodies: Vec<_> = bodies
        .map(|body| match body {
            Some(envelope::Body::Response(response)) => response.result.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    let refused =
        |body: &Body| matches!(body, Body::Refused(why) if why.reason() == refusal::Reason::NotMember);
    assert!(bodies.iter().all(refused), "{bodies:?}");
    let status = engines.engine(0).admin.status(Request::new(StatusRequest {})).await.unwrap().into_inner();
    assert!(status.heard_of.iter().all(|heard| heard.node_id[..] != [99; 16]));
}
