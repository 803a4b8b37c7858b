//! Whom to ask for a partition, and in which order.
//!
//! First the N members that hold it. Then, to stand in for those that cannot be reached, the owners of the tokens
//! that follow on the ring. Each physical member once, so that N answers are N copies.

use crate::{Layout, Member, Partition};

/// All members of a layout, in the order in which they are asked for one partition.
#[derive(Debug, Clone, Copy)]
pub struct PreferenceList<'a> {
    layout: &'a Layout,
    partition: Partition,
}

impl Layout {
    /// The preference list of `partition`.
    pub const fn preference_list(&self, partition: Partition) -> PreferenceList<'_> {
        PreferenceList { layout: self, partition }
    }
}

impl<'a> PreferenceList<'a> {
    /// The token's owner: the member to send a request to where any would do.
    pub fn primary(&self) -> Option<&'a Member> {
        self.holders().next()
    }

    /// The N members that hold the partition, the token's owner first.
    pub fn holders(
        &self,
    ) -> impl DoubleEndedIterator<Item = &'a Member> + ExactSizeIterator + Clone + use<'a> {
        self.layout.holders(self.partition)
    }

    /// Those who stand in, in order: the owners of the following tokens, then members that own none. Found as they
    /// are asked for, since most requests ask for none.
    pub fn fallbacks(&self) -> impl Iterator<Item = &'a Member> + Clone + use<'a> {
        let layout = self.layout;
        let q = layout.partitions().get();
        let start = self.partition.0;
        let following = (1..q).filter_map(move |step| {
            let next = Partition((start + step) & (q - 1));
            layout.row(next).first().copied()
        });
        let ownerless = (0..).take(layout.members().len());
        let mut seen = vec![false; layout.members().len()];
        for &index in layout.row(self.partition) {
            seen[usize::from(index)] = true;
        }
        let left = seen.len() - layout.row(self.partition).len();
        following
            .chain(ownerless)
            .filter(move |&index| !std::mem::replace(&mut seen[usize::from(index)], true))
            // So that the rest of the ring is not walked once everyone was named.
            .take(left)
            .map(move |index| &layout.members()[usize::from(index)])
    }

    /// The holders, then the fallbacks: every member of the layout exactly once.
    pub fn iter(&self) -> impl Iterator<Item = &'a Member> + Clone + use<'a> {
        self.holders().chain(self.fallbacks())
    }
}
