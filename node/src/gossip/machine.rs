//! What a node says to whom, and what it makes of what it hears: once a second it compares with one other member what they
//! know, and each sends the other what it lacks. Pure.
//!
//! Nothing here changes the layout, and nobody is removed for being silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dynamo_ring::NodeId;

use super::fact::Fact;
use super::phi::Detector;
use super::table::{Delta, Digest, Known, News, Table};

/// How a node gossips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GossipSettings {
    /// Between two rounds.
    pub interval: Duration,
    /// A member is suspected from this phi on.
    pub threshold: f64,
    /// Bytes of what one message tells, about, at most.
    pub bytes: usize,
}

impl Default for GossipSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), threshold: 8.0, bytes: 64 << 10 }
    }
}

/// What happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// The other members are these, by the layout: named, and not lost.
    Members(BTreeSet<NodeId>),
    /// This node has something to say of itself.
    Own(Fact),
    /// A round is due.
    Due {
        /// Drawn by chance.
        random: u64,
        /// Members whose stream is open.
        up: Vec<NodeId>,
    },
    /// A member has begun to compare.
    Asked {
        /// Who.
        from: NodeId,
        /// What it knows.
        digest: Digest,
    },
    /// The one with whom this node has begun to compare answered.
    Answered {
        /// Who.
        from: NodeId,
        /// What this node lacks.
        delta: Delta,
        /// What the other knows.
        digest: Digest,
    },
    /// What this node lacks came.
    Told(
        /// What it lacks.
        Delta,
    ),
    /// A member has greeted this node, or answered its greeting.
    Greeted {
        /// Who.
        from: NodeId,
        /// Which start of it.
        process: u64,
        /// The number of what it says of its addresses; 0 if it says nothing.
        version: u64,
        /// Where it can be dialled.
        addresses: Arc<[String]>,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Begin to compare: ask this member.
    Ask(NodeId, Digest),
    /// Answer the one who asked.
    Answer(Delta, Digest),
    /// Tell this member what it lacks.
    Tell(NodeId, Delta),
    /// This member has started anew, or moved: what is waited for at its old place is in vain.
    Redial {
        /// Who.
        node: NodeId,
        /// It has started anew: a stream to it is one to a process that has gone.
        restarted: bool,
    },
    /// This member goes by a newer layout record.
    FetchLayout(NodeId),
    /// These are suspected from now on, and no others.
    Suspect(BTreeSet<NodeId>),
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    settings: GossipSettings,
    table: Table,
    detectors: BTreeMap<NodeId, Detector>,
    suspected: BTreeSet<NodeId>,
    /// The last round.
    last: Option<Duration>,
}

impl Machine {
    /// That of the node `me` in its start number `process`. Starts are counted from 1; a later one has a higher number.
    pub fn new(me: NodeId, process: u64, settings: GossipSettings) -> Self {
        let table = Table::new(me, process);
        Self { settings, table, detectors: BTreeMap::new(), suspected: BTreeSet::new(), last: None }
    }

    /// What is known.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Phi of a member, and since when nothing was heard of it.
    pub fn doubt(&self, node: &NodeId, now: Duration) -> Option<(f64, Duration)> {
        self.detectors.get(node).map(|detector| (detector.phi(now), detector.silent(now)))
    }

    /// What is to be done on an event at `now`, a time since some fixed moment.
    pub fn on(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        match event {
            Event::Members(others) => {
                self.table.set_members(&others);
                self.detectors.retain(|node, _| others.contains(node));
                for (node, _) in self.table.others() {
                    self.detectors.entry(*node).or_insert_with(|| Detector::new(now));
                }
                self.suspect(now).into_iter().collect()
            }
            Event::Own(fact) => {
                self.table.tell(fact);
                Vec::new()
            }
            Event::Due { random, up } => self.round(random, &up, now),
            Event::Asked { digest, .. } => {
                self.table.overtake(&digest);
                let delta = self.table.lacking(&digest, self.settings.bytes);
                vec![Effect::Answer(delta, self.table.digest())]
            }
            Event::Answered { from, delta, digest } => {
                let mut effects = self.learn(delta, now);
                self.table.overtake(&digest);
                let lacking = self.table.lacking(&digest, self.settings.bytes);
                if !lacking.is_empty() {
                    effects.push(Effect::Tell(from, lacking));
                }
                effects
            }
            Event::Told(delta) => self.learn(delta, now),
            Event::Greeted { from, process, version, addresses } => {
                let news = self.table.greeted(from, process, version, &addresses);
                self.heard(news.into_iter().collect(), now)
            }
        }
    }

    fn round(&mut self, random: u64, up: &[NodeId], now: Duration) -> Vec<Effect> {
        // Who stood still has heard nobody, and may blame nobody.
        if self.last.is_some_and(|last| now.saturating_sub(last) > self.settings.interval * 3) {
            self.detectors.values_mut().for_each(|detector| detector.forgive(now));
        }
        self.last = Some(now);
        self.table.beat();
        let mut effects: Vec<Effect> = self.suspect(now).into_iter().collect();
        let others: Vec<NodeId> = up.iter().copied().filter(|node| self.table.of(node).is_some()).collect();
        let Ok(count) = u64::try_from(others.len()) else { return effects };
        if let Some(at) = random.checked_rem(count)
            && let Some(to) = usize::try_from(at).ok().and_then(|at| others.get(at))
        {
            effects.push(Effect::Ask(*to, self.table.digest()));
        }
        effects.extend(self.newer_layout(&others).map(Effect::FetchLayout));
        effects
    }

    /// Of those who can be asked, the one whose layout record is the newest, if it is newer than this node's.
    fn newer_layout(&self, others: &[NodeId]) -> Option<NodeId> {
        let stamp_in = |known: &Known| {
            known.facts.iter().find_map(|(_, fact)| match fact {
                Fact::Layout(sender) => Some(sender.stamp),
                _ => None,
            })
        };
        let mine = stamp_in(self.table.own())?;
        let stamps = others.iter().filter_map(|node| Some((stamp_in(self.table.of(node)?)?, *node)));
        stamps.filter(|(stamp, _)| *stamp > mine).max().map(|(_, node)| node)
    }

    fn learn(&mut self, delta: Delta, now: Duration) -> Vec<Effect> {
        let news = self.table.merge(delta);
        self.heard(news, now)
    }

    fn heard(&mut self, news: Vec<News>, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut lives = false;
        for News { node, process, addresses } in news {
            if let Some(detector) = self.detectors.get_mut(&node) {
                detector.heard(now);
            }
            lives |= self.suspected.contains(&node);
            if process || addresses {
                effects.push(Effect::Redial { node, restarted: process });
            }
        }
        if lives {
            effects.extend(self.suspect(now));
        }
        effects
    }

    /// Looks anew who is suspected; says so if that has changed.
    fn suspect(&mut self, now: Duration) -> Option<Effect> {
        let doubted =
            self.detectors.iter().filter(|(_, detector)| detector.phi(now) >= self.settings.threshold);
        let suspected: BTreeSet<NodeId> = doubted.map(|(node, _)| *node).collect();
        if suspected == self.suspected {
            return None;
        }
        self.suspected.clone_from(&suspected);
        Some(Effect::Suspect(suspected))
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
