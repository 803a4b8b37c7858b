//! Makes the catalogue: from the first record, every transition that the scenario allows, until nothing is new.

use std::collections::{BTreeMap, HashMap};
use std::sync::RwLock;

use dynamo_ring::{ClusterId, LayoutId, Member, NodeId, Partition, Partitions, Quorum, Record, Step, plan};

use super::{Catalogue, Facts, Lay, Rec};
use crate::mutation::Mutation;
use crate::scenario::{Members, Scenario};

/// The node id of a member.
pub const fn node_id(member: u8) -> NodeId {
    NodeId([member + 1; 16])
}

fn member(i: u8) -> Member {
    Member {
        name: format!("m-{i}"),
        node_id: node_id(i),
        zone: String::new(),
        address: String::new(),
        weight: 1,
    }
}

fn members(set: Members) -> Vec<Member> {
    (0..Members::BITS)
        .filter(|i| set & 1 << i != 0)
        .filter_map(|i| u8::try_from(i).ok())
        .map(member)
        .collect()
}

/// The smallest ring that there is.
const Q: u32 = 8;
/// More records than this and the scenario is too wide.
const MOST_RECORDS: usize = 4096;

#[derive(Default)]
struct Making {
    records: Vec<Record>,
    numbers: BTreeMap<String, Rec>,
    proposals: Vec<Vec<Option<Rec>>>,
    losses: Vec<Vec<Option<Rec>>>,
    advances: Vec<Option<Rec>>,
}

impl Making {
    fn number(&mut self, record: Record) -> Rec {
        let next = Rec(u16::try_from(self.records.len()).unwrap_or(u16::MAX));
        let rec = *self.numbers.entry(record.to_json()).or_insert(next);
        if rec == next {
            self.records.push(record);
        }
        rec
    }

    fn grow(&mut self, scenario: &Scenario, at: usize) {
        let record = self.records[at].clone();
        // One target more than may be proposed, so that a quiet run can replace one that names a lost member.
        let last = 2 + u64::from(scenario.proposals);
        let propose = |set: &Members| {
            (record.highest_epoch() < last).then(|| record.propose(&members(*set)).ok()).flatten()
        };
        let proposed: Vec<_> = scenario.targets.iter().map(propose).collect();
        let proposed = proposed.into_iter().map(|next| next.map(|next| self.number(next))).collect();
        self.proposals.push(proposed);
        let lose = |m: u8| scenario.losses & 1 << m != 0 && record.lost_ids().next().is_none();
        let lost: Vec<_> = (0..scenario.members())
            .map(|m| lose(m).then(|| record.lost(&node_id(m)).ok()).flatten())
            .collect();
        let lost = lost.into_iter().map(|next| next.map(|next| self.number(next))).collect();
        self.losses.push(lost);
        let advanced = match record.step() {
            Step::Proposed => record.freeze().ok(),
            Step::Frozen => record.switch().ok(),
            Step::Switched => record.commit().ok(),
            Step::Committed => record.previous().and_then(|_| record.settle().ok()),
        };
        let advanced = advanced.map(|next| self.number(next));
        self.advances.push(advanced);
    }
}

pub(super) fn make(scenario: &Scenario, mutation: Mutation) -> Catalogue {
    let mut making = Making::default();
    let (first, partition) = first(scenario);
    making.number(first);
    let mut at = 0;
    while at < making.records.len() {
        making.grow(scenario, at);
        assert!(
            making.records.len() <= MOST_RECORDS,
            "{}: more records than can be looked at",
            scenario.name
        );
        at += 1;
    }
    let Making { records, proposals, losses, advances, .. } = making;
    let mut layouts = BTreeMap::new();
    for layout in records.iter().flat_map(Record::layouts) {
        layouts.entry(layout.id()).or_insert_with(|| layout.clone());
    }
    let ids: Vec<LayoutId> = layouts.keys().copied().collect();
    let lay =
        |id: LayoutId| Lay(u8::try_from(ids.binary_search(&id).unwrap_or(usize::MAX)).unwrap_or(u8::MAX));
    let facts: Vec<_> =
        records.iter().map(|record| Facts::of(record, partition, scenario.members(), lay)).collect();
    let count = records.len();
    let cells = |n: usize| std::iter::repeat_with(Default::default).take(n).collect();
    Catalogue {
        unpromised: unpromised(&records, &advances),
        twins: twins(scenario, &facts),
        judged: cells(count * count),
        takes: cells((count + 1) * count * usize::from(scenario.members())),
        decided: RwLock::new(HashMap::new()),
        layouts: layouts.into_values().collect(),
        members: scenario.members(),
        records,
        facts,
        partition,
        mutation,
        proposals,
        losses,
        advances,
    }
}

/// The first record, and the partition that the scenario looks at.
fn first(scenario: &Scenario) -> (Record, Partition) {
    let (n, r, w) = scenario.quorum;
    let planned = Partitions::new(Q)
        .ok()
        .and_then(|q| plan::first(&members(scenario.stable), q, n, ClusterId([7; 16])).ok())
        .and_then(|layout| Record::first(layout, Quorum { n, r, w }).ok());
    let Some(record) = planned else { unreachable!("{}: its first layout cannot be made", scenario.name) };
    let targets: Vec<_> = scenario
        .targets
        .iter()
        .map(|set| plan::plan(record.stable(), &members(*set), 2).unwrap_or_else(|_| record.stable().clone()))
        .collect();
    let rows = |p: Partition| -> Vec<Members> {
        let holders = |layout: &dynamo_ring::Layout| {
            (0..scenario.members()).filter(|m| layout.holds(&node_id(*m), p)).fold(0, |set, m| set | 1 << m)
        };
        std::iter::once(record.stable()).chain(&targets).map(holders).collect()
    };
    let fits = record.stable().partitions().iter().find(|p| (scenario.partition)(&rows(*p)));
    let Some(partition) = fits else {
        let all: Vec<_> = record.stable().partitions().iter().map(rows).collect();
        unreachable!("{}: no partition is placed as asked for, among {all:?}", scenario.name)
    };
    (record, partition)
}

/// For each record from the freeze to the commit, the one from before the freeze.
fn unpromised(records: &[Record], advances: &[Option<Rec>]) -> Vec<Option<Rec>> {
    let mut before = vec![None; records.len()];
    for (at, record) in records.iter().enumerate().filter(|(_, record)| record.step() == Step::Proposed) {
        let proposed = Rec(u16::try_from(at).unwrap_or(u16::MAX));
        debug_assert!(record.target().is_some());
        let frozen = advances[at];
        let switched = frozen.and_then(|frozen| advances[usize::from(frozen.0)]);
        for rec in frozen.into_iter().chain(switched) {
            before[usize::from(rec.0)] = Some(proposed);
        }
    }
    before
}

/// Two members that no record and nothing in the scenario tells apart.
fn twins(scenario: &Scenario, facts: &[Facts]) -> Option<(u8, u8)> {
    let alike = |a: u8, b: u8| {
        let same = |set: Members| (set >> a & 1) == (set >> b & 1);
        same(scenario.writers)
            && same(scenario.losses)
            && facts.iter().all(|f| {
                let sets = [
                    f.read,
                    f.stable_holders,
                    f.target_holders,
                    f.in_stable,
                    f.serve,
                    f.in_previous,
                    f.names,
                ];
                sets.into_iter().chain(f.write.iter().copied()).chain([f.lost]).all(same)
            })
    };
    let pairs = (0..scenario.members()).flat_map(|a| (a + 1..scenario.members()).map(move |b| (a, b)));
    pairs.into_iter().find(|(a, b)| alike(*a, *b))
}
