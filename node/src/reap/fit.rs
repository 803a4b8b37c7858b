//! Whether the layout that stands allows a round, who takes part in it, and who begins it. Pure.

use std::collections::BTreeSet;

use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{NodeId, Partition};

use crate::layout::Standing;

/// Under what a round was begun: the layout, and who takes part. It ends when any member no longer sees the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The settled layout.
    pub stamp: SenderStamp,
    /// Every member that is not lost.
    pub members: BTreeSet<NodeId>,
}

/// Why a round cannot go on here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A change of layout is under way, or older requests have not ended, or this node has not cleaned up.
    #[error("the layout is not settled here")]
    Moving,
    /// The round was begun under another layout, or with other members.
    #[error("the round belongs to another layout, or to other members")]
    Another,
}

impl Ground {
    /// What stands here, if it allows a round at all: no change between its proposal and its last acknowledgement.
    pub fn of(standing: &Standing) -> Result<Self, Unfit> {
        let record = &standing.record;
        let (stable, me) = (record.stable(), &standing.me);
        let holds_what_it_should = standing.held.iter().copied().eq(stable.partitions_of(me));
        let still = record.settled() && standing.acked && standing.cleaned == Some(record.id());
        if !still || !holds_what_it_should || !standing.serves() {
            return Err(Unfit::Moving);
        }
        let members = record.view().members().map(|member| member.node_id);
        let members = members.filter(|node| !standing.is_lost(node)).collect();
        Ok(Self { stamp: standing.stamp(), members })
    }

    /// Whether a round that was begun on this ground may go on.
    pub fn stands(&self, standing: &Standing) -> Result<(), Unfit> {
        if Self::of(standing)? == *self { Ok(()) } else { Err(Unfit::Another) }
    }
}

/// The living members that hold a partition.
pub fn owners(standing: &Standing, partition: Partition) -> BTreeSet<NodeId> {
    let holders = standing.record.stable().holders(partition).map(|member| member.node_id);
    holders.filter(|node| !standing.is_lost(node)).collect()
}

/// The partitions whose rounds this node begins: of which it is the first living holder. Should two members ever think so
/// of one partition, no harm is done.
pub fn begins(standing: &Standing) -> Vec<Partition> {
    let stable = standing.record.stable();
    let first = |partition: &Partition| {
        let mut holders = stable.holders(*partition).map(|member| member.node_id);
        holders.find(|node| !standing.is_lost(node)) == Some(standing.me)
    };
    stable.partitions().iter().filter(first).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::layout::state::tests::{fresh, member_id, members, standing};

    #[test]
    fn lesson_5_no_round_from_the_proposal_to_the_last_acknowledgement() {
        let settled = fresh(3);
        let proposed = settled.propose(&members(0..4)).unwrap();
        let frozen = proposed.freeze().unwrap();
        let switched = frozen.switch().unwrap();
        let committed = switched.commit().unwrap();
        for moving in [&proposed, &frozen, &switched, &committed] {
            assert_eq!(Ground::of(&standing(0, moving)), Err(Unfit::Moving), "{}", moving.stamp());
        }
        let grown = committed.settle().unwrap();
        let before = Ground::of(&standing(0, &settled)).unwrap();
        let after = Ground::of(&standing(0, &grown)).unwrap();
        assert_eq!((before.members.len(), after.members.len()), (3, 4));
        assert_eq!(before.stands(&standing(0, &settled)), Ok(()));
        assert_eq!(before.stands(&standing(0, &proposed)), Err(Unfit::Moving));
        assert_eq!(before.stands(&standing(0, &grown)), Err(Unfit::Another));
    }

    #[test]
    fn a_member_that_has_not_acknowledged_or_cleaned_up_takes_no_part() {
        let good = standing(0, &fresh(3));
        assert!(Ground::of(&good).is_ok());
        let bad = [
            Standing { acked: false, ..good.clone() },
            Standing { cleaned: None, ..good.clone() },
            Standing { held: Arc::default(), ..good.clone() },
            Standing { retired: true, ..good },
        ];
        assert!(bad.iter().all(|standing| Ground::of(standing) == Err(Unfit::Moving)));
    }

    #[test]
    fn a_lost_member_is_left_out_and_its_loss_ends_the_rounds_that_counted_on_it() {
        let whole = fresh(4);
        let lost = whole.lost(&member_id(1)).unwrap();
        let (before, after) = (standing(0, &whole), standing(0, &lost));
        let ground = Ground::of(&before).unwrap();
        assert_eq!(ground.stands(&after), Err(Unfit::Another));
        assert!(!Ground::of(&after).unwrap().members.contains(&member_id(1)));
        for partition in whole.stable().partitions().iter() {
            assert!(!owners(&after, partition).contains(&member_id(1)));
        }
    }

    #[test]
    fn each_partition_is_begun_by_one_member() {
        for record in [fresh(4), fresh(4).lost(&member_id(2)).unwrap()] {
            let mut begun: Vec<Partition> = (0..4).flat_map(|i| begins(&standing(i, &record))).collect();
            begun.sort();
            assert_eq!(begun, record.stable().partitions().iter().collect::<Vec<_>>());
        }
    }
}
