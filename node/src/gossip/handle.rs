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
