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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{change, member, members};

    #[test]
    fn reads_move_at_the_switch_and_writes_meet_both_until_the_commit() {
        let records = change();
        let seen = records.each_ref().map(|record| {
            let view = record.view();
            let writes: Vec<u64> = view.write_layouts().map(Layout::epoch).collect();
            (view.read_layout().epoch(), writes)
        });
        let expected = [(1, vec![1]), (1, vec![1, 2]), (1, vec![1, 2]), (2, vec![1, 2]), (2, vec![2])];
        assert_eq!(seen, expected);
    }

    #[test]
    fn holders_are_those_of_s_then_those_that_only_t_has() {
        let [_, proposed, ..] = change();
        let target = &proposed.target().unwrap().layout;
        for p in proposed.stable().partitions().iter() {
            let holders: Vec<_> = proposed.view().holders(p).collect();
            let stable: Vec<_> = proposed.stable().holders(p).collect();
            assert_eq!(holders[..3], stable[..]);
            let gains = target.holds(&member(3).node_id, p);
            assert_eq!(holders.len(), 3 + usize::from(gains), "each once");
            assert_eq!(proposed.view().holds(&member(3).node_id, p), gains);
        }
    }

    #[test]
    fn who_leaves_is_named_until_it_has_handed_over() {
        let [settled, .., committed] = change();
        let big = committed.settle().unwrap();
        let shrunk =
            big.propose(&members(0..3)).unwrap().freeze().unwrap().switch().unwrap().commit().unwrap();
        let leaver = member(3).node_id;
        assert!(shrunk.view().names(&leaver) && !shrunk.settle().unwrap().view().names(&leaver));
        assert!(!shrunk.stable().partitions().iter().any(|p| shrunk.view().holds(&leaver, p)));
        let names = |record: &Record| record.view().members().map(|m| m.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&shrunk), ["cart-0", "cart-1", "cart-2", "cart-3"]);
        assert_eq!(names(&settled), ["cart-0", "cart-1", "cart-2"]);
        assert_eq!(shrunk.view().member(&leaver).map(|m| m.name.as_str()), Some("cart-3"));
    }
}
