//! A member's part in rounds, over a real store: what it is asked, in which order, and what becomes of its keys. The others
//! are lost, so that there is nobody to wait for.

use std::sync::Arc;

use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    ReapBarrierReply, ReapBarrierRequest, ReapFinishRequest, ReapKeysRequest, ReapLookRequest, Refusal,
};
use dynamo_ring::{Partition, Position, Record};

use super::*;
use crate::clock::SystemClock;
use crate::hint::testing::{Fabric, Machine, data_key, keys};
use crate::layout::state::tests::{fresh, member_id};
use crate::peer::wire::node_id_bytes;
use crate::peer::{Sender, Streams};
use crate::store::{Limit, Listed, PeerMark, Put};
use crate::version::{ActorId, StateHash};

/// The one that lives.
struct Survivor {
    machine: Machine,
    participant: Participant,
    streams: Streams,
    record: Record,
}

fn survivors() -> Record {
    fresh(3).lost(&member_id(1)).unwrap().lost(&member_id(2)).unwrap()
}

fn sender(i: u8) -> Sender {
    let mark = PeerMark { node_id: member_id(i), actor: ActorId(i.into()), commit: 9, synced: 8 };
    Sender { cluster_id: None, mark }
}

impl Survivor {
    async fn new() -> Self {
        let record = survivors();
        let fabric = Fabric::new(1, &record).await;
        let streams = Streams::default();
        let participant = Participant::new(Parts {
            exchange: fabric.exchange(0),
            streams: streams.clone(),
            clock: Arc::new(SystemClock),
            reaping: Arc::new(|_| {}),
            metrics: ReapMetrics::default(),
        });
        Self { machine: fabric.machine(0), participant, streams, record }
    }

    /// Deletes so many keys of one partition, and lists them.
    async fn deleted(&self, count: usize) -> (Partition, Vec<String>, Vec<Listed>) {
        let partition = Partition(3);
        let names: Vec<String> = keys(&self.record, |p| p == partition).take(count).collect();
        for name in &names {
            self.put(name, None).await;
        }
        let list = self.machine.local.passed(partition, None, 0, Limit::rows(99)).unwrap().keys;
        let list = list.into_iter().map(|key| Listed { position: key.position, hash: key.hash });
        (partition, names, list.collect())
    }

    async fn put(&self, key: &str, value: Option<&'static str>) {
        let context = self.machine.has(key).map(|state| state.context().clone()).unwrap_or_default();
        let (key, value) = (key.to_owned().into(), value.map(Into::into));
        let (write_id, expires_at_ms, hint) = (None, None, None);
        self.machine.run(Put { key, context, value, write_id, now_ms: 1, expires_at_ms, hint }).await;
    }

    async fn ask(&self, i: u8, op: Op) -> Result<Body, Refusal> {
        let stamp = dynamo_ring::fence::SenderStamp::of(&self.record);
        self.participant.handle(&sender(i), stamp, op).await
    }

    async fn look(&self, i: u8, round: u64, partition: Partition, list: &[Listed]) -> Vec<bool> {
        votes(self.ask(i, look(round, partition, list, &[0])).await)
    }

    async fn finish(&self, i: u8, round: u64, keys: &[u32]) -> Vec<bool> {
        votes(self.ask(i, Op::ReapFinish(ReapFinishRequest { round, keys: keys.to_vec() })).await)
    }

    async fn reap(&self, i: u8, round: u64, keys: &[u32]) -> Result<u32, Reason> {
        let answer = self.ask(i, Op::ReapKeys(ReapKeysRequest { round, keys: keys.to_vec() })).await;
        answer.map_err(|no| no.reason()).map(|body| match body {
            Body::ReapKeys(reply) => reply.reaped,
            other => panic!("{other:?}"),
        })
    }
}

fn look(round: u64, partition: Partition, list: &[Listed], members: &[u8]) -> Op {
    Op::ReapLook(ReapLookRequest {
        round,
        partition: partition.0.into(),
        members: members.iter().map(|i| node_id_bytes(member_id(*i))).collect(),
        keys: wire::keys_bytes(list),
    })
}

fn votes(answer: Result<Body, Refusal>) -> Vec<bool> {
    match answer {
        Ok(Body::ReapVotes(votes)) => votes.agreed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_rounds_of_one_partition_do_each_other_no_harm() {
    let survivor = Survivor::new().await;
    let (partition, names, list) = survivor.deleted(3).await;
    // Two members think that they are the first.
    for i in [0, 1] {
        assert_eq!(survivor.look(i, 7, partition, &list).await, [true; 3]);
    }
    assert_eq!(survivor.finish(0, 7, &[0, 1, 2]).await, [true; 3]);
    assert_eq!(survivor.finish(1, 7, &[0, 1, 2]).await, [true; 3]);
    // The first goes, and begins a new life before the second round is at its end.
    assert_eq!(survivor.reap(0, 7, &[0, 1]).await, Ok(2));
    let anew = names.iter().find(|name| data_key(name).position() == list[0].position).unwrap();
    survivor.put(anew, Some("anew")).await;
    assert_eq!(survivor.reap(1, 7, &[0, 1, 2]).await, Ok(1), "only what was still there, and as it was");
    assert!(survivor.machine.has(anew).is_some());
    assert_eq!(survivor.machine.local.passed(partition, None, 0, Limit::rows(99)).unwrap().keys, []);
}

#[tokio::test]
async fn a_key_that_was_written_between_the_looks_is_left() {
    let survivor = Survivor::new().await;
    let (partition, names, list) = survivor.deleted(2).await;
    survivor.look(0, 1, partition, &list).await;
    survivor.put(&names[0], Some("since")).await;
    let at = list.iter().position(|key| key.position == data_key(&names[0]).position()).unwrap();
    let again = survivor.finish(0, 1, &[0, 1]).await;
    assert_eq!((again[at], again[1 - at]), (false, true));
    let left = u32::try_from(1 - at).unwrap();
    assert_eq!(survivor.reap(0, 1, &[left]).await, Ok(1));
    assert!(survivor.machine.has(&names[0]).is_some());
}

#[tokio::test]
async fn what_does_not_come_next_or_is_not_known_is_refused() {
    let survivor = Survivor::new().await;
    let (partition, _, list) = survivor.deleted(1).await;
    assert_eq!(survivor.reap(0, 1, &[0]).await, Err(Reason::NotServing), "never looked");
    survivor.look(0, 1, partition, &list).await;
    assert_eq!(survivor.reap(0, 1, &[0]).await, Err(Reason::NotServing), "not finished");
    survivor.look(0, 2, partition, &list).await;
    survivor.look(0, 3, partition, &list).await;
    let gone = survivor.ask(0, Op::ReapFinish(ReapFinishRequest { round: 2, keys: vec![0] })).await;
    assert_eq!(gone.map_err(|no| no.reason()), Err(Reason::NotServing), "another took its place");
    let long = vec![Listed { position: Position([0; 16]), hash: StateHash([0; 16]) }; wire::MOST_KEYS + 1];
    for (bad, why) in [
        (look(4, Partition(99), &list, &[0]), Reason::Invalid),
        (look(4, partition, &long, &[0]), Reason::Invalid),
        (look(4, partition, &list, &[0, 1]), Reason::NotServing),
    ] {
        assert_eq!(survivor.ask(0, bad).await.map_err(|no| no.reason()), Err(why));
    }
    assert_eq!(survivor.finish(0, 3, &[0]).await, [true], "none of this ended the round that is under way");
}

#[tokio::test]
async fn lesson_5_a_proposal_between_the_votes_and_the_end_keeps_everything() {
    let survivor = Survivor::new().await;
    let (partition, names, list) = survivor.deleted(1).await;
    survivor.look(0, 1, partition, &list).await;
    assert_eq!(survivor.finish(0, 1, &[0]).await, [true]);
    let members: Vec<_> = survivor.record.stable().members().iter().take(1).cloned().collect();
    let more = crate::layout::state::tests::members(4..6);
    let proposed = survivor.record.propose(&[members, more].concat()).unwrap();
    survivor.machine.layouts.take(proposed).await.unwrap();
    assert_eq!(survivor.reap(0, 1, &[0]).await, Err(Reason::NotServing));
    assert!(survivor.machine.has(&names[0]).is_some());
}

#[tokio::test]
async fn a_barrier_counts_on_the_stream_that_counts_and_is_remembered_with_its_senders_numbers() {
    let survivor = Survivor::new().await;
    let (partition, _, list) = survivor.deleted(1).await;
    survivor.look(0, 1, partition, &list).await;
    let barrier = |round, stream| {
        let initiator = node_id_bytes(member_id(0));
        Op::ReapBarrier(ReapBarrierRequest { initiator, round, stream })
    };
    let old = survivor.streams.open(member_id(1));
    let running = survivor.streams.begin(member_id(1), old);
    let now = survivor.streams.open(member_id(1));
    let refused = survivor.ask(1, barrier(1, old)).await;
    assert!(refused.unwrap_err().message.contains("does not count"));
    let waiting =
        tokio::time::timeout(std::time::Duration::from_millis(20), survivor.ask(1, barrier(1, now)));
    assert!(waiting.await.is_err(), "something of the old stream is still being served");
    drop(running);
    assert_eq!(survivor.ask(1, barrier(1, now)).await, Ok(Body::ReapBarrier(ReapBarrierReply {})));
    assert!(survivor.ask(1, barrier(2, now)).await.is_err(), "of a round that is not known here");
    let mark = survivor.machine.local.peer(member_id(1)).unwrap();
    assert_eq!(mark.map(|mark| (mark.commit, mark.synced)), Some((9, 8)));
}
