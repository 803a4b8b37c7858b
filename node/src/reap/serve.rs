//! The driver of [`vote`](super::vote): a member's part in the rounds that it is asked to take part in, its own too.
//!
//! One vote is kept for each member that begins rounds, in memory: a new round of that member takes the place of the one
//! before, and a restart forgets all of them. A vote that is gone is a round that ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    ReapBarrierReply, ReapBarrierRequest, ReapFinishRequest, ReapKeysReply, ReapKeysRequest, ReapLookRequest,
    ReapVotes, Refusal,
};
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{NodeId, Partition, Position};
use futures::future::join_all;
use tokio::sync::Notify;

use super::fit::{Ground, Unfit};
use super::metrics::ReapMetrics;
use super::vote::{Effect, Event, NoVote, Vote};
use super::wire;
use crate::clock::Clock;
use crate::peer::wire::{node_id, node_id_bytes};
use crate::peer::{PeerError, Sender, Streams, ask};
use crate::store::{Listed, Mark, OpError, Operation, Reap, SubmitError, Testify, Testimony};
use crate::transfer::Exchange;

/// How long a member waits for its barriers to be taken: as long as what the others read before them may run.
const BARRIER: Duration = Duration::from_secs(15);

/// A round's name: who began it, and the number that it gave it.
type Name = (NodeId, u64);

/// Why a member says no.
#[derive(Debug, thiserror::Error)]
enum No {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    NoVote(#[from] NoVote),
    #[error("the round is not known here, or is over")]
    Unknown,
    #[error("the barrier comes on a stream that does not count any more")]
    Void,
    #[error("a barrier was not taken: {0}")]
    Barrier(#[from] PeerError),
    #[error(transparent)]
    Store(#[from] OpError),
    #[error(transparent)]
    Busy(#[from] SubmitError),
    #[error("`{0}` makes no sense")]
    Field(&'static str),
}

fn refusal(no: &No) -> Refusal {
    let reason = match no {
        No::Field(_) => Reason::Invalid,
        No::Store(_) => Reason::Storage,
        No::Busy(_) => Reason::Overloaded,
        _ => Reason::NotServing,
    };
    Refusal { reason: reason.into(), message: no.to_string(), record: bytes::Bytes::new() }
}

struct Cast {
    number: u64,
    vote: Vote,
    /// What is to be done next, for whoever carries the round on here.
    effects: VecDeque<Effect>,
}

/// What a participant is made of.
pub struct Parts {
    /// The way to the other members, to the disk, and to the layout that stands.
    pub exchange: Exchange,
    /// The streams that members have opened here.
    pub streams: Streams,
    /// Whether values are past their time to live.
    pub clock: Arc<dyn Clock>,
    /// Told of every key before it is removed.
    pub reaping: Arc<dyn Fn(Position) + Send + Sync>,
    /// What is counted.
    pub metrics: ReapMetrics,
}

struct Inner {
    parts: Parts,
    votes: Mutex<BTreeMap<NodeId, Cast>>,
    changed: Notify,
}

/// Takes part in rounds. Cheap to clone.
#[derive(Clone)]
pub struct Participant {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Participant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Participant").finish_non_exhaustive()
    }
}

impl Participant {
    /// A participant of these parts.
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(Inner { parts, votes: Mutex::default(), changed: Notify::new() }) }
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    /// Answers a member that was let in. The caller keeps no guard of the layout: finishing would wait for it.
    pub async fn handle(&self, from: &Sender, stamp: SenderStamp, op: Op) -> Result<Body, Refusal> {
        let node = from.mark.node_id;
        let answer = match op {
            Op::ReapBarrier(barrier) => self.barrier(from, barrier).await.map(Body::ReapBarrier),
            op => self.own(node, stamp, op).await,
        };
        answer.map_err(|no| {
            tracing::debug!(from = %node, %no, "takes no part in a round of reaping");
            refusal(&no)
        })
    }

    /// The same for a round that this node itself began.
    pub(super) async fn handle_own(&self, stamp: SenderStamp, op: Op) -> Result<Body, String> {
        let me = self.parts().exchange.layouts.my_id();
        self.own(me, stamp, op).await.map_err(|no| no.to_string())
    }

    async fn own(&self, from: NodeId, stamp: SenderStamp, op: Op) -> Result<Body, No> {
        match op {
            Op::ReapLook(look) => self.look(from, stamp, look).await.map(Body::ReapVotes),
            Op::ReapFinish(finish) => self.finish(from, finish).await.map(Body::ReapVotes),
            Op::ReapKeys(keys) => self.reap(from, keys).await.map(Body::ReapKeys),
            _ => Err(No::Field("op")),
        }
    }

    async fn look(
        &self,
        from: NodeId,
        stamp: SenderStamp,
        request: ReapLookRequest,
    ) -> Result<ReapVotes, No> {
        let ReapLookRequest { round, partition, members, keys } = request;
        let layouts = &self.parts().exchange.layouts;
        let standing = layouts.current().ok_or(Unfit::Moving)?;
        let partition = u16::try_from(partition).map(Partition).ok();
        let partition = partition.filter(|p| standing.record.stable().partitions().contains(*p));
        let partition = partition.ok_or(No::Field("partition"))?;
        let keys = wire::keys(&keys).ok_or(No::Field("keys"))?;
        let members: Result<BTreeSet<NodeId>, _> = members.iter().map(|id| node_id("members", id)).collect();
        let ground = Ground { stamp, members: members.map_err(|_| No::Field("members"))? };
        ground.stands(&standing)?;
        let first = self.testify(partition, keys.clone()).await?;
        self.stands(&ground)?;
        let answer = ReapVotes { agreed: first.agreed.clone() };
        let holds = standing.holds(partition);
        let vote = Vote::start(ground, partition, standing.me, holds, keys, &first);
        self.votes().insert(from, Cast { number: round, vote, effects: VecDeque::new() });
        self.inner.changed.notify_waiters();
        Ok(answer)
    }

    async fn finish(&self, from: NodeId, request: ReapFinishRequest) -> Result<ReapVotes, No> {
        let name = (from, request.round);
        let (ground, partition) = self.about(name)?;
        self.tell(name, Event::Finish(wire::places(&request.keys)))?;
        loop {
            match self.next(name).await? {
                Effect::AwaitEnded => {
                    self.parts().exchange.layouts.ended(partition).await;
                    self.tell(name, Event::Ended)?;
                }
                Effect::SendBarriers(to) => {
                    self.stands(&ground)?;
                    self.send_barriers(name, &ground, to).await?;
                    self.tell(name, Event::Sent)?;
                }
                Effect::Look(keys) => {
                    let again = self.testify(partition, keys).await?;
                    // What stood at the look stood from the beginning on: a ground that was left is never come back to.
                    self.stands(&ground)?;
                    self.tell(name, Event::Looked(again))?;
                }
                Effect::Answer(agreed) => return Ok(ReapVotes { agreed }),
                Effect::Refuse(why) => return Err(why.into()),
                Effect::Reap(_) => return Err(NoVote::OutOfStep.into()),
            }
        }
    }

    async fn reap(&self, from: NodeId, request: ReapKeysRequest) -> Result<ReapKeysReply, No> {
        let name = (from, request.round);
        let (ground, _) = self.about(name)?;
        self.stands(&ground)?;
        self.tell(name, Event::Reap(wire::places(&request.keys)))?;
        match self.next(name).await? {
            Effect::Reap(keys) => {
                for key in &keys {
                    (self.parts().reaping)(key.position);
                }
                let reaped = self.durable(Reap { keys }).await?;
                self.parts().metrics.reaped(reaped);
                Ok(ReapKeysReply { reaped: u32::try_from(reaped).unwrap_or(u32::MAX) })
            }
            Effect::Refuse(why) => Err(why.into()),
            _ => Err(NoVote::OutOfStep.into()),
        }
    }

    /// Takes a member's barrier: answered when everything that this member ever sent here before has been applied.
    async fn barrier(&self, from: &Sender, request: ReapBarrierRequest) -> Result<ReapBarrierReply, No> {
        let node = from.mark.node_id;
        let initiator = node_id("initiator", &request.initiator).map_err(|why| No::Field(why.0))?;
        let streams = &self.parts().streams;
        if !streams.is_current(node, request.stream) {
            return Err(No::Void);
        }
        streams.ended(node).await;
        // The barrier's sender has the tombstones on disk: should it ever be set back to before that, this shows it.
        self.durable(Mark(from.mark)).await?;
        self.tell((initiator, request.round), Event::Barrier(node))?;
        Ok(ReapBarrierReply {})
    }

    async fn send_barriers(
        &self,
        (initiator, round): Name,
        ground: &Ground,
        to: BTreeSet<NodeId>,
    ) -> Result<(), No> {
        let network = &self.parts().exchange.network;
        let barrier = |node: NodeId| {
            // The connection fills in the stream.
            let request = ReapBarrierRequest { initiator: node_id_bytes(initiator), round, stream: 0 };
            ask::<ReapBarrierReply>(&**network, node, Op::ReapBarrier(request), ground.stamp, BARRIER)
        };
        for taken in join_all(to.into_iter().map(barrier)).await {
            let ReapBarrierReply {} = taken?;
        }
        Ok(())
    }

    async fn testify(&self, partition: Partition, keys: Vec<Listed>) -> Result<Testimony, No> {
        let now_ms = self.parts().clock.now_ms();
        self.durable(Testify { partition, keys, now_ms }).await
    }

    async fn durable<O: Operation>(&self, operation: O) -> Result<O::Outcome, No> {
        Ok(self.parts().exchange.committer.submit(operation)?.durable().await?.outcome)
    }

    fn stands(&self, ground: &Ground) -> Result<(), No> {
        let standing = self.parts().exchange.layouts.current().ok_or(Unfit::Moving)?;
        Ok(ground.stands(&standing)?)
    }

    fn votes(&self) -> MutexGuard<'_, BTreeMap<NodeId, Cast>> {
        self.inner.votes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn about(&self, (initiator, number): Name) -> Result<(Ground, Partition), No> {
        let votes = self.votes();
        let cast = votes.get(&initiator).filter(|cast| cast.number == number).ok_or(No::Unknown)?;
        Ok((cast.vote.ground.clone(), cast.vote.partition))
    }

    fn tell(&self, (initiator, number): Name, event: Event) -> Result<(), No> {
        let mut votes = self.votes();
        let cast = votes.get_mut(&initiator).filter(|cast| cast.number == number).ok_or(No::Unknown)?;
        let effects = cast.vote.on(event);
        cast.effects.extend(effects);
        drop(votes);
        self.inner.changed.notify_waiters();
        Ok(())
    }

    /// What is to be done next in a round, as soon as anything is.
    async fn next(&self, (initiator, number): Name) -> Result<Effect, No> {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut votes = self.votes();
                let cast = votes.get_mut(&initiator).filter(|cast| cast.number == number);
                if let Some(effect) = cast.ok_or(No::Unknown)?.effects.pop_front() {
                    return Ok(effect);
                }
            }
            changed.await;
        }
    }
}
