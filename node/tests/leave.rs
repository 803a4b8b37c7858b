//! What a member does for others once a commit has taken it out of the cluster.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod engines;

use bytes::Bytes;
use dynamo_node::peer::wire;
use dynamo_node::version::{ActorId, Birth, Dot, Sibling, State, VersionVector, Writer};
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    Envelope, Frame, HelloRequest, Request as PeerRequest, Sender, StoreReply, StoreRequest, envelope,
    refusal,
};
use dynamo_ring::Record;
use dynamo_ring::fence::SenderStamp;
use engines::{Engines, eventually};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// Has member 4 stand in for member 1, as member 0 asks it to while it goes by `record`.
async fn stand_in(engines: &Engines, key: &'static str, record: &Record) -> Body {
    let (me, owed) = (engines.engine(0).layouts.my_id(), engines.engine(1).layouts.my_id());
    let sender = Sender {
        cluster_id: record.cluster_id().0.to_vec().into(),
        node_id: me.0.to_vec().into(),
        actor: 1,
        ..Sender::default()
    };
    let dot = Dot { writer: Writer { actor: ActorId(99), birth: Birth(1) }, counter: 1 };
    let value = Some(Bytes::from_static(b"v"));
    let sibling = Sibling { dot, value, write_id: None, written_at_ms: 1, expires_at_ms: None };
    let state = State::from_parts(VersionVector::new(), vec![sibling]).encode();
    let store = StoreRequest { key: key.into(), hint_for: owed.0.to_vec().into(), state };
    let (ask, asked) = mpsc::unbounded_channel();
    let mut answers = engines.engine(4).replica.frames(UnboundedReceiverStream::new(asked));
    let mut said = Vec::new();
    for op in [Op::Hello(HelloRequest::default()), Op::Store(store)] {
        let stamp = Some(wire::stamp_message(SenderStamp::of(record)));
        let request = PeerRequest { op: Some(op), stamp, deadline_ms: 10_000, ..PeerRequest::default() };
        let envelopes = vec![Envelope { id: 1, body: Some(envelope::Body::Request(request)) }];
        ask.send(Ok(Frame { sender: Some(sender.clone()), envelopes })).unwrap();
        match answers.next().await.unwrap().unwrap().envelopes.remove(0).body {
            Some(envelope::Body::Response(response)) => said.push(response.result.unwrap()),
            other => panic!("{other:?}"),
        }
    }
    said.remove(1)
}

/// A hint that it took then would be taken from it by nobody, and it could never retire.
#[tokio::test]
async fn who_has_left_stands_in_for_nobody_and_says_what_has_become_of_the_cluster() {
    let engines = Engines::form(5).await;
    let members: Vec<_> = engines.record.stable().members()[..4].to_vec();
    let proposed = engines.record.propose(&members).unwrap();
    let frozen = proposed.freeze().unwrap();
    let switched = frozen.switch().unwrap();
    for record in [&proposed, &frozen, &switched] {
        for i in 0..5 {
            engines.engine(i).layouts.take(record.clone()).await.unwrap();
            engines.engine(i).layouts.acked().await.unwrap();
        }
    }
    assert_eq!(stand_in(&engines, "before", &switched).await, Body::Store(StoreReply {}));

    let committed = switched.commit().unwrap();
    engines.engine(4).layouts.take(committed.clone()).await.unwrap();
    let Body::Refused(why) = stand_in(&engines, "after", &switched).await else { panic!("it has stood in") };
    assert_eq!(why.reason(), refusal::Reason::OldLayout, "{}", why.message);
    assert_eq!(Record::from_json(std::str::from_utf8(&why.record).unwrap()).unwrap(), committed);
    let leaver = engines.engine(4);
    eventually("what it was owed to hand over is gone, and it may go", async || {
        let standing = leaver.layouts.current().unwrap();
        standing.handed_over == Some(committed.id())
    })
    .await;
}
