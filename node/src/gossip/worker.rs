//! Performs what the machine says, once a second.

use std::sync::Arc;
use std::time::Duration;

use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{GossipReply, GossipRequest, GossipTellReply, GossipTellRequest};
use dynamo_ring::NodeId;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::fact::Fact;
use super::handle::Gossip;
use super::machine::{Effect, Event};
use super::wire;
use crate::entropy::Entropy;
use crate::layout::Layouts;
use crate::peer::{Peers, Voice, ask, fetch_layout};
use crate::phase::Life;
use crate::transfer::Progress;
use crate::worker::{Turn, Worker};

/// What the worker is made of.
pub struct GossiperParts {
    /// What is known.
    pub gossip: Gossip,
    /// The ways to the other members.
    pub peers: Peers,
    /// What this node goes by.
    pub layouts: Layouts,
    /// How far this node's disk is.
    pub voice: Arc<Voice>,
    /// How far its copying is.
    pub progress: Progress,
    /// Where its process is in its life.
    pub life: Life,
    /// Chooses whom to ask.
    pub entropy: Entropy,
    /// Between two rounds.
    pub interval: Duration,
}

/// The worker.
pub struct Gossiper(GossiperParts);

impl Gossiper {
    /// One of these parts.
    pub const fn new(parts: GossiperParts) -> Self {
        Self(parts)
    }

    /// Says what has changed here.
    fn tell(&self) {
        let parts = &self.0;
        let mark = parts.voice.sender().mark;
        let mut facts =
            vec![Fact::Commits { last: mark.commit, synced: mark.synced }, Fact::Phase(parts.life.phase())];
        let standing = parts.layouts.current();
        if let Some(moved) = standing.and_then(|standing| parts.progress.report(&standing)) {
            let (wanted, synced) = (moved.partitions_wanted, moved.partitions_synced);
            facts.push(Fact::Transfer { wanted, synced });
        }
        for fact in facts {
            parts.gossip.on(Event::Own(fact));
        }
    }

    async fn round(&self) {
        self.tell();
        let up = self.0.peers.up();
        let random = self.0.entropy.draw();
        for effect in self.0.gossip.on(Event::Due { random, up }) {
            match effect {
                Effect::Ask(to, digest) => self.compare(to, wire::digest_message(digest)).await,
                Effect::FetchLayout(from) => {
                    let (network, layouts) = (&self.0.peers, &self.0.layouts);
                    if let Err(why) = fetch_layout(network, layouts, from, self.0.interval).await {
                        tracing::debug!(%from, %why, "a newer layout is not taken yet");
                    }
                }
                effect => heed(&self.0.peers, &effect),
            }
        }
    }

    async fn compare(&self, to: NodeId, digest: Vec<dynamo_proto::v1::GossipSeen>) {
        let request = GossipRequest { digest };
        self.0.gossip.metrics().sent(&request);
        let answered = self.ask::<GossipReply>(to, Op::Gossip(request)).await;
        self.0.gossip.metrics().round(answered.is_some());
        let Some(GossipReply { delta, digest }) = answered else { return };
        let (Ok(delta), Ok(digest)) = (wire::delta(delta), wire::digest(&digest)) else {
            tracing::warn!(%to, "a member's gossip makes no sense");
            return;
        };
        for effect in self.0.gossip.on(Event::Answered { from: to, delta, digest }) {
            if let Effect::Tell(to, delta) = effect {
                let request = GossipTellRequest { delta: wire::delta_message(delta) };
                self.0.gossip.metrics().sent(&request);
                self.ask::<GossipTellReply>(to, Op::GossipTell(request)).await;
            } else {
                heed(&self.0.peers, &effect);
            }
        }
    }

    /// Asks one member. Whoever does not answer is asked again in some later round.
    async fn ask<A: crate::peer::Answer>(&self, to: NodeId, op: Op) -> Option<A> {
        let stamp = self.0.layouts.current()?.stamp();
        match ask(&self.0.peers, to, op, stamp, self.0.interval).await {
            Ok(answer) => Some(answer),
            Err(why) => {
                tracing::debug!(%to, %why, "no gossip with this member");
                None
            }
        }
    }
}

/// Does what news of a member ask for.
pub fn heed(peers: &Peers, effect: &Effect) {
    if let Effect::Redial { node, restarted } = effect {
        peers.redial(*node, *restarted);
    }
}

impl Worker for Gossiper {
    fn name(&self) -> &'static str {
        "gossip"
    }

    fn turn(&mut self) -> BoxFuture<'_, Turn> {
        async move {
            let begun = Instant::now();
            self.round().await;
            Turn::Idle(self.0.interval.saturating_sub(begun.elapsed()))
        }
        .boxed()
    }
}
