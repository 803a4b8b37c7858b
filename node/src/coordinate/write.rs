//! A write under one layout, from the moment the coordinator has given it its dot.
//!
//! Invariants:
//! - it is acknowledged only when W distinct members, in every layout that counts, have it on disk;
//! - a stand-in counts in the place of one missing holder, for the layouts of that holder, and never in two places; one
//!   that only the target names does not count for the stable layout: it lets go of its hints if the target is replaced;
//! - whatever the answer, when the machine is [settled](Write::settled) every holder has the write, or a stand-in or the
//!   coordinator durably owes it to the holder: nothing waits for anti-entropy alone.
//!
//! Sloppy quorums and hinted handoff: Dynamo, 4.6.

use dynamo_ring::NodeId;

use super::quorum::Quorum;
use super::targets::{Fallback, Own, Sides, WriteTargets};

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The coordinator's own copy is on its disk.
    OwnSynced,
    /// The coordinator's disk failed it.
    OwnFailed,
    /// A member has the write on its disk.
    Stored(NodeId),
    /// A member gave no answer, or refused. It may have the write all the same.
    Failed(NodeId),
    /// The coordinator's own hint for this member is on disk, or cannot be.
    Hinted(NodeId),
    /// Who has not answered by now is late, and is replaced.
    HandoffDue,
    /// The client waits no longer.
    DeadlineDue,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Send the state to a member; `hint_for` names the one that it stands in for. Answered by `Stored` or `Failed`.
    Send {
        /// Who gets it.
        to: NodeId,
        /// Who is owed it, if `to` does not hold the key.
        hint_for: Option<NodeId>,
    },
    /// Note durably here that this member is owed the state. Answered by `Hinted`.
    Hint(NodeId),
    /// Tell the client.
    Answer(Outcome),
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Enough members have it on disk.
    Done {
        /// Distinct members, in the layout with the fewest.
        answered: usize,
        /// It needed stand-ins.
        sloppy: bool,
    },
    /// Too few. It may appear later, or never.
    Short {
        /// Distinct members, in the layout with the fewest.
        answered: usize,
    },
}

/// Where one copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replica {
    /// On its way.
    Pending,
    /// On disk.
    Stored,
    /// Not there, as far as anybody knows.
    Missing,
}

/// Who stands in for a holder.
#[derive(Debug, Clone, Copy)]
struct StandIn {
    node: NodeId,
    copy: Replica,
    /// The layouts in which its copy may count.
    counts: Sides,
}

/// A holder, and who replaces it.
#[derive(Debug, Clone, Copy)]
struct Slot {
    holder: NodeId,
    sides: Sides,
    copy: Replica,
    /// The last that was asked to stand in.
    stand_in: Option<StandIn>,
    /// The coordinator's own hint: `Stored` when nothing more can be done about it.
    hint: Option<Replica>,
}

impl Slot {
    /// Nobody is about to store the holder's copy, or the one who was to stand in has failed.
    fn wants_replacement(&self) -> bool {
        let nobody = self.copy == Replica::Missing && self.stand_in.is_none();
        let failed =
            self.copy != Replica::Stored && self.stand_in.is_some_and(|one| one.copy == Replica::Missing);
        self.hint.is_none() && (nobody || failed)
    }

    fn is_settled(&self) -> bool {
        self.copy == Replica::Stored
            || self.hint == Some(Replica::Stored)
            || self.stand_in.is_some_and(|one| one.copy == Replica::Stored)
    }

    /// The coordinator owes it to the holder from now on; to itself it cannot owe anything.
    fn hint(&mut self, me: NodeId, effects: &mut Vec<Effect>) {
        if self.holder == me {
            self.hint = Some(Replica::Stored);
        } else {
            self.hint = Some(Replica::Pending);
            effects.push(Effect::Hint(self.holder));
        }
    }

    fn is_pending(&self) -> bool {
        self.copy == Replica::Pending || self.stand_in.is_some_and(|one| one.copy == Replica::Pending)
    }
}

/// The machine.
#[derive(Debug)]
pub struct Write {
    me: NodeId,
    strict: bool,
    slots: Vec<Slot>,
    /// Not yet asked, the next one last.
    fallbacks: Vec<Fallback>,
    quorum: Quorum,
    /// The same without stand-ins.
    own_members: Quorum,
    answered: bool,
}

impl Write {
    /// Begins a write that needs `w` members in each layout. `me` coordinates it, in the part of `own`.
    pub fn start(
        targets: WriteTargets,
        me: NodeId,
        own: Own,
        w: usize,
        strict: bool,
        up: impl Fn(NodeId) -> bool,
    ) -> (Self, Vec<Effect>) {
        let counts = targets.counts_of(me);
        let mut fallbacks = targets.fallbacks;
        if matches!(own, Own::StandsInFor(_)) {
            fallbacks.retain(|fallback| fallback.node != me);
        }
        fallbacks.reverse();
        let slot = |holder: super::targets::Holder| Slot {
            holder: holder.node,
            sides: holder.sides,
            copy: Replica::Missing,
            stand_in: (own == Own::StandsInFor(holder.node)).then_some(StandIn {
                node: me,
                copy: Replica::Pending,
                counts,
            }),
            hint: None,
        };
        let mut write = Self {
            me,
            strict,
            slots: targets.holders.into_iter().map(slot).collect(),
            fallbacks,
            quorum: Quorum::new(w, targets.sides),
            own_members: Quorum::new(w, targets.sides),
            answered: false,
        };
        let mut effects = Vec::new();
        for slot in &mut write.slots {
            if slot.holder == me {
                slot.copy = Replica::Pending;
            } else if up(slot.holder) {
                slot.copy = Replica::Pending;
                effects.push(Effect::Send { to: slot.holder, hint_for: None });
            }
        }
        write.replace_missing(&up, &mut effects);
        write.answer_if_decided(&mut effects);
        (write, effects)
    }

    /// Takes in what has happened.
    pub fn on(&mut self, event: Event, up: impl Fn(NodeId) -> bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::OwnSynced => self.note(self.me, Replica::Stored),
            Event::Stored(node) => self.note(node, Replica::Stored),
            Event::OwnFailed => self.note(self.me, Replica::Missing),
            Event::Failed(node) => self.note(node, Replica::Missing),
            Event::Hinted(node) => {
                for slot in self.slots.iter_mut().filter(|slot| slot.holder == node) {
                    slot.hint = Some(Replica::Stored);
                }
            }
            Event::HandoffDue => self.replace_late(&up, &mut effects),
            Event::DeadlineDue => {
                self.answer_short(&mut effects);
                self.hint_the_rest(&mut effects);
            }
        }
        self.replace_missing(&up, &mut effects);
        self.answer_if_decided(&mut effects);
        effects
    }

    /// Whether it was answered, and every holder has the write or is durably owed it.
    pub fn settled(&self) -> bool {
        self.answered && self.slots.iter().all(Slot::is_settled)
    }

    fn note(&mut self, node: NodeId, copy: Replica) {
        for slot in &mut self.slots {
            let in_own_place = slot.holder == node;
            if in_own_place {
                slot.copy = copy;
                if copy == Replica::Stored {
                    self.quorum.count(node, slot.sides);
                    self.own_members.count(node, slot.sides);
                }
            }
            if let Some(one) = slot.stand_in.as_mut().filter(|one| one.node == node) {
                one.copy = copy;
                if copy == Replica::Stored {
                    self.quorum.count(node, slot.sides.and(one.counts));
                }
            }
        }
    }

    /// Every missing holder gets a stand-in, or the coordinator's own hint if there is none.
    fn replace_missing(&mut self, up: &impl Fn(NodeId) -> bool, effects: &mut Vec<Effect>) {
        for at in 0..self.slots.len() {
            // Each turn takes a fallback or ends in a hint.
            if self.slots[at].wants_replacement() {
                self.replace(at, up, effects);
            }
        }
    }

    fn replace_late(&mut self, up: &impl Fn(NodeId) -> bool, effects: &mut Vec<Effect>) {
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            // The own disk is not late: who waits for it would wait for the hint just as long.
            let is_late = slot.copy == Replica::Pending && slot.holder != self.me;
            if is_late && slot.stand_in.is_none() && slot.hint.is_none() {
                self.replace(at, up, effects);
            }
        }
    }

    fn replace(&mut self, at: usize, up: &impl Fn(NodeId) -> bool, effects: &mut Vec<Effect>) {
        let slot = &mut self.slots[at];
        let next = if self.strict { None } else { next_healthy(&mut self.fallbacks, self.me, up) };
        if let Some(Fallback { node, counts }) = next {
            slot.stand_in = Some(StandIn { node, copy: Replica::Pending, counts });
            effects.push(Effect::Send { to: node, hint_for: Some(slot.holder) });
        } else {
            slot.hint(self.me, effects);
        }
    }

    /// No time is left for stand-ins.
    fn hint_the_rest(&mut self, effects: &mut Vec<Effect>) {
        for slot in &mut self.slots {
            if slot.holder != self.me && !slot.is_settled() && slot.hint.is_none() {
                slot.hint(self.me, effects);
            }
        }
    }

    fn answer_if_decided(&mut self, effects: &mut Vec<Effect>) {
        if self.answered {
            return;
        }
        if self.quorum.met() {
            self.answered = true;
            let sloppy = !self.own_members.met();
            effects.push(Effect::Answer(Outcome::Done { answered: self.quorum.answered(), sloppy }));
        } else if !self.slots.iter().any(Slot::is_pending) {
            self.answer_short(effects);
        }
    }

    fn answer_short(&mut self, effects: &mut Vec<Effect>) {
        if !self.answered {
            self.answered = true;
            effects.push(Effect::Answer(Outcome::Short { answered: self.quorum.answered() }));
        }
    }
}

/// The next one that can be reached; the others are passed over for good.
fn next_healthy(fallbacks: &mut Vec<Fallback>, me: NodeId, up: &impl Fn(NodeId) -> bool) -> Option<Fallback> {
    while let Some(fallback) = fallbacks.pop() {
        if fallback.node == me || up(fallback.node) {
            return Some(fallback);
        }
    }
    None
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
