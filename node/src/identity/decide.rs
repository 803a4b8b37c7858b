//! The decision, from what the other members answered. Pure.

use std::collections::BTreeMap;

use dynamo_ring::NodeId;

use super::alarm::SetBack;

/// What a peer knows of this node's commit numbers; zeros if it never heard of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The highest that it was told.
    pub commit: u64,
    /// The highest that it was told to be on disk.
    pub synced: u64,
}

/// How a start goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Under the same actor id.
    Keep,
    /// Under a new actor id. Nothing is lost: the old one's dots stay what they are.
    NewActor(NewActorBecause),
    /// Not at all: this is an older copy of what the node once had.
    SetBack(SetBack),
}

/// Why the actor id is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NewActorBecause {
    /// The last stop was not clean.
    #[error("the last stop was not clean")]
    Unclean,
    /// These members did not answer in time: one of them might know dots that are not here.
    #[error("{0} of the other members did not answer in time")]
    Unanswered(usize),
    /// This member was told of a batch that is not here.
    #[error("{peer} was told of batch {commit}, the last one here is {own}")]
    Ahead {
        /// The member.
        peer: NodeId,
        /// What it was told.
        commit: u64,
        /// The last batch here.
        own: u64,
    },
}

/// Decides how a start goes on: `own` is the number of the last batch on this node's disk, `answers` what every other
/// member answered, `None` for one that did not.
pub fn decide(own: u64, was_clean: bool, answers: &BTreeMap<NodeId, Option<Known>>) -> Start {
    let known = || answers.iter().filter_map(|(peer, known)| Some((*peer, (*known)?)));
    if let Some((peer, known)) = known().find(|(_, known)| known.synced > own) {
        return Start::SetBack(SetBack { peer, synced: known.synced, own });
    }
    if !was_clean {
        return Start::NewActor(NewActorBecause::Unclean);
    }
    let unanswered = answers.values().filter(|known| known.is_none()).count();
    if unanswered > 0 {
        return Start::NewActor(NewActorBecause::Unanswered(unanswered));
    }
    if let Some((peer, known)) = known().find(|(_, known)| known.commit > own) {
        return Start::NewActor(NewActorBecause::Ahead { peer, commit: known.commit, own });
    }
    Start::Keep
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = 10;

    fn answers(known: &[Option<(u64, u64)>]) -> BTreeMap<NodeId, Option<Known>> {
        let known = known.iter().map(|k| k.map(|(commit, synced)| Known { commit, synced }));
        known.enumerate().map(|(i, known)| (NodeId([u8::try_from(i).unwrap(); 16]), known)).collect()
    }

    #[test]
    fn a_clean_stop_that_everybody_confirms_keeps_the_actor() {
        assert_eq!(decide(OWN, true, &answers(&[Some((10, 10)), Some((0, 0))])), Start::Keep);
        assert_eq!(decide(OWN, true, &answers(&[])), Start::Keep, "a cluster of one has nobody to ask");
    }

    #[test]
    fn a_crash_takes_a_new_actor_whatever_the_others_say() {
        let start = decide(OWN, false, &answers(&[Some((10, 10))]));
        assert_eq!(start, Start::NewActor(NewActorBecause::Unclean));
    }

    #[test]
    fn silence_is_not_consent() {
        let start = decide(OWN, true, &answers(&[Some((10, 10)), None]));
        assert_eq!(start, Start::NewActor(NewActorBecause::Unanswered(1)));
    }

    #[test]
    fn a_peer_that_was_told_of_more_than_is_here_costs_the_actor() {
        // The batch was sent before it was synced, and the disk lost it.
        let start = decide(OWN, true, &answers(&[Some((11, 10))]));
        let ahead = NewActorBecause::Ahead { peer: NodeId([0; 16]), commit: 11, own: OWN };
        assert_eq!(start, Start::NewActor(ahead));
    }

    #[test]
    fn lesson_2_a_set_back_directory_is_known_by_a_synced_number_clean_mark_or_not() {
        for was_clean in [true, false] {
            let start = decide(OWN, was_clean, &answers(&[None, Some((12, 11))]));
            assert_eq!(start, Start::SetBack(SetBack { peer: NodeId([1; 16]), synced: 11, own: OWN }));
        }
    }
}
