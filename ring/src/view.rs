//! What a record means for a request.

use crate::{Layout, Member, NodeId, Partition, Record, Step};

/// A record, read as the rules of the requests: which layout a read uses, which ones a write has to satisfy.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    record: &'a Record,
}

impl Record {
    /// What this record means for a request.
    pub const fn view(&self) -> View<'_> {
        View { record: self }
    }
}

impl<'a> View<'a> {
    /// The record behind it.
    pub const fn record(&self) -> &'a Record {
        self.record
    }

    /// Where reads find their quorum: S, and from the switch on T. It is complete at every step.
    pub fn read_layout(&self) -> &'a Layout {
        match (self.record.step(), self.record.target()) {
            (Step::Switched, Some(target)) => &target.layout,
            _ => self.record.stable(),
        }
    }

    /// The layouts in each of which a write has to meet its quorum: S, and while there is a target T too.
    pub fn write_layouts(&self) -> impl DoubleEndedIterator<Item = &'a Layout> + Clone + use<'a> {
        let target = self.record.target().map(|t| &t.layout);
        std::iter::once(self.record.stable()).chain(target)
    }

    /// Whether S or T gives `partition` to `node_id`.
    pub fn holds(&self, node_id: &NodeId, partition: Partition) -> bool {
        self.write_layouts().any(|layout| layout.holds(node_id, partition))
    }

    /// The holders of `partition`: those of S in order, then those that only T has.
    pub fn holders(&self, partition: Partition) -> impl Iterator<Item = &'a Member> + Clone + use<'a> {
        let stable = self.record.stable();
        let target = self.record.target().map(|t| &t.layout);
        let added = target
            .into_iter()
            .flat_map(move |layout| layout.holders(partition))
            .filter(move |member| !stable.holds(&member.node_id, partition));
        stable.holders(partition).chain(added)
    }

    /// Whether S, T or the previous layout names `node_id`: calls from others are refused.
    pub fn names(&self, node_id: &NodeId) -> bool {
        self.record.layouts().any(|layout| layout.names(node_id))
    }

    /// The member of this node id, as the newest layout that names it has it.
    pub fn member(&self, node_id: &NodeId) -> Option<&'a Member> {
        self.newest_first().find_map(|layout| layout.member(node_id))
    }

    /// Every member of S, T and the previous layout once, those of the newest first.
    pub fn members(&self) -> impl Iterator<Item = &'a Member> + use<'a> {
        let view = *self;
        self.newest_first().enumerate().flat_map(move |(at, layout)| {
            layout
                .members()
                .iter()
                .filter(move |m| !view.newest_first().take(at).any(|newer| newer.names(&m.node_id)))
        })
    }

    fn newest_first(self) -> impl Iterator<Item = &'a Layout> + Clone + use<'a> {
        self.write_layouts().rev().chain(self.record.previous())
    }
}
