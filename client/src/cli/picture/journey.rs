//! The moves of a change: each partition on its way from one member to another. Pure.
//!
//! Which partitions move is read from the layouts; how far each has come, from what the members say. Of a member that
//! does not answer nothing is known, and nothing is made up.

use std::collections::BTreeMap;

use dynamo_client::change::report::{node_id, stamp};
use dynamo_proto::v1::{Move, MoveState, MovesReply};
use dynamo_ring::{Layout, NodeId, Partition, Record};

/// How far a journey has come. The least comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// The member that would know does not answer.
    Unknown,
    /// Not its turn, or no holder can be asked.
    Waiting,
    Copying,
    /// Copied, and to be compared.
    Copied,
    Comparing,
    Synced,
    /// Committed; the old holder shows the new ones what it has.
    HandingOver,
    /// The old holder has let it go.
    Dropped,
}

impl State {
    /// All of them, as far as journeys come.
    pub(crate) const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Waiting,
        Self::Copying,
        Self::Copied,
        Self::Comparing,
        Self::Synced,
        Self::HandingOver,
        Self::Dropped,
    ];

    /// In the picture of the ring.
    pub(crate) const fn mark(self) -> char {
        match self {
            Self::Unknown => '?',
            Self::Waiting => '.',
            Self::Copying => '>',
            Self::Copied => '=',
            Self::Comparing => '~',
            Self::Synced => '+',
            Self::HandingOver => '<',
            Self::Dropped => '-',
        }
    }

    /// In words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "no answer",
            Self::Waiting => "waiting",
            Self::Copying => "copying",
            Self::Copied => "copied",
            Self::Comparing => "comparing",
            Self::Synced => "synced",
            Self::HandingOver => "handing over",
            Self::Dropped => "dropped",
        }
    }

    /// Something is done for it at this moment.
    pub(crate) const fn is_busy(self) -> bool {
        matches!(self, Self::Copying | Self::Comparing | Self::HandingOver)
    }

    fn of(state: MoveState) -> Option<Self> {
        match state {
            MoveState::Waiting => Some(Self::Waiting),
            MoveState::Copying => Some(Self::Copying),
            MoveState::Copied => Some(Self::Copied),
            MoveState::Comparing => Some(Self::Comparing),
            MoveState::Synced => Some(Self::Synced),
            MoveState::HandingOver => Some(Self::HandingOver),
            MoveState::Dropped => Some(Self::Dropped),
            MoveState::Leaving | MoveState::Unspecified => None,
        }
    }
}

/// One partition on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Journey {
    pub(crate) partition: Partition,
    /// Those that it is copied from, compared with or handed over by; before that begins, those that it leaves.
    pub(crate) from: Vec<NodeId>,
    pub(crate) to: Vec<NodeId>,
    pub(crate) state: State,
    /// What the member that knows said.
    pub(crate) said: Move,
}

/// What each member said of its moves; nothing of one that did not answer.
pub(crate) type Said = BTreeMap<NodeId, Option<MovesReply>>;

/// Every journey of the change under way, by partition. None when nothing moves.
pub(crate) fn journeys(record: &Record, said: &Said) -> Vec<Journey> {
    // Those to whom something comes tell of it until the commit, and those from whom it goes after that.
    let (old, new) = match (record.target(), record.previous()) {
        (Some(target), _) => (record.stable(), &target.layout),
        (None, Some(previous)) => (previous, record.stable()),
        (None, None) => return Vec::new(),
    };
    let comes = record.target().is_some();
    let mut journeys = Vec::new();
    for partition in new.partitions().iter() {
        let (olds, news) = (without(old, new, partition), without(new, old, partition));
        for teller in if comes { &news } else { &olds } {
            let said = one(record, said, *teller, partition);
            let with: Vec<NodeId> =
                said.iter().flat_map(|one| &one.with).filter_map(|id| node_id(id)).collect();
            let others = |all: &Vec<NodeId>| if with.is_empty() { all.clone() } else { with.clone() };
            let (from, to) =
                if comes { (others(&olds), vec![*teller]) } else { (vec![*teller], others(&news)) };
            let state = said.and_then(|one| State::of(one.state())).unwrap_or(State::Unknown);
            journeys.push(Journey { partition, from, to, state, said: said.cloned().unwrap_or_default() });
        }
    }
    journeys
}

/// Those that hold a partition by the one layout and not by the other.
fn without(by: &Layout, other: &Layout, partition: Partition) -> Vec<NodeId> {
    by.holders(partition).map(|member| member.node_id).filter(|id| !other.holds(id, partition)).collect()
}

/// What a member said of a partition, if it speaks of the layout that the record is at.
fn one<'a>(record: &Record, said: &'a Said, member: NodeId, partition: Partition) -> Option<&'a Move> {
    let reply = said.get(&member)?.as_ref()?;
    let (_, layout) = stamp(reply.layout.as_ref()?)?;
    let moves = (layout == record.id()).then_some(&reply.moves)?;
    moves.iter().find(|one| one.partition == u32::from(partition.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::{self, members, record};

    fn reply(record: &Record, moves: Vec<Move>) -> MovesReply {
        MovesReply { layout: Some(scenes::stamp(record)), moves }
    }

    fn one(partition: Partition, state: MoveState, with: &[u8]) -> Move {
        let with = with.iter().map(|i| scenes::node_id(*i).as_bytes().to_vec().into()).collect();
        Move { partition: partition.0.into(), state: state.into(), with, ..Move::default() }
    }

    #[test]
    fn what_nobody_tells_of_is_unknown_and_still_shown() {
        let proposed = record(3, 8).propose(&members(4)).unwrap();
        let all = journeys(&proposed, &Said::new());
        assert_eq!(all.len(), 6, "an even share of 8 x 3 replicas");
        assert!(all.iter().all(|j| j.state == State::Unknown && j.to == [scenes::node_id(3)]), "{all:?}");
        assert!(all.iter().all(|j| j.from.len() == 1), "where it leaves: {all:?}");
        assert!(journeys(&record(3, 8), &Said::new()).is_empty());
    }

    #[test]
    fn a_copy_is_shown_with_those_that_it_comes_from() {
        let proposed = record(3, 8).propose(&members(4)).unwrap();
        let p = journeys(&proposed, &Said::new())[0].partition;
        let moves = vec![one(p, MoveState::Copying, &[1, 2])];
        let of = |record: &Record| {
            let said = Said::from([(scenes::node_id(3), Some(reply(record, moves.clone())))]);
            journeys(&proposed, &said).into_iter().find(|journey| journey.partition == p).unwrap()
        };
        assert_eq!(of(&proposed).from, [1, 2].map(scenes::node_id));
        assert_eq!(of(&proposed).state, State::Copying);
        assert_eq!(of(&record(3, 8)).state, State::Unknown, "what is said of another layout is nothing");
    }

    #[test]
    fn a_hand_over_goes_to_those_that_are_new() {
        let proposed = record(3, 8).propose(&members(4)).unwrap();
        let p = journeys(&proposed, &Said::new())[0].clone();
        let committed = proposed.freeze().unwrap().switch().unwrap().commit().unwrap();
        let said = Said::from([(
            p.from[0],
            Some(reply(&committed, vec![one(p.partition, MoveState::HandingOver, &[])])),
        )]);
        let all = journeys(&committed, &said);
        let journey = all.iter().find(|journey| journey.partition == p.partition).unwrap();
        assert_eq!((&journey.from, &journey.to, journey.state), (&p.from, &p.to, State::HandingOver));
        assert!(journeys(&committed.settle().unwrap(), &said).is_empty());
    }
}
