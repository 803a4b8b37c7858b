//! The register, the members, the requests: one moment of a scenario.

use std::hash::{Hash, Hasher};

use crate::Model;
use crate::catalogue::{Catalogue, Lay, Rec};
use crate::scenario::{MOST, Members};

/// A set of writes: bit i is write i.
pub type Writes = u8;

/// One moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// What stands in the register.
    pub register: Rec,
    /// Every record that ever stood there, in the order of numbers: each may still arrive anywhere, any number of times.
    pub written: Vec<Rec>,
    /// The members.
    pub members: [Member; MOST],
    /// What clients have begun.
    pub requests: Vec<Request>,
    /// Acknowledged.
    pub acked: Writes,
    /// Of these, those that every strict read has to see.
    pub strict: Writes,
    /// Deleted, and reaped everywhere.
    pub reaped: Writes,
    /// How many targets may still be proposed.
    pub proposals: u8,
    /// How many crashes may still happen.
    pub crashes: u8,
    /// A member has let go of the partition before its successors had everything.
    pub let_go_early: bool,
    /// Two members that are alike, so that exchanging them makes no other state.
    twins: Option<(u8, u8)>,
}

/// One member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Member {
    /// The record that it goes by. On disk.
    pub rec: Option<Rec>,
    /// It holds the partition. On disk.
    pub held: bool,
    /// What it has of the partition, in memory.
    pub has: Writes,
    /// The same, synced.
    pub disk: Writes,
    /// What it keeps for others, as hints. On disk.
    pub owes: [Writes; MOST],
    /// With whom it has compared for the present target. In memory.
    pub compared: Members,
    /// For which target it has reported last that the partition is synced.
    pub synced: Option<Lay>,
    /// To whom it has handed over. In memory.
    pub shown: Members,
}

/// A strict write of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// Who coordinates it.
    pub by: u8,
    /// Under which record it was begun.
    pub under: Rec,
    /// It has neither been answered nor given up.
    pub runs: bool,
    /// Where it has been stored.
    pub stored: Members,
    /// Who has answered that it is on disk.
    pub answered: Members,
}

impl State {
    /// How a scenario begins: the first layout is settled, and what was given is where it is.
    pub fn begin(model: &Model) -> Self {
        let scenario = &model.scenario;
        let facts = model.catalogue.facts(Catalogue::FIRST);
        let mut members = [Member::default(); MOST];
        for (i, member) in (0u8..).zip(&mut members) {
            if facts.names & 1 << i != 0 {
                member.rec = Some(Catalogue::FIRST);
                member.held = facts.stable_holders & 1 << i != 0;
            }
        }
        let (mut acked, mut strict) = (0, 0);
        for (write, given) in scenario.given.iter().enumerate() {
            acked |= 1 << write;
            strict |= u8::from(given.strict) << write;
            for (i, member) in members.iter_mut().enumerate() {
                if given.on & 1 << i != 0 {
                    member.has |= 1 << write;
                    member.disk |= 1 << write;
                }
            }
            if let Some((keeper, target)) = given.hint {
                members[usize::from(keeper)].owes[usize::from(target)] |= 1 << write;
            }
        }
        Self {
            register: Catalogue::FIRST,
            written: vec![Catalogue::FIRST],
            members,
            requests: Vec::new(),
            acked,
            strict,
            reaped: 0,
            proposals: scenario.proposals,
            crashes: scenario.crashes,
            let_go_early: false,
            twins: model.catalogue.twins(),
        }
    }

    /// A member.
    pub fn member(&self, i: u8) -> &Member {
        &self.members[usize::from(i)]
    }

    /// A member, to change it.
    pub fn member_mut(&mut self, i: u8) -> &mut Member {
        &mut self.members[usize::from(i)]
    }

    /// The bit of the write that a request makes.
    pub fn bit(model: &Model, request: usize) -> Writes {
        1 << (model.scenario.given.len() + request)
    }

    /// The same with two members exchanged.
    fn exchanged(&self, a: u8, b: u8) -> Self {
        let turn = |set: Members| {
            let (bit_a, bit_b) = (set >> a & 1, set >> b & 1);
            set & !(1 << a | 1 << b) | bit_a << b | bit_b << a
        };
        let mut other = self.clone();
        other.members.swap(usize::from(a), usize::from(b));
        for member in &mut other.members {
            member.owes.swap(usize::from(a), usize::from(b));
            member.compared = turn(member.compared);
            member.shown = turn(member.shown);
        }
        for request in &mut other.requests {
            request.by = if request.by == a {
                b
            } else if request.by == b {
                a
            } else {
                request.by
            };
            request.stored = turn(request.stored);
            request.answered = turn(request.answered);
        }
        other
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        self.register.hash(hasher);
        self.written.hash(hasher);
        self.members.hash(hasher);
        self.requests.hash(hasher);
        [self.acked, self.strict, self.reaped, self.proposals, self.crashes, self.let_go_early.into()]
            .hash(hasher);
    }

    /// A number by which states are told apart, the same for two that differ only in which twin is which.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// States that differ only in which twin is which are alike in all that can follow, so they count as one: the checker tells
/// states apart by this hash.
impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self.twins.map(|(a, b)| self.exchanged(a, b)).filter(|other| other < self) {
            Some(other) => other.feed(hasher),
            None => self.feed(hasher),
        }
    }
}
