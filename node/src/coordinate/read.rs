//! A read under one layout: whom to ask next, and when to answer.
//!
//! It asks R members, and one more for each that fails or is late; the key's own members first. A stand-in is asked
//! only in the place of an own member that failed or kept silent for the handoff time, since it may know nothing of
//! the key. What the members answered is the driver's to merge.

use std::collections::VecDeque;

use dynamo_ring::NodeId;

use super::targets::ReadTargets;

/// What happens to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A member has answered, be it that it knows nothing of the key.
    Found(NodeId),
    /// A member gave no answer, or refused.
    Failed(NodeId),
    /// Too long for a healthy member: ask one more.
    HedgeDue,
    /// Who has not answered by now may be stood in for.
    HandoffDue,
    /// The client waits no longer.
    DeadlineDue,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Ask a member for the key. Answered by `Found` or `Failed`.
    Ask {
        /// Whom.
        node: NodeId,
        /// It does not hold the key, and is asked to stand in.
        stand_in: bool,
    },
    /// Send `HedgeDue` after the hedge time.
    ArmHedge,
    /// Merge what was found and tell the client.
    Answer(Outcome),
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Distinct members that answered.
    pub answered: usize,
    /// These were as many as were wanted.
    pub enough: bool,
    /// A stand-in is among them.
    pub sloppy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    node: NodeId,
    stand_in: bool,
    answered: bool,
    /// A stand-in may be asked in its place.
    missed: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Read {
    me: NodeId,
    needed: usize,
    /// How many more than needed are to be on their way.
    hedges: usize,
    holders: VecDeque<NodeId>,
    fallbacks: VecDeque<NodeId>,
    /// Own members that failed or are late, each of which a stand-in may replace.
    missing: usize,
    /// Stand-ins that were asked and have not failed.
    stand_ins: usize,
    asked: Vec<Asked>,
    done: bool,
}

impl Read {
    /// Begins a read that needs `r` members.
    pub fn start(
        targets: ReadTargets,
        me: NodeId,
        r: usize,
        strict: bool,
        up: impl Fn(NodeId) -> bool,
    ) -> (Self, Vec<Effect>) {
        let fallbacks = if strict { Vec::new() } else { targets.fallbacks };
        let mut read = Self {
            me,
            needed: r,
            hedges: 0,
            holders: targets.holders.into(),
            fallbacks: fallbacks.into(),
            missing: 0,
            stand_ins: 0,
            asked: Vec::new(),
            done: false,
        };
        let mut effects = Vec::new();
        read.ask_more(&up, &mut effects);
        if !read.holders.is_empty() {
            effects.push(Effect::ArmHedge);
        }
        read.answer_if_decided(&mut effects);
        (read, effects)
    }

    /// Takes in what has happened. Nothing follows once it is answered.
    pub fn on(&mut self, event: Event, up: impl Fn(NodeId) -> bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.done {
            return effects;
        }
        match event {
            Event::Found(node) => {
                for asked in self.asked.iter_mut().filter(|asked| asked.node == node) {
                    asked.answered = true;
                }
            }
            Event::Failed(node) => {
                if let Some(at) = self.asked.iter().position(|asked| asked.node == node && !asked.answered) {
                    let failed = self.asked.swap_remove(at);
                    self.stand_ins -= usize::from(failed.stand_in);
                    self.missing += usize::from(!failed.stand_in && !failed.missed);
                }
            }
            Event::HedgeDue => self.hedges += 1,
            Event::HandoffDue => {
                let mut silent = 0;
                for asked in self.asked.iter_mut().filter(|asked| !asked.answered && !asked.stand_in) {
                    silent += 1;
                    self.missing += usize::from(!asked.missed);
                    asked.missed = true;
                }
                self.hedges = self.hedges.max(silent);
            }
            Event::DeadlineDue => {
                self.answer(&mut effects);
                return effects;
            }
        }
        self.ask_more(&up, &mut effects);
        if event == Event::HedgeDue && !self.holders.is_empty() {
            effects.push(Effect::ArmHedge);
        }
        self.answer_if_decided(&mut effects);
        effects
    }

    fn ask_more(&mut self, up: &impl Fn(NodeId) -> bool, effects: &mut Vec<Effect>) {
        while self.asked.len() < self.needed + self.hedges {
            let Some((node, stand_in)) = self.next(up) else { return };
            self.stand_ins += usize::from(stand_in);
            self.asked.push(Asked { node, stand_in, answered: false, missed: false });
            effects.push(Effect::Ask { node, stand_in });
        }
    }

    /// The next own member that can be reached; then a stand-in for each that cannot.
    fn next(&mut self, up: &impl Fn(NodeId) -> bool) -> Option<(NodeId, bool)> {
        while let Some(node) = self.holders.pop_front() {
            if node == self.me || up(node) {
                return Some((node, false));
            }
            self.missing += 1;
        }
        while self.stand_ins < self.missing {
            let node = self.fallbacks.pop_front()?;
            if node == self.me || up(node) {
                return Some((node, true));
            }
        }
        None
    }

    fn answer_if_decided(&mut self, effects: &mut Vec<Effect>) {
        let answered = self.asked.iter().filter(|asked| asked.answered).count();
        let nobody_left = answered == self.asked.len();
        if answered >= self.needed || nobody_left {
            self.answer(effects);
        }
    }

    fn answer(&mut self, effects: &mut Vec<Effect>) {
        self.done = true;
        let answered = self.asked.iter().filter(|asked| asked.answered);
        let sloppy = answered.clone().any(|asked| asked.stand_in);
        let answered = answered.count();
        effects.push(Effect::Answer(Outcome { answered, enough: answered >= self.needed, sloppy }));
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
