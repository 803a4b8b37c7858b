//! A read under one layout: whom to ask next, and when to answer.
//!
//! It asks R members, and one more for each that fails or is late; the key's own members first. A stand-in is asked
//! only in the place of an own member that failed or kept silent for the handoff time, since it may know nothing of
//! the key.
//!
//! One member is asked for its whole state, this node if it holds the key; the others for the hash of theirs. Replicas
//! mostly agree, and then a hash counts as the state that has it. A hash that no state found so far has is not an
//! answer yet: that member's whole state is asked for too. What was found whole is the driver's to merge.

use std::collections::VecDeque;

use dynamo_ring::NodeId;

use super::targets::ReadTargets;
use crate::version::StateHash;

/// What of a member's copy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its hash.
    Digest,
}

/// What a member has told of its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// All of it; this is its hash, or `None` if the member knows nothing of the key.
    Whole(Option<StateHash>),
    /// Its hash.
    Digest(StateHash),
}

/// What happens to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A member has answered, be it that it knows nothing of the key.
    Found(NodeId, Told),
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
        /// What for. One that was asked for its hash may be asked again, for all of it.
        part: Part,
    },
    /// Send `HedgeDue` after the hedge time.
    ArmHedge,
    /// Merge what was found and tell the client.
    Answer(Outcome),
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Distinct members whose state is among those found whole.
    pub answered: usize,
    /// Of these, how many told only its hash.
    pub matched: usize,
    /// These were as many as were wanted.
    pub enough: bool,
    /// A stand-in is among them.
    pub sloppy: bool,
}

/// Where the whole state of a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// Here, or not asked for.
    NotAwaited,
    /// On its way.
    Awaited,
    /// On its way for so long that others need not wait for it.
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    node: NodeId,
    stand_in: bool,
    told: Option<Told>,
    whole: Whole,
    /// A stand-in may be asked in its place.
    missed: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Read {
    me: NodeId,
    /// Members that the request wants.
    wanted: usize,
    /// Members that have to answer: more than that where what was found is not enough.
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
            wanted: r,
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
        if read.may_hedge() {
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
            Event::Found(node, told) => self.found(node, told),
            Event::Failed(node) => {
                if let Some(at) = self.asked.iter().position(|asked| asked.node == node && asked.is_open()) {
                    let failed = self.asked.swap_remove(at);
                    self.stand_ins -= usize::from(failed.stand_in);
                    self.missing += usize::from(!failed.stand_in && !failed.missed);
                }
            }
            Event::HedgeDue => {
                self.hedges += usize::from(!self.holders.is_empty());
                self.asked.iter_mut().for_each(Asked::let_wait_no_longer);
            }
            Event::HandoffDue => {
                let mut silent = 0;
                for asked in self.asked.iter_mut().filter(|asked| asked.is_open()) {
                    asked.let_wait_no_longer();
                    if !asked.stand_in {
                        silent += 1;
                        self.missing += usize::from(!asked.missed);
                        asked.missed = true;
                    }
                }
                self.hedges = self.hedges.max(silent);
            }
            Event::DeadlineDue => {
                self.answer(&mut effects);
                return effects;
            }
        }
        self.ask_more(&up, &mut effects);
        self.answer_if_decided(&mut effects);
        if !self.done {
            self.ask_for_unmatched(&mut effects);
            if event == Event::HedgeDue && self.may_hedge() {
                effects.push(Effect::ArmHedge);
            }
        }
        effects
    }

    /// What was found lacks what the client knows to exist: another answer is waited for beside those that there are.
    /// Answers at once if nobody is left who could give one.
    pub fn go_on(&mut self, up: impl Fn(NodeId) -> bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.done = false;
        self.needed = self.asked.iter().filter(|asked| self.counts(asked)).count() + 1;
        self.ask_more(&up, &mut effects);
        self.answer_if_decided(&mut effects);
        if !self.done {
            self.ask_for_unmatched(&mut effects);
            if self.may_hedge() {
                effects.push(Effect::ArmHedge);
            }
        }
        effects
    }

    fn found(&mut self, node: NodeId, told: Told) {
        for asked in self.asked.iter_mut().filter(|asked| asked.node == node) {
            // A hash says nothing new of one whose state is here or on its way.
            if matches!(told, Told::Whole(_)) {
                asked.whole = Whole::NotAwaited;
            } else if asked.told.is_some() {
                continue;
            }
            asked.told = Some(told);
        }
    }

    fn ask_more(&mut self, up: &impl Fn(NodeId) -> bool, effects: &mut Vec<Effect>) {
        while self.asked.len() < self.needed + self.hedges {
            let Some((node, stand_in)) = self.next(up) else { return };
            // One whole state is enough, unless it does not come.
            let found = |asked: &Asked| matches!(asked.told, Some(Told::Whole(Some(_))));
            let whole = self.asked.iter().any(|asked| found(asked) || asked.is_on_its_way());
            let part = if whole { Part::Digest } else { Part::Whole };
            self.stand_ins += usize::from(stand_in);
            let whole = if part == Part::Whole { Whole::Awaited } else { Whole::NotAwaited };
            self.asked.push(Asked { node, stand_in, told: None, whole, missed: false });
            effects.push(Effect::Ask { node, stand_in, part });
        }
    }

    /// Asks for the whole state behind each hash that nothing found so far has, one member for each hash.
    fn ask_for_unmatched(&mut self, effects: &mut Vec<Effect>) {
        // One that is on its way may have them all.
        if self.asked.iter().any(|asked| asked.told.is_none() && asked.is_on_its_way()) {
            return;
        }
        for at in 0..self.asked.len() {
            let Asked { node, stand_in, told, .. } = self.asked[at];
            let Some(Told::Digest(_)) = told else { continue };
            let asked_for = |asked: &Asked| asked.told == told && asked.is_on_its_way();
            if self.asked[at].whole != Whole::NotAwaited
                || self.counts(&self.asked[at])
                || self.asked.iter().any(asked_for)
            {
                continue;
            }
            self.asked[at].whole = Whole::Awaited;
            effects.push(Effect::Ask { node, stand_in, part: Part::Whole });
        }
    }

    /// Whether there is anything to do for one that is slow: another own member to ask, or a state to wait for no longer.
    fn may_hedge(&self) -> bool {
        let others_wait = self.asked.len() > 1;
        !self.holders.is_empty() || (others_wait && self.asked.iter().any(Asked::is_on_its_way))
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

    /// Whether the member's state is among those found whole, be it only by its hash.
    fn counts(&self, asked: &Asked) -> bool {
        match asked.told {
            Some(Told::Digest(hash)) => {
                self.asked.iter().any(|other| other.told == Some(Told::Whole(Some(hash))))
            }
            told => told.is_some(),
        }
    }

    fn answer_if_decided(&mut self, effects: &mut Vec<Effect>) {
        let answered = self.asked.iter().filter(|asked| self.counts(asked)).count();
        let nobody_left = answered == self.asked.len();
        if answered >= self.needed || nobody_left {
            self.answer(effects);
        }
    }

    fn answer(&mut self, effects: &mut Vec<Effect>) {
        self.done = true;
        let answered = self.asked.iter().filter(|asked| self.counts(asked));
        let sloppy = answered.clone().any(|asked| asked.stand_in);
        let matched = answered.clone().filter(|asked| matches!(asked.told, Some(Told::Digest(_)))).count();
        let answered = answered.count();
        let enough = answered >= self.wanted;
        effects.push(Effect::Answer(Outcome { answered, matched, enough, sloppy }));
    }
}

impl Asked {
    /// Whether it still owes an answer.
    fn is_open(&self) -> bool {
        self.told.is_none() || self.whole != Whole::NotAwaited
    }

    /// Whether its whole state may be waited for.
    fn is_on_its_way(&self) -> bool {
        self.whole == Whole::Awaited
    }

    fn let_wait_no_longer(&mut self) {
        if self.whole == Whole::Awaited {
            self.whole = Whole::Late;
        }
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
