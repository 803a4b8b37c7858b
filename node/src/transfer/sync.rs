//! When a partition that a target gives to this node counts as synced: the pure machine of one partition.
//!
//! First it is pulled from one of the partition's holders in S. That makes a copy, not a proof: the holder may itself
//! have missed writes. So then it is compared with every holder in S that is not lost, and whatever a holder has is
//! fetched. A write of S was acknowledged by W of N holders; compared with N - W + 1 of them, the copy has every such
//! write. Holders that are down are waited for only up to that number.
//!
//! Comparing begins when every member has acknowledged the target. Before that, somebody may still begin a write that
//! meets its quorum in S alone, behind a comparison that is over.

use std::collections::BTreeSet;

use dynamo_ring::{Fate, NodeId, Partition, Quorum, Record};

/// One partition on its way to being synced, for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSync {
    quorum: Quorum,
    sources: Vec<NodeId>,
    pulled: bool,
    compared: BTreeSet<NodeId>,
    /// Those that failed in this pass; each is tried once a pass.
    failed: BTreeSet<NodeId>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Pull what is missing from this holder.
    Pull(NodeId),
    /// Compare with this holder, and fetch what differs.
    Compare(NodeId),
    /// Nothing just now: begin a new pass a little later.
    Wait,
    /// Record durably that it is synced.
    Synced,
}

impl PartitionSync {
    /// A partition of which `pulled` says whether the pull was done before.
    pub fn new(record: &Record, partition: Partition, pulled: bool) -> Self {
        Self {
            quorum: record.quorum(),
            sources: sources(record, partition),
            pulled,
            compared: BTreeSet::new(),
            failed: BTreeSet::new(),
        }
    }

    /// Begins a pass: those that failed are tried again, and those that were lost since are left out.
    pub fn begin_pass(&mut self, record: &Record, partition: Partition) {
        self.sources = sources(record, partition);
        self.failed.clear();
    }

    /// What to do next. `up`: whether a holder can be asked; `cost`: how busy it is; `everyone_acked`: every member has
    /// acknowledged the target.
    pub fn next(
        &self,
        up: impl Fn(&NodeId) -> bool,
        cost: impl Fn(&NodeId) -> u64,
        everyone_acked: bool,
    ) -> Next {
        let usable = |node: &&NodeId| up(node) && !self.failed.contains(node);
        if !self.pulled {
            // Of those that are as busy as each other, the token's owner, who differs from partition to partition.
            let least = self.sources.iter().filter(usable).min_by_key(|node| cost(node));
            return least.map_or(Next::Wait, |node| Next::Pull(*node));
        }
        if !everyone_acked || self.sources.is_empty() {
            return Next::Wait;
        }
        let left = || self.sources.iter().filter(|node| !self.compared.contains(node));
        if let Some(node) = left().find(usable) {
            return Next::Compare(*node);
        }
        let compared = self.sources.len() - left().count();
        if left().any(&up) || compared < self.needed() {
            return Next::Wait;
        }
        Next::Synced
    }

    /// Who else could be pulled from, in this pass, if not this holder.
    pub fn others(&self, than: NodeId, up: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
        let other = |node: &&NodeId| **node != than && up(node) && !self.failed.contains(node);
        self.sources.iter().filter(other).copied().collect()
    }

    /// The pull is done.
    pub fn pulled(&mut self) {
        self.pulled = true;
    }

    /// Compared with this holder; all that it had is on disk here.
    pub fn compared(&mut self, node: NodeId) {
        self.compared.insert(node);
    }

    /// This holder failed at what was asked of it.
    pub fn failed(&mut self, node: NodeId) {
        self.failed.insert(node);
    }

    /// How many holders at least have to be compared with.
    fn needed(&self) -> usize {
        let meets_every_write = usize::from(self.quorum.n.saturating_sub(self.quorum.w)) + 1;
        meets_every_write.min(self.sources.len()).max(1)
    }
}

/// The holders in S that are not lost, the token's owner first.
fn sources(record: &Record, partition: Partition) -> Vec<NodeId> {
    let ids = record.stable().holders(partition).map(|member| member.node_id);
    ids.filter(|node| record.fate(node) != Some(Fate::Lost)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::state::tests::{fresh, member_id, members};

    const P: Partition = Partition(3);

    fn idle(_: &NodeId) -> u64 {
        0
    }

    fn machine() -> (Record, PartitionSync, Vec<NodeId>) {
        let record = fresh(3).propose(&members(0..4)).unwrap();
        let sources = sources(&record, P);
        (record.clone(), PartitionSync::new(&record, P, false), sources)
    }

    #[test]
    fn it_is_pulled_from_one_and_compared_with_all() {
        let (_, mut machine, sources) = machine();
        let up = |_: &NodeId| true;
        assert_eq!(machine.next(up, idle, false), Next::Pull(sources[0]));
        machine.pulled();
        assert_eq!(machine.next(up, idle, false), Next::Wait, "somebody may still write to S alone");
        for node in &sources {
            assert_eq!(machine.next(up, idle, true), Next::Compare(*node));
            machine.compared(*node);
        }
        assert_eq!(machine.next(up, idle, true), Next::Synced);
    }

    #[test]
    fn a_pull_that_failed_goes_on_with_another_holder() {
        let (record, mut machine, sources) = machine();
        machine.failed(sources[0]);
        assert_eq!(machine.next(|_| true, idle, true), Next::Pull(sources[1]));
        assert_eq!(machine.next(|node| *node == sources[2], idle, true), Next::Pull(sources[2]));
        machine.failed(sources[1]);
        machine.failed(sources[2]);
        assert_eq!(machine.next(|_| true, idle, true), Next::Wait);
        machine.begin_pass(&record, P);
        assert_eq!(machine.next(|_| true, idle, true), Next::Pull(sources[0]));
    }

    #[test]
    fn it_is_pulled_from_the_least_busy_and_the_others_are_known() {
        let (_, mut machine, sources) = machine();
        let up = |_: &NodeId| true;
        let busy = |node: &NodeId| u64::from(*node != sources[2]);
        assert_eq!(machine.next(up, busy, false), Next::Pull(sources[2]));
        assert_eq!(machine.next(|node| *node != sources[2], busy, false), Next::Pull(sources[0]));
        assert_eq!(machine.others(sources[2], up), [sources[0], sources[1]]);
        machine.failed(sources[0]);
        assert_eq!(machine.others(sources[2], up), [sources[1]]);
        assert!(machine.others(sources[2], |_| false).is_empty());
    }

    #[test]
    fn a_down_holder_is_waited_for_until_every_acknowledged_write_must_have_been_met() {
        let (_, mut machine, sources) = machine();
        machine.pulled();
        // N = 3, W = 2: two of the three holders meet every write.
        machine.compared(sources[0]);
        assert_eq!(machine.next(|_| false, idle, true), Next::Wait);
        machine.compared(sources[2]);
        assert_eq!(machine.next(|_| false, idle, true), Next::Synced, "the third is down");
        assert_eq!(machine.next(|_| true, idle, true), Next::Compare(sources[1]), "the third is up");
        machine.failed(sources[1]);
        assert_eq!(machine.next(|_| true, idle, true), Next::Wait, "up, and failed once: it is tried again");
    }

    #[test]
    fn a_lost_holder_is_left_out() {
        let (record, mut machine, sources) = machine();
        machine.pulled();
        machine.compared(sources[0]);
        let record = record.lost(&sources[1]).unwrap().lost(&sources[2]).unwrap();
        machine.begin_pass(&record, P);
        assert_eq!(
            machine.next(|_| true, idle, true),
            Next::Synced,
            "one copy lives, and it was compared with"
        );
        let record = record.lost(&sources[0]).unwrap();
        machine.begin_pass(&record, P);
        assert_eq!(machine.next(|_| true, idle, true), Next::Wait, "no copy lives: nothing pretends");
        assert_ne!(sources[0], member_id(3));
    }
}
