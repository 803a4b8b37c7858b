//! What is known of every member, and which part of it another lacks. Pure.
//!
//! Scuttlebutt reconciliation (van Renesse, Dumitriu, Gough, Thomas: Efficient Reconciliation and Flow Control for
//! Anti-Entropy Protocols, LADIS 2008). Each member alone writes its own facts and numbers every change; a number
//! without a fact is a heartbeat. A *digest* says for each member up to which number one knows everything; the answer
//! holds what comes after it, the oldest first, so that a message that is cut short at its bound still leaves whoever
//! reads it knowing everything up to some number.
//!
//! A member that the layout no longer names is forgotten, and what others still tell of it is not taken (lesson 8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dynamo_ring::NodeId;

use super::fact::Fact;

/// Up to where the facts of one member are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The member.
    pub node: NodeId,
    /// Which start of it. A later start makes all of an earlier one void.
    pub process: u64,
    /// Everything up to this number is known.
    pub version: u64,
}

/// What is known of all members.
pub type Digest = Vec<Seen>;

/// What comes after `from` of one member, up to `version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The member.
    pub node: NodeId,
    /// Which start of it.
    pub process: u64,
    /// It is of use to whoever knows everything up to here; 0 for anybody.
    pub from: u64,
    /// And leaves them knowing everything up to here.
    pub version: u64,
    /// With their numbers, rising.
    pub facts: Vec<(u64, Fact)>,
}

/// What one lacks that another knows.
pub type Delta = Vec<Update>;

/// What is known of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Which start of it.
    pub process: u64,
    /// Everything up to this number is known. An address that came by a greeting may have a later one.
    pub version: u64,
    /// With their numbers, rising; one of each kind.
    pub facts: Vec<(u64, Fact)>,
}

/// What came anew of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// Of whom.
    pub node: NodeId,
    /// It has started anew since.
    pub process: bool,
    /// It has other addresses.
    pub addresses: bool,
}

impl Known {
    /// Puts a fact in the place of the one of its kind, unless that is as new.
    fn put(&mut self, version: u64, fact: Fact) -> bool {
        if let Some(at) = self.facts.iter().position(|(_, known)| known.is_like(&fact)) {
            if self.facts.get(at).is_some_and(|(known, _)| *known >= version) {
                return false;
            }
            self.facts.remove(at);
        }
        let at = self.facts.partition_point(|(known, _)| *known < version);
        self.facts.insert(at, (version, fact));
        true
    }

    /// Where the member can be dialled, with the number of the fact.
    pub fn addresses(&self) -> Option<(u64, &Arc<[String]>)> {
        self.facts.iter().find_map(|(version, fact)| match fact {
            Fact::Addresses(addresses) => Some((*version, addresses)),
            _ => None,
        })
    }

    fn seen(&self, node: NodeId) -> Seen {
        Seen { node, process: self.process, version: self.version }
    }
}

/// What is known of this node and of all other members.
#[derive(Debug, Clone)]
pub struct Table {
    me: NodeId,
    own: Known,
    /// Members that nothing is known of yet stand here too.
    others: BTreeMap<NodeId, Known>,
    /// The member before which the last message was full.
    cut_at: Option<NodeId>,
}

/// Bytes of one member in a message beside its facts, at most.
pub const AROUND: usize = 64;

impl Table {
    /// That of the node `me` in its start number `process`, which knows nobody yet.
    pub fn new(me: NodeId, process: u64) -> Self {
        let own = Known { process, ..Known::default() };
        Self { me, own, others: BTreeMap::new(), cut_at: None }
    }

    /// From now on these are the others. Whoever is not among them is forgotten, and not learnt of again.
    pub fn set_members(&mut self, others: &BTreeSet<NodeId>) {
        self.others.retain(|node, _| others.contains(node));
        for node in others.iter().filter(|node| **node != self.me) {
            self.others.entry(*node).or_default();
        }
    }

    /// This node lives: others may tell by the number.
    pub fn beat(&mut self) {
        self.own.version += 1;
    }

    /// Says something of this node; nothing changes if it has been said.
    pub fn tell(&mut self, fact: Fact) {
        if self.own.facts.iter().all(|(_, told)| *told != fact) {
            self.own.version += 1;
            self.own.put(self.own.version, fact);
        }
    }

    /// What is known of this node.
    pub const fn own(&self) -> &Known {
        &self.own
    }

    /// What is known of another member; nothing of one that is no member.
    pub fn of(&self, node: &NodeId) -> Option<&Known> {
        self.others.get(node)
    }

    /// All other members.
    pub fn others(&self) -> impl ExactSizeIterator<Item = (&NodeId, &Known)> {
        self.others.iter()
    }

    /// Counts on from what others know of this node, if that is more than it has told: its disk is a copy of an earlier
    /// time, and they would take what it tells for old.
    pub fn overtake(&mut self, digest: &[Seen]) {
        let told = |seen: &&Seen| (seen.process, seen.version) > (self.own.process, self.own.version);
        if let Some(seen) = digest.iter().filter(|seen| seen.node == self.me).find(told) {
            self.own.process = seen.process.saturating_add(1);
        }
    }

    /// Up to where everything is known.
    pub fn digest(&self) -> Digest {
        let heard = self.others.iter().filter(|(_, known)| known.process > 0);
        let others = heard.map(|(node, known)| known.seen(*node));
        std::iter::once(self.own.seen(self.me)).chain(others).collect()
    }

    /// What the sender of a digest lacks, in about `bytes` at most. Begins where the last message was full, so that in the
    /// end everybody has their turn.
    pub fn lacking(&mut self, digest: &[Seen], bytes: usize) -> Delta {
        let theirs: BTreeMap<NodeId, &Seen> = digest.iter().map(|seen| (seen.node, seen)).collect();
        let begin = self.cut_at.take().unwrap_or(self.me);
        let (mut delta, mut left, mut cut_at) = (Delta::new(), bytes, None);
        let own = std::iter::once((&self.me, &self.own));
        let round = self.others.range(begin..).chain(own).chain(self.others.range(..begin));
        for (node, known) in round.filter(|(_, known)| known.process > 0) {
            let from = match theirs.get(node) {
                Some(seen) if seen.process > known.process => continue,
                Some(seen) if seen.process == known.process => seen.version,
                _ => 0,
            };
            if from >= known.version {
                continue;
            }
            if left < AROUND {
                cut_at = Some(*node);
                break;
            }
            left -= AROUND;
            let mut update = Update {
                node: *node,
                process: known.process,
                from,
                version: known.version,
                facts: Vec::new(),
            };
            for (version, fact) in known.facts.iter().filter(|(v, _)| *v > from && *v <= known.version) {
                let weight = fact.weight();
                if weight > left {
                    // What was taken is whole up to the last of it.
                    update.version = update.facts.last().map_or(from, |(version, _)| *version);
                    cut_at = Some(*node);
                    break;
                }
                left -= weight;
                update.facts.push((*version, fact.clone()));
            }
            if update.version > from {
                delta.push(update);
            }
            if cut_at.is_some() {
                break;
            }
        }
        self.cut_at = cut_at;
        delta
    }

    /// Takes what another sent. Says of whom there was anything new.
    pub fn merge(&mut self, delta: Delta) -> Vec<News> {
        delta.into_iter().filter_map(|update| self.take(update)).collect()
    }

    fn take(&mut self, update: Update) -> Option<News> {
        let known = self.others.get_mut(&update.node)?;
        let is_new = update.process > known.process;
        let fits = if is_new {
            update.from == 0
        } else {
            // With a gap before it, it would be taken for more than it is.
            update.process == known.process && update.from <= known.version && update.version > known.version
        };
        if !fits {
            return None;
        }
        if is_new {
            *known = Known { process: update.process, ..Known::default() };
        }
        let before = known.addresses().map(|(_, addresses)| Arc::clone(addresses));
        for (version, fact) in update.facts {
            known.put(version, fact);
        }
        known.version = update.version;
        let addresses = known.addresses().map(|(_, addresses)| addresses) != before.as_ref();
        Some(News { node: update.node, process: is_new, addresses })
    }

    /// Takes what a member says of itself in a greeting: which start of it, and where it can be dialled, with the number
    /// of that fact.
    pub fn greeted(
        &mut self,
        node: NodeId,
        process: u64,
        version: u64,
        addresses: &Arc<[String]>,
    ) -> Option<News> {
        let known = self.others.get_mut(&node)?;
        if process < known.process || process == 0 {
            return None;
        }
        let is_new = process > known.process;
        if is_new {
            *known = Known { process, ..Known::default() };
        }
        let before = known.addresses().map(|(_, addresses)| Arc::clone(addresses));
        let put = version > 0 && known.put(version, Fact::Addresses(Arc::clone(addresses)));
        let changed = put && before.as_ref() != Some(addresses);
        (is_new || changed).then_some(News { node, process: is_new, addresses: changed })
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
