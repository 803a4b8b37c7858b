//! A store in a few lines that keeps what is promised, makes a history from a seed, and breaks one promise if it is told to.

use std::collections::{BTreeMap, BTreeSet};

use dynamo_checker::{End, History, Op, OpId, Outcome, Request, Terms, Value};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::state::{Dot, State};

const N: usize = 3;
const KEYS: u32 = 2;
const REQUESTS: usize = 80;

/// A promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A replica that takes a state drops one of several siblings.
    DropSibling,
    /// An acknowledged write is stored nowhere.
    ForgetWrite,
    /// A read returns what was replaced beside what stands.
    ReturnCovered,
    /// What was replaced stands again on a replica that forgot that it was.
    Resurrect,
    /// A strict write is acknowledged with one durable copy fewer.
    ShortWrite,
    /// A strict read asks one member fewer.
    ShortRead,
}

/// Nothing is broken without one.
pub(crate) struct Store {
    rng: StdRng,
    mutant: Option<Mutant>,
    history: History,
    replicas: BTreeMap<(u32, usize), State>,
    /// Hints, and copies that are late.
    owed: Vec<(u32, usize, State)>,
    /// The value of each version; none of a tombstone.
    versions: Vec<Option<Value>>,
    /// Contexts that clients were given, by key.
    contexts: BTreeMap<u32, Vec<(OpId, BTreeSet<Dot>)>>,
}

/// The history of a seed.
pub(crate) fn run(seed: u64, mutant: Option<Mutant>) -> History {
    let mut store = Store {
        rng: StdRng::seed_from_u64(seed),
        mutant,
        history: History { n: 3, ..History::default() },
        replicas: BTreeMap::new(),
        owed: Vec::new(),
        versions: Vec::new(),
        contexts: BTreeMap::new(),
    };
    for _ in 0..REQUESTS {
        store.background();
        store.request();
    }
    store.heal();
    store.history
}

impl Store {
    fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n.max(1))
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Now and then, about twice in a history: one that lies all the time would be found by any rule.
    fn breaks(&mut self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant) && self.one_in(20)
    }

    /// Members in an order of chance.
    fn order(&mut self) -> Vec<usize> {
        let mut members: Vec<usize> = (0..N).collect();
        for at in (1..N).rev() {
            let with = self.below(at + 1);
            members.swap(at, with);
        }
        members
    }

    fn replica(&mut self, key: u32, member: usize) -> &mut State {
        self.replicas.entry((key, member)).or_default()
    }

    fn store(&mut self, key: u32, member: usize, state: &State) {
        let drops = self.breaks(Mutant::DropSibling);
        let replica = self.replica(key, member);
        replica.merge(state);
        if drops && replica.standing.len() > 1 {
            replica.standing.pop_first();
        }
    }

    /// A hint arrives, or two replicas compare, or a key whose deletes have reached everybody goes.
    fn background(&mut self) {
        let key = u32::try_from(self.below(KEYS as usize)).unwrap_or(0);
        match self.below(4) {
            0 if !self.owed.is_empty() => {
                let at = self.below(self.owed.len());
                let (key, member, state) = self.owed.swap_remove(at);
                self.store(key, member, &state);
            }
            1 => {
                let (a, b) = (self.below(N), self.below(N));
                let other = self.replica(key, a).clone();
                self.store(key, b, &other);
            }
            2 => self.reap(key),
            _ => {}
        }
        if self.breaks(Mutant::Resurrect) {
            let member = self.below(N);
            let covered = self.replica(key, member).covered();
            if covered.is_empty() {
                return;
            }
            let back = covered[self.below(covered.len())];
            for member in 0..N {
                self.replica(key, member).seen.remove(&back);
            }
            let replica = self.replica(key, member);
            replica.seen.insert(back);
            replica.standing.insert(back);
        }
    }

    fn reap(&mut self, key: u32) {
        let first = self.replica(key, 0).clone();
        let alike = (1..N).all(|member| *self.replica(key, member) == first);
        let gone = first.standing.iter().all(|dot| self.versions[*dot].is_none());
        if alike && gone && self.owed.iter().all(|(owed, ..)| *owed != key) {
            for member in 0..N {
                *self.replica(key, member) = State::default();
            }
        }
    }

    fn request(&mut self) {
        let key = u32::try_from(self.below(KEYS as usize)).unwrap_or(0);
        let quorum = if self.one_in(3) { 1 + self.below(N) } else { 2 };
        let (strict, kind) = (self.one_in(2), self.below(10));
        let partial = kind < 4 && self.one_in(5);
        let terms = Terms { strict, quorum: u32::try_from(quorum).unwrap_or(0), partial };
        match kind {
            0..=3 => self.get(key, terms),
            4..=7 => {
                let value = self.versions.len() as Value + 1;
                self.write(key, terms, Some(value));
            }
            _ => self.write(key, terms, None),
        }
    }

    /// A request that takes effect when it begins, and is answered some time later: others begin meanwhile.
    fn begin(&mut self, key: u32, request: Request, terms: Terms) -> OpId {
        let id = self.history.ops.len();
        self.history.ops.push(Op::begun(key, request, terms, 100 * id as u64));
        id
    }

    fn end(&mut self, id: OpId, outcome: Outcome, answered: usize) {
        let later = self.below(250) as u64;
        let op = &mut self.history.ops[id];
        (op.ended, op.outcome) = (op.begun + later, outcome);
        op.answered = u32::try_from(answered).unwrap_or(0);
    }

    fn get(&mut self, key: u32, terms: Terms) {
        let id = self.begin(key, Request::Get, terms);
        if self.one_in(10) {
            return;
        }
        let quorum = terms.quorum as usize;
        let answered = if terms.partial { self.below(quorum + 1) } else { quorum };
        let short = terms.strict && self.breaks(Mutant::ShortRead);
        let mut found = State::default();
        for member in self.order().into_iter().take(answered - usize::from(short && answered > 0)) {
            // Someone who stands in knows nothing.
            if terms.strict || !self.one_in(3) {
                let state = self.replica(key, member).clone();
                found.merge(&state);
            }
        }
        let mut values: BTreeSet<Value> =
            found.standing.iter().filter_map(|dot| self.versions[*dot]).collect();
        if self.breaks(Mutant::ReturnCovered) {
            values.extend(found.covered().iter().filter_map(|dot| self.versions[*dot]).take(1));
        }
        self.contexts.entry(key).or_default().push((id, found.seen));
        self.end(id, Outcome::Read(values), answered);
    }

    /// A put, or a delete if there is no value.
    fn write(&mut self, key: u32, terms: Terms, value: Option<Value>) {
        let known = self.contexts.get(&key).map_or(0, Vec::len);
        // Mostly one of the last, sometimes an old one, or none.
        let at = known.checked_sub(1 + self.below(4)).filter(|_| known > 0);
        let given = at.filter(|_| self.rng.random_range(0..5) > 0).map(|at| self.contexts[&key][at].clone());
        let (seen, context) = given.map_or((None, BTreeSet::new()), |(id, context)| (Some(id), context));
        let request = match value {
            Some(value) => Request::Put { value, seen },
            None => Request::Delete { seen },
        };
        let id = self.begin(key, request, terms);
        let (refused, unknown, twice) = (self.one_in(20), self.one_in(6), self.one_in(8));
        if refused {
            return self.end(id, Outcome::Refused, 0);
        }
        if twice {
            // By another coordinator that reaches nobody else for now.
            let member = self.below(N);
            self.make(key, member, value, &context);
            self.history.ops[id].repeated = true;
        }
        if !unknown && self.breaks(Mutant::ForgetWrite) {
            self.versions.push(value);
            return self.end(id, Outcome::Acknowledged, terms.quorum as usize);
        }
        let order = self.order();
        let (dot, state) = self.make(key, order[0], value, &context);
        let quorum = terms.quorum as usize;
        let mut durable = if unknown { self.below(N + 1) } else { quorum };
        if terms.strict && self.breaks(Mutant::ShortWrite) {
            durable = durable.saturating_sub(1);
        }
        for (place, member) in order.into_iter().enumerate().skip(1) {
            // Instead of a member a stand-in may have it, with a hint.
            let stands_in = !terms.strict && self.one_in(3);
            if place < durable && !stands_in {
                self.store(key, member, &state);
            } else {
                self.owed.push((key, member, state.clone()));
            }
        }
        if unknown {
            return;
        }
        if state.standing == BTreeSet::from([dot]) {
            self.contexts.entry(key).or_default().push((id, state.seen));
        }
        self.end(id, Outcome::Acknowledged, quorum);
    }

    /// A version, at its coordinator.
    fn make(
        &mut self,
        key: u32,
        member: usize,
        value: Option<Value>,
        context: &BTreeSet<Dot>,
    ) -> (Dot, State) {
        let dot = self.versions.len();
        self.versions.push(value);
        let replica = self.replica(key, member);
        replica.write(dot, context);
        (dot, replica.clone())
    }

    /// Everything owed arrives, and all replicas compare.
    fn heal(&mut self) {
        for (key, member, state) in std::mem::take(&mut self.owed) {
            self.store(key, member, &state);
        }
        let mut end = End::default();
        for key in 0..KEYS {
            let mut all = State::default();
            for member in 0..N {
                let state = self.replica(key, member).clone();
                all.merge(&state);
            }
            let values = all.standing.iter().filter_map(|dot| self.versions[*dot]).collect();
            end.values.insert(key, values);
        }
        self.history.end = Some(end);
    }
}
