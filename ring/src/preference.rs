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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{ClusterId, NodeId, Partitions};

    /// Any rows whatever, so that owners are uneven and some members own nothing.
    fn layouts() -> impl Strategy<Value = Layout> {
        (1usize..=4, 4u8..=9).prop_flat_map(|(n, count)| {
            let row = Just((0..u16::from(count)).collect::<Vec<_>>()).prop_shuffle();
            prop::collection::vec(row, 16).prop_map(move |mut rows| {
                for row in &mut rows {
                    row.truncate(n);
                }
                let member = |i: u8| Member {
                    name: format!("cart-{i}"),
                    node_id: NodeId([i; 16]),
                    zone: String::new(),
                    address: String::new(),
                    weight: 1,
                };
                let q = Partitions::new(16).unwrap();
                let n = u8::try_from(n).unwrap();
                Layout::new(1, ClusterId([0; 16]), q, n, (0..count).map(member).collect(), &rows).unwrap()
            })
        })
    }

    proptest! {
        #[test]
        fn each_member_stands_in_it_once_and_the_holders_first(layout in layouts()) {
            for p in layout.partitions().iter() {
                let list = layout.preference_list(p);
                let all: Vec<_> = list.iter().collect();
                prop_assert_eq!(all.len(), layout.members().len());
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
                prop_assert!(all.iter().take(usize::from(layout.n())).all(|m| layout.holds(&m.node_id, p)));
                prop_assert_eq!(list.primary(), layout.owner(p));
            }
        }

        #[test]
        fn fallbacks_are_the_owners_that_follow(layout in layouts()) {
            for p in layout.partitions().iter() {
                let mut expected: Vec<&Member> = Vec::new();
                for step in 1..16 {
                    let owner = layout.owner(Partition((p.0 + step) % 16)).unwrap();
                    if !layout.holds(&owner.node_id, p) && !expected.contains(&owner) {
                        expected.push(owner);
                    }
                }
                let fallbacks: Vec<_> = layout.preference_list(p).fallbacks().collect();
                prop_assert_eq!(&fallbacks[..expected.len()], &expected[..]);
            }
        }
    }
}
