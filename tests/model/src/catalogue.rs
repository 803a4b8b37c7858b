//! Every layout record that a scenario can write, made by the real transitions, and what `ring` says of each.
//!
//! A state of the model names records by number, which keeps it small; whatever is decided about a record is decided by
//! `ring` on the record itself, and remembered here.

mod facts;
mod make;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

use dynamo_ring::change::{self, MemberReport, Next, Reports, Waiting};
use dynamo_ring::fence::{self, SenderStamp, Take, Verdict};
use dynamo_ring::{Layout, NodeId, Partition, Record};

pub use self::facts::{Facts, Lay};
pub use self::make::node_id;
use crate::mutation::Mutation;
use crate::scenario::Scenario;

/// A record, by its number in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rec(pub u16);

/// What [`change::next`] says, with the record by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Write this one.
    Write(Rec),
    /// The target names a lost member: somebody has to propose another one.
    Replace,
    /// Nothing is to be written now.
    Nothing,
}

/// What one member reports, in the catalogue's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Report {
    /// The record that it has acknowledged.
    pub acked: Option<u16>,
    /// The record that it goes by: whom it has barred.
    pub has: Option<u16>,
    /// The layout of its last report of having synced.
    pub synced: Option<u8>,
    /// It has not said that it has all.
    pub behind: bool,
    /// The layout for which it has handed over.
    pub handed_over: Option<u8>,
}

/// What an operator goes by: its view, and what each member reported.
type Asked = (Rec, Vec<Option<Report>>);

/// Every record of a scenario.
#[derive(Debug)]
pub struct Catalogue {
    records: Vec<Record>,
    facts: Vec<Facts>,
    layouts: Vec<Layout>,
    partition: Partition,
    mutation: Mutation,
    /// By record and target set.
    proposals: Vec<Vec<Option<Rec>>>,
    /// By record and member.
    losses: Vec<Vec<Option<Rec>>>,
    advances: Vec<Option<Rec>>,
    /// The record that a frozen or switched one was before anybody promised.
    unpromised: Vec<Option<Rec>>,
    members: u8,
    twins: Option<(u8, u8)>,
    judged: Vec<AtomicU8>,
    takes: Vec<AtomicU8>,
    decided: RwLock<HashMap<Asked, Decision>>,
}

impl Catalogue {
    /// All that the scenario can write.
    pub fn of(scenario: &Scenario, mutation: Mutation) -> Self {
        make::make(scenario, mutation)
    }

    /// The first record.
    pub const FIRST: Rec = Rec(0);

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record itself.
    pub fn record(&self, rec: Rec) -> &Record {
        &self.records[usize::from(rec.0)]
    }

    /// What it means for the partition that is looked at.
    pub fn facts(&self, rec: Rec) -> &Facts {
        &self.facts[usize::from(rec.0)]
    }

    /// A layout.
    pub fn layout(&self, lay: Lay) -> &Layout {
        &self.layouts[usize::from(lay.0)]
    }

    /// The partition that is looked at.
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    /// Two members that every record treats alike.
    pub const fn twins(&self) -> Option<(u8, u8)> {
        self.twins
    }

    /// What proposing a target set from this record leads to: the real [`Record::propose`].
    pub fn propose(&self, rec: Rec, set: u8) -> Option<Rec> {
        let from = match self.mutation {
            Mutation::NoFreeze => self.unpromised[usize::from(rec.0)].unwrap_or(rec),
            _ => rec,
        };
        self.proposals[usize::from(from.0)][usize::from(set)]
    }

    /// The record with this member lost: the real [`Record::lost`].
    pub fn lost(&self, rec: Rec, member: u8) -> Option<Rec> {
        self.losses[usize::from(rec.0)][usize::from(member)]
    }

    /// Whether `mine` serves a request that carries the stamp of `sender`: the real [`fence::judge`].
    pub fn serves(&self, mine: Rec, sender: Rec) -> bool {
        let at = usize::from(mine.0) * self.records.len() + usize::from(sender.0);
        remember(&self.judged[at], || {
            let verdict = fence::judge(self.record(mine), SenderStamp::of(self.record(sender)));
            let older = self.record(sender).stamp() < self.record(mine).stamp();
            u8::from(verdict == Verdict::Accept && !(older && self.mutation == Mutation::ExactFenceNoWait))
        }) == 1
    }

    /// Whether a member with `mine` takes `offered`, as one that it has not: the real [`fence::may_take`].
    pub fn takes(&self, mine: Option<Rec>, offered: Rec, me: u8) -> bool {
        let row = mine.map_or(self.records.len(), |mine| usize::from(mine.0));
        let at =
            (row * self.records.len() + usize::from(offered.0)) * usize::from(self.members) + usize::from(me);
        let mine = match (mine, self.mutation) {
            (Some(mine), Mutation::NoFreeze) => Some(self.unpromised[usize::from(mine.0)].unwrap_or(mine)),
            _ => mine,
        };
        remember(&self.takes[at], || {
            let mine = mine.map(|mine| self.record(mine));
            u8::from(fence::may_take(mine, self.record(offered), node_id(me)) == Ok(Take::New))
        }) == 1
    }

    /// What an operator does with these reports, one for each member: the real [`change::next`].
    pub fn next(&self, rec: Rec, reports: &[Option<Report>]) -> Decision {
        let key = (rec, reports.to_vec());
        if let Some(known) = self.decided.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *known;
        }
        let decision = self.decide(rec, reports);
        self.decided.write().unwrap_or_else(PoisonError::into_inner).insert(key, decision);
        decision
    }

    fn decide(&self, rec: Rec, reports: &[Option<Report>]) -> Decision {
        let record = self.record(rec);
        let reports: Reports = (0..)
            .zip(reports)
            .map(|(member, report)| {
                (node_id(member), report.map(|report| self.report(record, member, report)))
            })
            .collect();
        match change::next(record, &reports) {
            Next::Write(_) => {
                let next = self.advances[usize::from(rec.0)];
                let next = match (self.mutation, record.step()) {
                    (Mutation::NoFreeze, dynamo_ring::Step::Proposed)
                    | (Mutation::NoSwitch, dynamo_ring::Step::Frozen) => {
                        next.and_then(|next| self.advances[usize::from(next.0)])
                    }
                    _ => next,
                };
                next.map_or(Decision::Nothing, Decision::Write)
            }
            Next::Wait(Waiting::TargetNamesLost(_)) => Decision::Replace,
            Next::Wait(_) | Next::Tell(_) | Next::Retire(_) | Next::Done => Decision::Nothing,
        }
    }

    fn report(&self, record: &Record, member: u8, report: Report) -> MemberReport {
        let id = node_id(member);
        let acked = report.acked.map(|rec| self.record(Rec(rec)));
        let has = report.has.map(|rec| self.record(Rec(rec)));
        let gains = record.target().map_or(0, |target| gains(record, &target.layout, id));
        let synced = report.synced.map(|lay| self.layout(Lay(lay)).id());
        let synced = match (self.mutation, record.target()) {
            (Mutation::AnyReport, Some(target)) => synced.map(|_| target.layout.id()),
            _ => synced,
        };
        MemberReport {
            node_id: id,
            acked: acked.map(|record| (record.stamp(), record.id())),
            barred: has.into_iter().flat_map(Record::lost_ids).collect(),
            synced: synced.map(|id| change::Synced {
                id,
                partitions: gains.saturating_sub(u32::from(report.behind)),
                wanted: gains,
            }),
            handed_over: report.handed_over.map(|lay| self.layout(Lay(lay)).id()),
            retired: false,
            hints: 0,
        }
    }
}

/// How many partitions the target gives to a member that the stable layout did not.
fn gains(record: &Record, target: &Layout, id: NodeId) -> u32 {
    let gains = target.partitions_of(&id).filter(|p| !record.stable().holds(&id, *p)).count();
    u32::try_from(gains).unwrap_or(u32::MAX)
}

/// A cell that holds 0 until `work` was done once, and its result plus one from then on.
fn remember(cell: &AtomicU8, work: impl FnOnce() -> u8) -> u8 {
    match cell.load(Ordering::Relaxed) {
        0 => {
            let result = work();
            cell.store(result + 1, Ordering::Relaxed);
            result
        }
        known => known - 1,
    }
}
