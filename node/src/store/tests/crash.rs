//! Random operations, crashes and full disks: what was told holds, and no dot is ever given twice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::version::Dot;

/// Keys of partitions that this member always holds; nothing may ever take them away.
const KEPT: usize = 3;
/// Those, and others whose partitions come and go.
const KEYS: usize = 6;

/// The n-th key, in the partition of that number.
fn name(key: usize) -> String {
    key_in(u16::try_from(key).unwrap(), 0)
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Put { key: usize, informed: bool, delete: bool, stand_in: bool },
    Copy { key: usize, stand_in: bool },
    Deliver { key: usize },
    Layout { held: u8 },
    Purge { partition: u16 },
    DropHints,
    Reap { key: usize },
    Write,
    Sync,
    Crash { kept: usize },
    Full { full: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flag = any::<bool>;
    let step = prop_oneof![
        12 => (0..KEYS, flag(), flag(), flag())
            .prop_map(|(key, informed, delete, stand_in)| Step::Put { key, informed, delete, stand_in }),
        4 => (0..KEYS, flag()).prop_map(|(key, stand_in)| Step::Copy { key, stand_in }),
        3 => (0..KEYS).prop_map(|key| Step::Deliver { key }),
        2 => any::<u8>().prop_map(|held| Step::Layout { held }),
        2 => (0u16..8).prop_map(|partition| Step::Purge { partition }),
        1 => Just(Step::DropHints),
        1 => (KEPT..KEYS).prop_map(|key| Step::Reap { key }),
        8 => Just(Step::Write),
        6 => Just(Step::Sync),
        2 => (0usize..3).prop_map(|kept| Step::Crash { kept }),
        1 => flag().prop_map(|full| Step::Full { full }),
    ];
    prop::collection::vec(step, 1..80)
}

/// A put that is under way, and what was told of it.
struct Put1 {
    key: usize,
    value: Option<Bytes>,
    ticket: Ticket<Written>,
    applied: Option<State>,
}

/// A simulated member, and what it told.
struct Member {
    store: MemoryStore,
    local: Local,
    committer: Committer,
    pump: Pump,
    actors: u64,
    under_way: Vec<Put1>,
    /// Every dot ever given, in whatever life, with what it was given to.
    dots: BTreeMap<(usize, Dot), Option<Bytes>>,
    /// Of each kept key, all that was told to be on disk.
    told: BTreeMap<usize, State>,
}

fn manual(store: &MemoryStore) -> (Committer, Pump) {
    let limits = QueueLimits { batch: 4, ..QueueLimits::default() };
    Committer::manual(Arc::new(store.clone()), Limits::default(), limits).unwrap()
}

impl Member {
    fn new() -> Self {
        let Bench { store, local, .. } = Bench::new();
        let (committer, pump) = manual(&store);
        let (under_way, dots, told) = Default::default();
        Self { store, local, committer, pump, actors: 1, under_way, dots, told }
    }

    fn state(&self, key: usize) -> Option<State> {
        self.local.state(name(key).as_bytes()).unwrap()
    }

    fn submit<O: Operation>(&self, operation: O) {
        drop(self.committer.submit(operation).unwrap());
    }

    /// Takes in what has been told since.
    fn listen(&mut self) {
        let (dots, told) = (&mut self.dots, &mut self.told);
        self.under_way.retain_mut(|put| {
            if let Ok(answer) = put.ticket.applied.try_recv() {
                let Ok(applied) = answer else { return false };
                let given = dots.insert((put.key, applied.outcome.dot), put.value.clone());
                assert!(given.is_none(), "{} was given twice", applied.outcome.dot);
                put.applied = Some(applied.outcome.state);
            }
            match put.ticket.synced.try_recv() {
                Ok(answer) => {
                    answer.unwrap();
                    let state = put.applied.take().unwrap();
                    let all = told.entry(put.key).or_default();
                    *all = all.merge(&state);
                    false
                }
                Err(_) => true,
            }
        });
    }

    fn crash(&mut self, kept: usize) {
        let synced = self.committer.last_synced();
        self.store.crash_keeping(kept);
        assert!(
            self.local.counters().unwrap().commit >= synced,
            "a batch is gone that was told to be on disk"
        );
        // Nobody was told anything of what is still under way.
        self.under_way.clear();
        self.actors += 1;
        let identity = Identity::read(&self.store).unwrap().unwrap();
        directory::new_actor(&self.store, identity, ActorId(self.actors)).unwrap();
        (self.committer, self.pump) = manual(&self.store);
    }

    fn take(&mut self, step: Step, n: usize) {
        match step {
            Step::Put { key, informed, delete, stand_in } => {
                let seen = self.state(key).filter(|_| informed).unwrap_or_default();
                let value = (!delete).then(|| Bytes::from(n.to_string()));
                let hint = stand_in.then(|| Bench::hint(9, 1));
                let put = Put { value: value.clone(), hint, ..put(&name(key), seen.context(), "") };
                let ticket = self.committer.submit(put).unwrap();
                self.under_way.push(Put1 { key, value, ticket, applied: None });
            }
            Step::Copy { key, stand_in } => {
                // A replica's own write, as it comes in a message of its.
                let mut state = self.state(key).unwrap_or_default();
                let writer = crate::version::testing::dot(99, 1, 1).writer;
                let counter = n as u64 + 1;
                let sibling = crate::version::testing::sibling(Dot { writer, counter }, b"theirs");
                state.put(&VersionVector::new(), sibling);
                let hint = stand_in.then(|| Bench::hint(8, 2));
                let from =
                    Some(PeerMark { node_id: node(3), actor: ActorId(99), commit: counter, synced: 0 });
                self.submit(Merge { key: name(key).into(), state, hint, from });
            }
            Step::Deliver { key } => {
                if let Some(state) = self.state(key) {
                    let delivered = StateHash::of(name(key).as_bytes(), &state.encode());
                    self.submit(RemoveHint { key: data_key(&name(key)), target: node(9), delivered });
                }
            }
            Step::Layout { held } => self.submit(layout((0..8).filter(|p| *p < 3 || held >> p & 1 == 1))),
            Step::Purge { partition } => {
                self.submit(Purge { partition: Partition(partition), after: None, limit: 3 });
            }
            Step::DropHints => self.submit(DropHints { target: None, limit: 2 }),
            Step::Reap { key } => {
                if let Some(state) = self.state(key) {
                    let hash = StateHash::of(name(key).as_bytes(), &state.encode());
                    self.submit(Reap {
                        keys: vec![Listed { position: data_key(&name(key)).position(), hash }],
                    });
                }
            }
            Step::Write => drop(self.pump.write()),
            Step::Sync => self.pump.sync(),
            Step::Crash { kept } => self.crash(kept),
            Step::Full { full } => self.store.set_full(full),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_was_told_to_be_on_disk_is_there_after_any_crash(steps in steps()) {
        let mut member = Member::new();
        for (n, step) in steps.into_iter().enumerate() {
            member.take(step, n);
            member.listen();
            audit(&member.store);
            for (key, told) in member.told.iter().filter(|(key, _)| **key < KEPT) {
                let found = member.state(*key).unwrap_or_default();
                prop_assert!(found.covers(told), "key {} lost what was told of it", key);
            }
        }
        prop_assert!(member.committer.last_synced() <= member.committer.last_commit());
    }
}
