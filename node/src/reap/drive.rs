//! The driver of [`round`](super::round): one round from its list to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{ReapFinishRequest, ReapKeysRequest, ReapLookRequest};
use dynamo_ring::{NodeId, Partition};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::fit::Ground;
use super::round::{Effect, End, Event, Round};
use super::serve::Participant;
use super::wire;
use crate::layout::Standing;
use crate::peer::Answer;
use crate::peer::wire::node_id_bytes;
use crate::store::Listed;

/// How long a member may take to look, and to remove.
const LOOK: Duration = Duration::from_secs(10);
/// How long a member may take to finish: its own requests, then everybody's barriers.
const FINISH: Duration = Duration::from_secs(30);

/// One round that this node begins.
pub(super) struct Begin<'a> {
    pub participant: &'a Participant,
    pub ground: Ground,
    /// The living members that hold the partition.
    pub owners: BTreeSet<NodeId>,
    pub partition: Partition,
    pub keys: Vec<Listed>,
    /// Never used before, by this process or an earlier one.
    pub number: u64,
}

impl Begin<'_> {
    /// Runs it; says how it ended, and how many keys went.
    pub(super) async fn run(self) -> (End, usize) {
        let mut standing = self.participant.parts().exchange.layouts.subscribe();
        let (mut round, mut effects) =
            Round::start(self.ground.members.clone(), self.owners.clone(), self.keys.len());
        let mut open: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut moved = false;
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Look(of) => open.extend(of.into_iter().map(|node| self.look(node).boxed())),
                    Effect::Finish(of, keys) => {
                        let keys = wire::places_numbers(&keys);
                        open.extend(of.into_iter().map(|node| self.finish(node, keys.clone()).boxed()));
                    }
                    Effect::Reap(of, keys) => {
                        let keys = wire::places_numbers(&keys);
                        open.extend(of.into_iter().map(|node| self.reap(node, keys.clone()).boxed()));
                    }
                    Effect::End(end) => return (end, round.removed()),
                }
            }
            let event = tokio::select! {
                biased;
                // Once: what was left stays left, and a round that goes on would never look at another answer.
                () = left(&self.ground, &mut standing), if !moved => {
                    moved = true;
                    Event::Moved
                }
                Some(event) = open.next() => event,
                else => return (End::CouldNotAsk, round.removed()),
            };
            effects = round.on(event);
        }
    }

    async fn look(&self, node: NodeId) -> Event {
        let op = Op::ReapLook(ReapLookRequest {
            round: self.number,
            partition: self.partition.0.into(),
            members: self.ground.members.iter().copied().map(node_id_bytes).collect(),
            keys: wire::keys_bytes(&self.keys),
        });
        match self.ask::<dynamo_proto::v1::ReapVotes>(node, op, LOOK).await {
            Some(votes) => Event::Looked(node, votes.agreed),
            None => Event::Failed(node),
        }
    }

    async fn finish(&self, node: NodeId, keys: Vec<u32>) -> Event {
        let op = Op::ReapFinish(ReapFinishRequest { round: self.number, keys });
        match self.ask::<dynamo_proto::v1::ReapVotes>(node, op, FINISH).await {
            Some(votes) => Event::Finished(node, votes.agreed),
            None => Event::Failed(node),
        }
    }

    async fn reap(&self, node: NodeId, keys: Vec<u32>) -> Event {
        let op = Op::ReapKeys(ReapKeysRequest { round: self.number, keys });
        match self.ask::<dynamo_proto::v1::ReapKeysReply>(node, op, LOOK).await {
            Some(reply) => Event::Reaped(node, usize::try_from(reply.reaped).unwrap_or(usize::MAX)),
            None => Event::Failed(node),
        }
    }

    async fn ask<A: Answer>(&self, node: NodeId, op: Op, within: Duration) -> Option<A> {
        let exchange = &self.participant.parts().exchange;
        let stamp = self.ground.stamp;
        let answer: Result<Body, String> = if node == exchange.layouts.my_id() {
            let own = self.participant.handle_own(stamp, op);
            tokio::time::timeout(within, own).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
        } else {
            exchange.network.call(node, op, stamp, within).await.map_err(|why| why.to_string())
        };
        match answer.map(A::from_result) {
            Ok(Some(answer)) => Some(answer),
            Ok(None) => {
                tracing::warn!(member = %node, partition = %self.partition, "answered out of place in a round of reaping");
                None
            }
            Err(why) => {
                tracing::debug!(member = %node, partition = %self.partition, %why, "takes no part in a round of reaping");
                None
            }
        }
    }
}

/// Ends when the ground is left. Not while it stands, and not when nobody will tell any more.
async fn left(ground: &Ground, standing: &mut watch::Receiver<Option<Arc<Standing>>>) {
    let gone = |now: &Option<Arc<Standing>>| now.as_ref().is_none_or(|now| ground.stands(now).is_err());
    if standing.wait_for(gone).await.is_err() {
        std::future::pending::<()>().await;
    }
}
