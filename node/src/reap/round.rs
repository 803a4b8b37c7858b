//! One round, as the member sees it that begins it: the machine. No clock, no network, no disk.

use std::collections::BTreeSet;

use dynamo_ring::NodeId;

/// What happens to a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member has looked: of which of the keys that it was asked about it agrees.
    Looked(NodeId, Vec<bool>),
    /// A member has finished what it had begun, has everybody's barrier, and has looked again.
    Finished(NodeId, Vec<bool>),
    /// A holder has removed so many keys.
    Reaped(NodeId, usize),
    /// A member could not be asked, or will not.
    Failed(NodeId),
    /// The layout record that the round was begun under stands here no longer.
    Moved,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask all of these to look at all listed keys.
    Look(BTreeSet<NodeId>),
    /// Ask all of these to finish and to look again, at the keys that are left: places in the list, in order.
    Finish(BTreeSet<NodeId>, Vec<usize>),
    /// Ask all of these to remove the keys that are left: places in the list, in order.
    Reap(BTreeSet<NodeId>, Vec<usize>),
    /// It is over.
    End(End),
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// What was agreed on has been removed by every holder.
    Reaped,
    /// It was agreed on; but a holder could not be asked to remove it, or would not. What is left there is listed again.
    Partly,
    /// There was no key on which all agreed: one is not everywhere yet, or is owed, or was written since.
    NotAgreed,
    /// A member could not be asked, or would not take part.
    CouldNotAsk,
    /// The layout changed.
    Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Looking,
    Finishing,
    Reaping,
    Over,
}

/// The machine.
#[derive(Debug)]
pub struct Round {
    stage: Stage,
    members: BTreeSet<NodeId>,
    owners: BTreeSet<NodeId>,
    /// Places of the keys that this stage is about.
    asked: Vec<usize>,
    /// Of which of them all who have answered agree.
    agreed: Vec<bool>,
    /// Who has not answered in this stage.
    waiting: BTreeSet<NodeId>,
    /// A holder could not be asked to remove them.
    failed: bool,
    /// The most that a holder removed.
    removed: usize,
}

impl Round {
    /// Begins a round of so many keys among these members, some of which hold the partition.
    pub fn start(members: BTreeSet<NodeId>, owners: BTreeSet<NodeId>, keys: usize) -> (Self, Vec<Effect>) {
        let mut round = Self {
            stage: Stage::Looking,
            members,
            owners,
            asked: (0..keys).collect(),
            agreed: Vec::new(),
            waiting: BTreeSet::new(),
            failed: false,
            removed: 0,
        };
        let effects = round.ask(Stage::Looking);
        (round, effects)
    }

    /// Takes in what has happened. Nothing follows once it is over.
    pub fn on(&mut self, event: Event) -> Vec<Effect> {
        match (self.stage, event) {
            (Stage::Looking, Event::Looked(node, votes)) => self.count(node, &votes, Stage::Finishing),
            (Stage::Finishing, Event::Finished(node, votes)) => self.count(node, &votes, Stage::Reaping),
            (Stage::Looking | Stage::Finishing, Event::Failed(_)) => self.end(End::CouldNotAsk),
            (Stage::Looking | Stage::Finishing, Event::Moved) => self.end(End::Moved),
            (Stage::Reaping, Event::Reaped(node, keys)) => {
                self.removed = self.removed.max(keys);
                self.answered(node)
            }
            (Stage::Reaping, Event::Failed(node)) => {
                self.failed = true;
                self.answered(node)
            }
            // An answer of a stage that has passed. Once all have agreed, each holder sees for itself whether the layout
            // still stands.
            _ => Vec::new(),
        }
    }

    /// Keys that were removed.
    pub const fn removed(&self) -> usize {
        self.removed
    }

    fn ask(&mut self, stage: Stage) -> Vec<Effect> {
        self.stage = stage;
        self.agreed = vec![true; self.asked.len()];
        self.waiting = if stage == Stage::Reaping { self.owners.clone() } else { self.members.clone() };
        let (of, keys) = (self.waiting.clone(), self.asked.clone());
        match stage {
            Stage::Looking => vec![Effect::Look(of)],
            Stage::Finishing => vec![Effect::Finish(of, keys)],
            Stage::Reaping => vec![Effect::Reap(of, keys)],
            Stage::Over => Vec::new(),
        }
    }

    /// Counts a member's votes. When all have voted, goes on with the keys that nobody was against.
    fn count(&mut self, node: NodeId, votes: &[bool], next: Stage) -> Vec<Effect> {
        if !self.waiting.remove(&node) {
            return Vec::new();
        }
        if votes.len() != self.asked.len() {
            return self.end(End::CouldNotAsk);
        }
        for (agreed, vote) in self.agreed.iter_mut().zip(votes) {
            *agreed &= vote;
        }
        if !self.waiting.is_empty() {
            return Vec::new();
        }
        let mut agreed = self.agreed.iter();
        self.asked.retain(|_| agreed.next() == Some(&true));
        if self.asked.is_empty() { self.end(End::NotAgreed) } else { self.ask(next) }
    }

    fn answered(&mut self, node: NodeId) -> Vec<Effect> {
        self.waiting.remove(&node);
        match (self.waiting.is_empty(), self.failed) {
            (false, _) => Vec::new(),
            (true, false) => self.end(End::Reaped),
            (true, true) => self.end(End::Partly),
        }
    }

    fn end(&mut self, end: End) -> Vec<Effect> {
        self.stage = Stage::Over;
        vec![Effect::End(end)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    fn nodes<const N: usize>(ns: [u8; N]) -> BTreeSet<NodeId> {
        ns.map(node).into()
    }

    /// Four members, three of which hold the partition; three keys.
    fn start() -> Round {
        let (round, effects) = Round::start(nodes([1, 2, 3, 4]), nodes([1, 2, 3]), 3);
        assert_eq!(effects, [Effect::Look(nodes([1, 2, 3, 4]))], "those who do not hold it too");
        round
    }

    fn look(round: &mut Round, n: u8, votes: [bool; 3]) -> Vec<Effect> {
        round.on(Event::Looked(node(n), votes.to_vec()))
    }

    /// All have looked, and agree on all but the second key.
    fn looked() -> Round {
        let mut round = start();
        for n in [1, 2, 4] {
            assert_eq!(look(&mut round, n, [true; 3]), []);
        }
        let effects = look(&mut round, 3, [true, false, true]);
        assert_eq!(effects, [Effect::Finish(nodes([1, 2, 3, 4]), vec![0, 2])]);
        round
    }

    /// All have finished, and agree on the last key alone.
    fn finished() -> Round {
        let mut round = looked();
        for n in 1..4 {
            assert_eq!(round.on(Event::Finished(node(n), vec![true, true])), []);
        }
        let effects = round.on(Event::Finished(node(4), vec![false, true]));
        assert_eq!(
            effects,
            [Effect::Reap(nodes([1, 2, 3]), vec![2])],
            "holders only, and by its first place"
        );
        round
    }

    #[test]
    fn what_all_agree_on_twice_is_removed_by_every_holder() {
        let mut round = finished();
        assert_eq!(round.on(Event::Reaped(node(1), 1)), []);
        assert_eq!(round.on(Event::Reaped(node(3), 0)), []);
        assert_eq!(round.on(Event::Reaped(node(2), 1)), [Effect::End(End::Reaped)]);
        assert_eq!(round.removed(), 1);
        assert_eq!(round.on(Event::Failed(node(2))), [], "it is over");
    }

    #[test]
    fn could_not_ask_ends_it_at_both_looks_and_reaps_nothing() {
        for mut round in [start(), looked()] {
            assert_eq!(round.on(Event::Failed(node(4))), [Effect::End(End::CouldNotAsk)]);
            assert_eq!(look(&mut round, 1, [true; 3]), []);
        }
    }

    #[test]
    fn nobody_is_counted_twice_and_an_answer_to_an_earlier_question_not_at_all() {
        let mut round = start();
        for _ in 0..4 {
            assert_eq!(look(&mut round, 1, [true; 3]), []);
        }
        let mut round = looked();
        for n in 1..5 {
            assert_eq!(look(&mut round, n, [true; 3]), []);
            assert_eq!(round.on(Event::Reaped(node(n), 2)), []);
        }
    }

    #[test]
    fn a_key_that_one_is_against_is_left_and_with_none_left_it_ends() {
        let mut round = start();
        for n in 1..4 {
            look(&mut round, n, [false, true, true]);
        }
        assert_eq!(look(&mut round, 4, [true, false, false]), [Effect::End(End::NotAgreed)]);
        let mut round = looked();
        for n in 1..4 {
            round.on(Event::Finished(node(n), vec![false, true]));
        }
        assert_eq!(round.on(Event::Finished(node(4), vec![true, false])), [Effect::End(End::NotAgreed)]);
    }

    #[test]
    fn votes_for_another_list_are_no_votes() {
        assert_eq!(start().on(Event::Looked(node(1), vec![true])), [Effect::End(End::CouldNotAsk)]);
        assert_eq!(looked().on(Event::Finished(node(1), vec![true; 3])), [Effect::End(End::CouldNotAsk)]);
    }

    #[test]
    fn lesson_5_a_change_of_layout_ends_it_until_all_have_agreed() {
        for mut round in [start(), looked()] {
            assert_eq!(round.on(Event::Moved), [Effect::End(End::Moved)]);
        }
        assert_eq!(finished().on(Event::Moved), []);
    }

    #[test]
    fn a_holder_that_cannot_be_asked_to_remove_keeps_its_copy_for_the_next_round() {
        let mut round = finished();
        assert_eq!(round.on(Event::Failed(node(2))), []);
        assert_eq!(round.on(Event::Reaped(node(1), 1)), []);
        assert_eq!(round.on(Event::Reaped(node(3), 1)), [Effect::End(End::Partly)]);
    }
}
