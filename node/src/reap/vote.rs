//! One round, as each member sees it that takes part: the machine. No clock, no network, no disk.

use std::collections::BTreeSet;

use dynamo_ring::{NodeId, Partition};

use super::fit::Ground;
use crate::planted::{self, Fault};
use crate::store::{Listed, Testimony};

/// What happens to a member's part of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is asked to finish what it had begun, and to look at these keys again: places in the list, in order.
    Finish(Vec<usize>),
    /// What had begun here on the partition has ended.
    Ended,
    /// Another member's barrier has come: all that it had sent here before has been applied, or never will be.
    Barrier(NodeId),
    /// This member's own barriers have all been taken.
    Sent,
    /// The disk has been looked at for the second time.
    Looked(Testimony),
    /// It is asked to remove these: places in the list, in order.
    Reap(Vec<usize>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Wait until all that has begun on the partition has ended. Answered by `Ended`.
    AwaitEnded,
    /// Send a barrier to each of these. Answered by `Sent`.
    SendBarriers(BTreeSet<NodeId>),
    /// Look at these keys. Answered by `Looked`.
    Look(Vec<Listed>),
    /// Say of which of the keys that it was asked about this member agrees.
    Answer(Vec<bool>),
    /// Remove these, as far as they still hold what was listed.
    Reap(Vec<Listed>),
    /// Take no part: say why.
    Refuse(NoVote),
}

/// Why a member takes no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoVote {
    /// It is asked for what does not come next, or for keys that were never listed.
    #[error("the round is not at that step here")]
    OutOfStep,
    /// A hint came in between the two looks: it may have been for one of the keys, and gone again.
    #[error("a hint was taken in meanwhile")]
    HintTaken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first look has been answered.
    Looked,
    /// Own work is being waited for.
    Finishing,
    /// Barriers are being sent and waited for.
    Barring,
    /// The second look is being taken.
    LookingAgain,
    /// The second look has been answered.
    Voted,
    Over,
}

/// The machine.
#[derive(Debug)]
pub struct Vote {
    /// Under what the round was begun.
    pub ground: Ground,
    /// The round's partition.
    pub partition: Partition,
    me: NodeId,
    stage: Stage,
    keys: Vec<Listed>,
    /// What was agreed on at the latest look: places in the list.
    agreed: BTreeSet<usize>,
    asked: Vec<usize>,
    /// Whether this member holds the partition.
    holds: bool,
    hints: u64,
    barriers: BTreeSet<NodeId>,
    sent: bool,
}

impl Vote {
    /// The part of `me` in a round, from the first look on.
    pub fn start(
        ground: Ground,
        partition: Partition,
        me: NodeId,
        holds: bool,
        keys: Vec<Listed>,
        first: &Testimony,
    ) -> Self {
        let agreed =
            first.agreed.iter().enumerate().filter(|(_, agreed)| **agreed).map(|(at, _)| at).collect();
        Self {
            ground,
            partition,
            me,
            stage: Stage::Looked,
            keys,
            agreed,
            asked: Vec::new(),
            holds,
            hints: first.hints,
            barriers: BTreeSet::new(),
            sent: false,
        }
    }

    /// Takes in what has happened.
    pub fn on(&mut self, event: Event) -> Vec<Effect> {
        match (self.stage, event) {
            // A member that finishes sooner sends its barrier sooner.
            (Stage::Looked | Stage::Finishing | Stage::Barring, Event::Barrier(from)) => {
                self.barriers.insert(from);
                self.look_again()
            }
            (Stage::Looked, Event::Finish(asked)) if self.are_agreed(&asked) => {
                self.asked = asked;
                if planted::is(Fault::NoBarrier) {
                    (self.stage, self.sent) = (Stage::Barring, true);
                    return self.look_again();
                }
                self.stage = Stage::Finishing;
                vec![Effect::AwaitEnded]
            }
            (Stage::Finishing, Event::Ended) => {
                self.stage = Stage::Barring;
                vec![Effect::SendBarriers(self.others())]
            }
            (Stage::Barring, Event::Sent) => {
                self.sent = true;
                self.look_again()
            }
            (Stage::LookingAgain, Event::Looked(again)) => self.vote(&again),
            (Stage::Voted, Event::Reap(keys)) if self.are_agreed(&keys) => {
                self.stage = Stage::Over;
                vec![Effect::Reap(self.listed(&keys))]
            }
            (_, Event::Finish(_) | Event::Reap(_)) => {
                self.stage = Stage::Over;
                vec![Effect::Refuse(NoVote::OutOfStep)]
            }
            _ => Vec::new(),
        }
    }

    /// Whether nothing that another member sent before can come any more.
    fn has_all_barriers(&self) -> bool {
        planted::is(Fault::NoBarrier) || self.barriers.is_superset(&self.others())
    }

    fn look_again(&mut self) -> Vec<Effect> {
        if self.stage != Stage::Barring || !self.sent || !self.has_all_barriers() {
            return Vec::new();
        }
        self.stage = Stage::LookingAgain;
        vec![Effect::Look(self.listed(&self.asked))]
    }

    fn vote(&mut self, again: &Testimony) -> Vec<Effect> {
        // A holder's own copy tells all; a hint for a key that is not this member's may have come and gone.
        if !self.holds && again.hints != self.hints {
            self.stage = Stage::Over;
            return vec![Effect::Refuse(NoVote::HintTaken)];
        }
        let yes = self.asked.iter().zip(&again.agreed).filter(|(_, agreed)| **agreed).map(|(at, _)| *at);
        self.agreed = yes.collect();
        self.stage = Stage::Voted;
        vec![Effect::Answer(again.agreed.clone())]
    }

    fn others(&self) -> BTreeSet<NodeId> {
        self.ground.members.iter().copied().filter(|node| *node != self.me).collect()
    }

    /// Whether this member agreed on all of these at its latest look.
    fn are_agreed(&self, keys: &[usize]) -> bool {
        keys.iter().all(|at| self.agreed.contains(at))
    }

    fn listed(&self, keys: &[usize]) -> Vec<Listed> {
        keys.iter().filter_map(|at| self.keys.get(*at)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use dynamo_ring::fence::SenderStamp;
    use dynamo_ring::{LayoutHash, LayoutId, Position, Stamp, Step};

    use super::*;
    use crate::version::StateHash;

    fn node(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    fn key(n: u8) -> Listed {
        Listed { position: Position([n; 16]), hash: StateHash([n; 16]) }
    }

    fn seen(agreed: &[bool], hints: u64) -> Testimony {
        Testimony { agreed: agreed.to_vec(), hints }
    }

    /// Member 1 of three, which agrees on the keys 1 and 3 of three.
    fn start(holds: bool) -> Vote {
        let id = LayoutId { epoch: 5, hash: LayoutHash([0; 16]) };
        let stamp = SenderStamp { stamp: Stamp { epoch: 5, step: Step::Committed }, id };
        let ground = Ground { stamp, members: [1, 2, 3].map(node).into() };
        let keys = [1, 2, 3].map(key).to_vec();
        Vote::start(ground, Partition(0), node(1), holds, keys, &seen(&[true, false, true], 7))
    }

    /// It has finished its own work, and its barriers have been taken; those of others are missing.
    fn sent(holds: bool) -> Vote {
        let mut vote = start(holds);
        assert_eq!(vote.on(Event::Finish(vec![0, 2])), [Effect::AwaitEnded]);
        assert_eq!(vote.on(Event::Ended), [Effect::SendBarriers([2, 3].map(node).into())]);
        assert_eq!(vote.on(Event::Sent), []);
        vote
    }

    fn looking(holds: bool) -> Vote {
        let mut vote = sent(holds);
        assert_eq!(vote.on(Event::Barrier(node(2))), []);
        assert_eq!(vote.on(Event::Barrier(node(3))), [Effect::Look(vec![key(1), key(3)])]);
        vote
    }

    #[test]
    fn lesson_6_without_everybodys_barrier_there_is_no_second_look() {
        let mut vote = sent(true);
        for _ in 0..3 {
            assert_eq!(vote.on(Event::Barrier(node(2))), [], "3 may still have something on its way");
        }
        assert_eq!(vote.on(Event::Reap(vec![0])), [Effect::Refuse(NoVote::OutOfStep)]);
    }

    #[test]
    fn own_work_is_waited_for_before_the_barriers_go_however_early_others_are() {
        let mut vote = start(true);
        for n in [2, 3] {
            assert_eq!(vote.on(Event::Barrier(node(n))), []);
        }
        assert_eq!(vote.on(Event::Finish(vec![2])), [Effect::AwaitEnded]);
        assert_eq!(vote.on(Event::Sent), [], "nothing was sent");
        assert_eq!(vote.on(Event::Ended), [Effect::SendBarriers([2, 3].map(node).into())]);
        assert_eq!(vote.on(Event::Sent), [Effect::Look(vec![key(3)])]);
        assert_eq!(vote.on(Event::Looked(seen(&[true], 7))), [Effect::Answer(vec![true])]);
        assert_eq!(vote.on(Event::Reap(vec![2])), [Effect::Reap(vec![key(3)])]);
        assert_eq!(vote.on(Event::Reap(vec![2])), [Effect::Refuse(NoVote::OutOfStep)], "once");
    }

    #[test]
    fn only_what_it_agreed_on_is_finished_or_reaped() {
        assert_eq!(start(true).on(Event::Finish(vec![1])), [Effect::Refuse(NoVote::OutOfStep)]);
        assert_eq!(start(true).on(Event::Finish(vec![9])), [Effect::Refuse(NoVote::OutOfStep)]);
        assert_eq!(start(true).on(Event::Reap(vec![0])), [Effect::Refuse(NoVote::OutOfStep)]);
        let mut vote = looking(true);
        // The first was written since.
        assert_eq!(vote.on(Event::Looked(seen(&[false, true], 7))), [Effect::Answer(vec![false, true])]);
        assert_eq!(vote.on(Event::Reap(vec![0, 2])), [Effect::Refuse(NoVote::OutOfStep)]);
    }

    #[test]
    fn a_hint_that_came_meanwhile_is_a_no_from_who_does_not_hold_the_partition() {
        let all = seen(&[true, true], 8);
        assert_eq!(looking(false).on(Event::Looked(all.clone())), [Effect::Refuse(NoVote::HintTaken)]);
        assert_eq!(
            looking(false).on(Event::Looked(seen(&[true, true], 7))),
            [Effect::Answer(vec![true, true])]
        );
        assert_eq!(looking(true).on(Event::Looked(all)), [Effect::Answer(vec![true, true])]);
    }

    #[test]
    fn a_lonely_member_waits_for_nobody() {
        let mut vote = start(true);
        vote.ground.members = [node(1)].into();
        vote.on(Event::Finish(vec![0]));
        assert_eq!(vote.on(Event::Ended), [Effect::SendBarriers(BTreeSet::new())]);
        assert_eq!(vote.on(Event::Sent), [Effect::Look(vec![key(1)])]);
    }
}
