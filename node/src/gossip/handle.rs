//! [`Gossip`]: the way of all other rooms to what is known by gossip. It knows at every moment who is a member: the layout
//! is looked at before anything is taken or told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use dynamo_proto::v1::{
    GossipReply, GossipRequest, GossipTellReply, GossipTellRequest, HeardOf, Introduction,
};
use dynamo_ring::NodeId;
use tokio::time::Instant;

use super::fact::{Fact, fit};
use super::machine::{Effect, Event, GossipSettings, Machine};
use super::metrics::GossipMetrics;
use super::wire;
use crate::layout::{Layouts, Standing};
use crate::peer::{Hearsay, WireError};

struct Inner {
    begun: Instant,
    layouts: Layouts,
    state: Mutex<State>,
    /// Apart, since every request looks at it.
    suspected: ArcSwap<BTreeSet<NodeId>>,
    metrics: GossipMetrics,
}

struct State {
    machine: Machine,
    /// By which the machine goes.
    standing: Option<Arc<Standing>>,
}

/// What is known by gossip. Cheap to clone.
#[derive(Clone)]
pub struct Gossip(Arc<Inner>);

impl std::fmt::Debug for Gossip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gossip").field("suspected", &self.0.suspected.load()).finish_non_exhaustive()
    }
}

impl Gossip {
    /// That of this node in its start number `process`, which can be dialled at `addresses`.
    pub fn new(
        layouts: Layouts,
        process: u64,
        addresses: Vec<String>,
        settings: GossipSettings,
        metrics: GossipMetrics,
    ) -> Self {
        let mut machine = Machine::new(layouts.my_id(), process, settings);
        machine.on(Event::Own(Fact::Addresses(fit(addresses))), Duration::ZERO);
        let state = Mutex::new(State { machine, standing: None });
        Self(Arc::new(Inner {
            begun: Instant::now(),
            layouts,
            state,
            suspected: ArcSwap::default(),
            metrics,
        }))
    }

    /// Hands an event to the machine; what this node itself has to do about it is done.
    pub(super) fn on(&self, event: Event) -> Vec<Effect> {
        let mut effects = self.with(|machine, now| machine.on(event, now));
        effects.retain(|effect| match effect {
            Effect::Suspect(suspected) => {
                self.0.suspected.store(Arc::new(suspected.clone()));
                false
            }
            _ => true,
        });
        effects
    }

    fn with<T>(&self, look: impl FnOnce(&mut Machine, Duration) -> T) -> T {
        let now = self.0.begun.elapsed();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.0.layouts.current();
        let is_same = match (&state.standing, &current) {
            (Some(known), Some(current)) => Arc::ptr_eq(known, current),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            let others = current.as_deref().map(others).unwrap_or_default();
            let mut effects = state.machine.on(Event::Members(others), now);
            if let Some(current) = &current {
                effects.extend(state.machine.on(Event::Own(Fact::Layout(current.stamp())), now));
            }
            for effect in effects {
                if let Effect::Suspect(suspected) = effect {
                    self.0.suspected.store(Arc::new(suspected));
                }
            }
            state.standing = current;
        }
        look(&mut state.machine, now)
    }

    /// Answers a member that has begun to compare.
    pub fn asked(&self, from: NodeId, request: &GossipRequest) -> Result<GossipReply, WireError> {
        let digest = wire::digest(&request.digest)?;
        let mut reply = GossipReply::default();
        for effect in self.on(Event::Asked { from, digest }) {
            if let Effect::Answer(delta, digest) = effect {
                reply.delta = wire::delta_message(delta);
                reply.digest = wire::digest_message(digest);
            }
        }
        self.0.metrics.sent(&reply);
        Ok(reply)
    }

    /// Takes what a member tells. What is returned is still to be done.
    pub fn told(&self, request: GossipTellRequest) -> Result<(GossipTellReply, Vec<Effect>), WireError> {
        let delta = wire::delta(request.delta)?;
        Ok((GossipTellReply::default(), self.on(Event::Told(delta))))
    }

    /// Takes what a member says of itself in a greeting. What is returned is still to be done.
    pub fn greeted(&self, from: NodeId, said: Introduction) -> Vec<Effect> {
        let Introduction { process, version, addresses } = said;
        self.on(Event::Greeted { from, process, version, addresses: fit(addresses) })
    }

    /// What is known of all other members, for a status.
    pub fn heard_of(&self) -> Vec<HeardOf> {
        let suspected = self.0.suspected.load();
        self.with(|machine, now| {
            let one = |node: &NodeId, known: &super::table::Known| {
                let (phi, silent) = machine.doubt(node, now).unwrap_or_default();
                let silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
                let suspected = suspected.contains(node);
                HeardOf { phi, suspected, silent_ms, ..wire::heard_of(*node, &known.facts, known.process) }
            };
            machine.table().others().map(|(node, known)| one(node, known)).collect()
        })
    }

    /// Members that are known of, and how many of these are suspected.
    pub fn counts(&self) -> (usize, usize) {
        let known =
            self.with(|machine, _| machine.table().others().filter(|(_, known)| known.process > 0).count());
        (known, self.0.suspected.load().len())
    }

    /// The figures of this room.
    pub(super) fn metrics(&self) -> &GossipMetrics {
        &self.0.metrics
    }
}

impl Hearsay for Gossip {
    fn introduction(&self) -> Introduction {
        self.with(|machine, _| {
            let own = machine.table().own();
            let told = own.addresses().map(|(version, addresses)| (version, addresses.to_vec()));
            let (version, addresses) = told.unwrap_or_default();
            Introduction { process: own.process, version, addresses }
        })
    }

    fn introduced(&self, node: NodeId, said: Introduction) {
        // The stream that it came on is open: nothing is to be dialled.
        self.greeted(node, said);
    }

    fn addresses(&self, node: NodeId) -> Vec<String> {
        self.with(|machine, _| {
            let known = machine.table().of(&node).and_then(|known| known.addresses());
            known.map(|(_, addresses)| addresses.to_vec()).unwrap_or_default()
        })
    }

    fn is_suspected(&self, node: NodeId) -> bool {
        self.0.suspected.load().contains(&node)
    }
}

/// Whose facts are kept and told: the members of S, T and the layout before S, but for this one and those that are lost.
fn others(standing: &Standing) -> BTreeSet<NodeId> {
    let members = standing.record.view().members().map(|member| member.node_id);
    members.filter(|node| *node != standing.me && standing.admits(node)).collect()
}

#[cfg(test)]
mod tests {
    use dynamo_ring::Record;

    use super::*;
    use crate::layout::state::tests::{fresh, member_id};
    use crate::store::{Committer, Limits, Local, MemoryStore, QueueLimits};

    async fn take(layouts: &Layouts, record: &Record) {
        layouts.take(record.clone()).await.unwrap();
        layouts.acked().await.unwrap();
    }

    fn said(process: u64, address: &str) -> Introduction {
        Introduction { process, version: 1, addresses: vec![address.to_owned()] }
    }

    #[tokio::test]
    async fn lesson_8_only_members_of_the_layout_that_stands_are_known_and_told_of() {
        let store = Arc::new(MemoryStore::new());
        let (committer, thread) =
            Committer::start(Arc::clone(&store) as _, Limits::default(), QueueLimits::default()).unwrap();
        let (layouts, keeper) = Layouts::open(Local::new(store), committer.clone(), member_id(0)).unwrap();
        let keeper = tokio::spawn(keeper.run());
        let (settings, metrics) = (GossipSettings::default(), GossipMetrics::default());
        let own = vec!["10.0.0.0:7070".to_owned()];
        let gossip = Gossip::new(layouts.clone(), 1, own.clone(), settings, metrics);
        assert_eq!(gossip.introduction(), Introduction { process: 1, version: 1, addresses: own });

        let (one, other) = (member_id(1), member_id(3));
        assert_eq!(gossip.greeted(one, said(1, "early")), [], "no layout, no members");
        let record = fresh(4);
        take(&layouts, &record).await;
        for node in [one, other] {
            let moved = Effect::Redial { node, restarted: true };
            assert_eq!(gossip.greeted(node, said(1, "10.0.0.9:7070")), [moved]);
            assert_eq!(gossip.addresses(node), ["10.0.0.9:7070"]);
        }
        gossip.greeted(member_id(7), said(1, "stranger"));
        assert_eq!(gossip.heard_of().len(), 3);

        take(&layouts, &record.lost(&other).unwrap()).await;
        assert_eq!(gossip.greeted(other, said(2, "back")), []);
        assert_eq!(gossip.addresses(other), [""; 0]);
        let reply = gossip.asked(one, &GossipRequest::default()).unwrap();
        let told: Vec<_> = reply.digest.iter().map(|seen| seen.node_id.to_vec()).collect();
        assert_eq!(told, [member_id(0).0, one.0], "itself, and whom it has heard of");
        assert_eq!(gossip.heard_of().len(), 2);
        keeper.abort();
        let _ = keeper.await;
        drop((layouts, gossip, committer));
        thread.stop().unwrap();
    }
}
