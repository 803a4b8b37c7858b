//! What to do next to bring a change of layout to its end.
//!
//! The driver of a change, whether the operator or a person's command line, repeats: ask every member of the record
//! for a report, call [`next`], do what it says. It keeps nothing between two rounds, so it may stop at any point and
//! another may go on. Two rules hold throughout: a step is written before anyone is told of it, and "could not ask"
//! is never "done".

mod waiting;

use std::collections::{BTreeMap, BTreeSet};

pub use self::waiting::Waiting;
use crate::{Fate, Layout, LayoutId, NodeId, Partition, Record, Stamp, Step};

/// What a member says of itself when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    /// Of the one who answered. A report under another id than was asked for counts as no answer.
    pub node_id: NodeId,
    /// The record it has durably taken and acted on: the requests that it began before have ended.
    pub acked: Option<(Stamp, LayoutId)>,
    /// The lost node ids that it has durably barred: those of [`Record::lost_ids`] in the record it has stored. A loss
    /// does not move the stamp, so it is reported apart.
    pub barred: BTreeSet<NodeId>,
    /// How far it has copied.
    pub synced: Option<Synced>,
    /// The stable layout for which it has handed over and dropped everything that is no longer its own.
    pub handed_over: Option<LayoutId>,
    /// It has written durably that it has retired.
    pub retired: bool,
    /// The hints that it holds, for a person to see; retiring looks at them itself.
    pub hints: u64,
}

/// How many of the partitions that a target gives to a member are proven to have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Synced {
    /// For exactly this target.
    pub id: LayoutId,
    /// Compared, fetched and on disk.
    pub partitions: u32,
    /// All that the target gives it and the stable layout did not. It may count those it had as well, in both.
    pub wanted: u32,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send the record to these: they have answered, and have not acknowledged it.
    Tell(Vec<NodeId>),
    /// Nothing to do but to ask again later.
    Wait(Waiting),
    /// Write this record by compare-and-swap, before anyone is told.
    Write(Box<Record>),
    /// Ask these to retire: a layout once named them, none does any more.
    Retire(Vec<NodeId>),
    /// Settled, and every member knows.
    Done,
}

/// What the members have said, by the node id that was asked; `None` for one that gave no answer.
pub type Reports = BTreeMap<NodeId, Option<MemberReport>>;

/// The next thing to do.
pub fn next(record: &Record, reports: &Reports) -> Next {
    let round = Round::new(record, reports);
    if let Some(gone) = round.newly_retired() {
        // `newly_retired` names nobody that a layout names, which is all that `retired` could refuse.
        if let Ok(next) = record.retired(&gone) {
            return Next::Write(Box::new(next));
        }
    }
    if let Some(untold) = round.untold() {
        return Next::Tell(untold);
    }
    if record.settled() {
        let idle = round.idle();
        if !idle.is_empty() {
            return Next::Retire(idle);
        }
    }
    if let Some(waiting) = round.unreachable().or_else(|| round.unfinished()) {
        return Next::Wait(waiting);
    }
    let written = match record.step() {
        Step::Proposed => record.freeze(),
        Step::Frozen => record.switch(),
        Step::Switched => record.commit(),
        Step::Committed if record.settled() => return Next::Done,
        Step::Committed => record.settle(),
    };
    // Each arm is the transition that its step allows.
    written.map_or(Next::Done, |next| Next::Write(Box::new(next)))
}

/// The node ids to ask: every node that may hold data, those of abandoned targets too.
pub fn to_ask(record: &Record) -> impl Iterator<Item = NodeId> + '_ {
    record.named().iter().filter(|n| n.fate == Fate::Active).map(|n| n.node_id)
}

/// One round of reports, read against the record.
struct Round<'a> {
    record: &'a Record,
    reports: &'a Reports,
    lost: BTreeSet<NodeId>,
    /// The members of S, T and the previous layout, lost ones apart: whose word each step needs.
    needed: BTreeSet<NodeId>,
}

impl<'a> Round<'a> {
    fn new(record: &'a Record, reports: &'a Reports) -> Self {
        let lost: BTreeSet<NodeId> = record.lost_ids().collect();
        let members = record.layouts().flat_map(Layout::members).map(|m| m.node_id);
        let needed = members.filter(|id| !lost.contains(id)).collect();
        Self { record, reports, lost, needed }
    }

    fn report(&self, node_id: &NodeId) -> Option<&'a MemberReport> {
        self.reports.get(node_id)?.as_ref().filter(|report| report.node_id == *node_id)
    }

    /// A lost member is left out only once all others have barred it, so whoever has not counts as not told.
    fn knows_record(&self, report: &MemberReport) -> bool {
        report.acked == Some((self.record.stamp(), self.record.id())) && report.barred.is_superset(&self.lost)
    }

    fn untold_among(&self, ids: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
        ids.filter(|id| self.report(id).is_some_and(|report| !self.knows_record(report))).collect()
    }

    /// Those that answered and are behind; and, while there are any, whoever else an abandoned target named: the
    /// fence stops those, so nothing waits for them.
    fn untold(&self) -> Option<Vec<NodeId>> {
        let mut untold = self.untold_among(self.needed.iter().copied());
        if untold.is_empty() {
            return None;
        }
        untold.extend(self.untold_among(self.outsiders()));
        Some(untold)
    }

    /// Named once and still active, but in no layout.
    fn outsiders(&self) -> impl Iterator<Item = NodeId> + '_ {
        to_ask(self.record).filter(|id| !self.needed.contains(id))
    }

    fn newly_retired(&self) -> Option<NodeId> {
        self.outsiders().find(|id| self.report(id).is_some_and(|report| report.retired))
    }

    fn idle(&self) -> Vec<NodeId> {
        self.outsiders().filter(|id| self.report(id).is_some_and(|report| !report.retired)).collect()
    }

    fn unreachable(&self) -> Option<Waiting> {
        let silent: Vec<_> = self.needed.iter().filter(|id| self.report(id).is_none()).copied().collect();
        (!silent.is_empty()).then_some(Waiting::Unreachable(silent))
    }

    /// What this step asks for besides the acknowledgements.
    fn unfinished(&self) -> Option<Waiting> {
        match (self.record.step(), self.record.target()) {
            (Step::Proposed, Some(target)) => self.unsynced(&target.layout),
            (Step::Committed, _) if !self.record.settled() => self.keeping(),
            _ => None,
        }
    }

    fn unsynced(&self, target: &Layout) -> Option<Waiting> {
        let stable = self.record.stable();
        let ids = target.members().iter().map(|m| m.node_id);
        let unfit: Vec<_> = ids.clone().filter(|id| self.lost.contains(id)).collect();
        if !unfit.is_empty() {
            return Some(Waiting::TargetNamesLost(unfit));
        }
        let no_copy: Vec<Partition> = stable
            .partitions()
            .iter()
            .filter(|&p| stable.holders(p).all(|holder| self.lost.contains(&holder.node_id)))
            .collect();
        if !no_copy.is_empty() {
            return Some(Waiting::NoLivingCopy(no_copy));
        }
        let (mut behind, mut synced, mut wanted) = (Vec::new(), 0, 0);
        for id in ids {
            let gains = target.partitions_of(&id).filter(|&p| !stable.holds(&id, p)).count() as u64;
            let report = self.report(&id).and_then(|r| r.synced).filter(|s| s.id == target.id());
            let (has, wants) = report.map_or((0, 0), |s| (u64::from(s.partitions), u64::from(s.wanted)));
            // A member that has not yet counted what it is to get is not done.
            let wants = wants.max(gains);
            if report.is_none() || has < wants {
                behind.push(id);
            }
            synced += has.min(wants);
            wanted += wants;
        }
        (!behind.is_empty()).then_some(Waiting::Syncing { members: behind, synced, wanted })
    }

    fn keeping(&self) -> Option<Waiting> {
        let done = |id: &&NodeId| {
            self.report(id).is_none_or(|report| report.handed_over != Some(self.record.stable().id()))
        };
        let keeping: Vec<_> = self.needed.iter().filter(done).copied().collect();
        (!keeping.is_empty()).then_some(Waiting::HandingOver(keeping))
    }
}

#[cfg(test)]
mod tests;
