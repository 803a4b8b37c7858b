//! A member as the operator can know it: its record, its promises, and which partitions it holds whole.

use std::collections::BTreeSet;

use dynamo_ring::change::{MemberReport, Synced};
use dynamo_ring::fence::{self, Refusal};
use dynamo_ring::{Layout, LayoutId, NodeId, Partition, Record, Step};

use crate::controller::observed::Answer;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) record: Option<Record>,
    pub(crate) retired: bool,
    /// Partitions of which every acknowledged write is here.
    pub(crate) holds: BTreeSet<Partition>,
    /// It has taken a record that names it: clients may have written here.
    named_once: bool,
    handed_over: Option<LayoutId>,
    /// How fast it may move data.
    pub(crate) bytes_per_second: u64,
}

impl Node {
    pub(crate) fn new(id: NodeId) -> Self {
        Self {
            id,
            record: None,
            retired: false,
            holds: BTreeSet::new(),
            named_once: false,
            handed_over: None,
            bytes_per_second: 0,
        }
    }

    pub(crate) fn serves(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.view().write_layouts().any(|l| l.names(&self.id)))
    }

    pub(crate) fn may_hold_data(&self) -> bool {
        self.named_once && !self.retired
    }

    pub(crate) fn take(&mut self, record: &Record) -> Result<(), Refusal> {
        if self.retired {
            return Ok(());
        }
        fence::may_take(self.record.as_ref(), record, self.id)?;
        if self.record.is_none() && record.stable().names(&self.id) {
            // Only a first layout names a member that was never told of a target: the cluster begins, empty, and
            // whatever is written from now on is here.
            self.holds.extend(record.stable().partitions_of(&self.id));
        }
        self.named_once |= record.layouts().any(|layout| layout.names(&self.id));
        if record.target().is_some() && self.record.as_ref().is_none_or(|mine| mine.id() != record.id()) {
            // Before it acknowledges a target it drops what the stable layout does not give it.
            let replaces = record.target().and_then(|t| t.replaces);
            let kept = |p: &Partition| {
                record.stable().holds(&self.id, *p)
                    || self.record.as_ref().is_some_and(|mine| {
                        Some(mine.id()) == replaces && record.current().holds(&self.id, *p)
                    })
            };
            self.holds.retain(kept);
        }
        self.record = Some(record.clone());
        Ok(())
    }

    pub(crate) fn retire(&mut self, node_id: NodeId) -> bool {
        let named = self.record.as_ref().is_none_or(|r| r.layouts().any(|layout| layout.names(&self.id)));
        if node_id == self.id && !named && self.holds.is_empty() {
            self.retired = true;
        }
        self.retired
    }

    /// Copies what the target gives it from whoever has it, or hands over and drops.
    pub(crate) fn work(&mut self, others: &[Self]) {
        let Some(record) = self.record.clone() else { return };
        if let Some(target) = record.target().filter(|_| record.step() == Step::Proposed) {
            let source =
                |p: Partition| others.iter().any(|o| record.stable().holds(&o.id, p) && o.holds.contains(&p));
            let gains = target.layout.partitions_of(&self.id).filter(|p| source(*p)).collect::<Vec<_>>();
            self.holds.extend(gains);
        }
        if record.step() == Step::Committed {
            let keeps = |p: &Partition| record.stable().holds(&self.id, *p);
            // A partition is dropped only when those that hold it now have it.
            let covered = |p: &Partition| {
                let has =
                    |m: &dynamo_ring::Member| others.iter().any(|o| o.id == m.node_id && o.holds.contains(p));
                record.stable().holders(*p).filter(|m| has(m)).count() >= 2
            };
            self.holds.retain(|p| keeps(p) || !covered(p));
            if self.holds.iter().all(keeps) {
                self.handed_over = Some(record.stable().id());
            }
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        let gains = |target: &Layout, stable: &Layout| -> Vec<Partition> {
            target.partitions_of(&self.id).filter(|p| !stable.holds(&self.id, *p)).collect()
        };
        let synced = self.record.as_ref().and_then(|record| {
            let target = &record.target()?.layout;
            let gains = gains(target, record.stable());
            let done = gains.iter().filter(|p| self.holds.contains(p)).count();
            let count = |n: usize| u32::try_from(n).unwrap();
            Some(Synced { id: target.id(), partitions: count(done), wanted: count(gains.len()) })
        });
        Answer {
            report: MemberReport {
                node_id: self.id,
                acked: self.record.as_ref().map(|record| (record.stamp(), record.id())),
                barred: self.record.iter().flat_map(Record::lost_ids).collect(),
                synced,
                handed_over: self.handed_over,
                retired: self.retired,
                hints: 0,
            },
            cluster_id: self.record.as_ref().map(Record::cluster_id),
            has_record: self.record.is_some(),
            settled: self.record.as_ref().is_some_and(Record::settled),
            has_data: !self.holds.is_empty(),
            progress: None,
            background_bytes_per_second: self.bytes_per_second,
        }
    }
}
