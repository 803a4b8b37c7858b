//! The lines, step by step.

use dynamo_ring::{LayoutHash, LayoutId, Stamp, Step};

use super::*;
use crate::store::DataKey;

const A: NodeId = NodeId([1; 16]);
const B: NodeId = NodeId([2; 16]);

fn rules(epoch: u64) -> Rules {
    let stamp = Stamp { epoch, step: Step::Committed };
    let id = LayoutId { epoch, hash: LayoutHash([0; 16]) };
    Rules { stamp: SenderStamp { stamp, id }, leaving: false }
}

fn hint(target: NodeId, since_ms: u64) -> HintKey {
    HintKey { target, since_ms, key: DataKey::of(b"k").unwrap() }
}

fn batch(target: NodeId, after: Option<HintKey>, alone: bool) -> Batch {
    Batch { target, after, alone }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_pass_goes_batch_by_batch_and_then_rests() {
    let (mut queue, owed) = (Queue::default(), BTreeSet::from([A, B]));
    let now = seconds(9);
    assert_eq!(queue.due(now, rules(1), &owed, |_| true), [batch(A, None, false), batch(B, None, false)]);
    queue.done(A, Outcome::Went(hint(A, 5)), now);
    queue.done(B, Outcome::End, now);
    assert_eq!(queue.due(now, rules(1), &owed, |_| true), [batch(A, Some(hint(A, 5)), false)]);
    queue.done(A, Outcome::End, now);
    assert_eq!(queue.due(now, rules(1), &owed, |_| true), []);
    assert_eq!(queue.rest(now), AGAIN);
    assert_eq!(queue.due(now + AGAIN, rules(1), &owed, |_| true).len(), 2, "from the beginning");
}

#[test]
fn failures_are_waited_for_ever_longer_until_the_member_comes_back() {
    let (mut queue, owed) = (Queue::default(), BTreeSet::from([A]));
    let mut now = seconds(0);
    let mut rests = Vec::new();
    for _ in 0..8 {
        assert_eq!(queue.due(now, rules(1), &owed, |_| true).len(), 1);
        queue.done(A, Outcome::Failed, now);
        rests.push(queue.rest(now).as_secs());
        now += queue.rest(now);
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
    queue.due(now, rules(1), &owed, |_| true);
    queue.done(A, Outcome::Failed, now);
    assert_eq!(queue.due(now, rules(1), &owed, |_| false), []);
    assert_eq!(queue.due(now, rules(1), &owed, |_| true), [batch(A, None, false)], "it went and came back");
}

#[test]
fn a_failure_repeats_the_same_batch() {
    let (mut queue, owed) = (Queue::default(), BTreeSet::from([A]));
    queue.due(seconds(0), rules(1), &owed, |_| true);
    queue.done(A, Outcome::Went(hint(A, 5)), seconds(0));
    queue.due(seconds(0), rules(1), &owed, |_| true);
    queue.done(A, Outcome::Failed, seconds(0));
    assert_eq!(queue.due(seconds(1), rules(1), &owed, |_| true), [batch(A, Some(hint(A, 5)), false)]);
}

#[test]
fn who_is_down_has_passes_too_and_a_new_layout_begins_one_at_once() {
    let (mut queue, owed) = (Queue::default(), BTreeSet::from([A]));
    assert_eq!(queue.due(seconds(0), rules(1), &owed, |_| false), [batch(A, None, false)]);
    queue.done(A, Outcome::End, seconds(0));
    assert_eq!(queue.rest(seconds(0)), DOWN);
    assert_eq!(queue.due(seconds(1), rules(1), &owed, |_| false), []);
    assert_eq!(queue.due(seconds(1), rules(2), &owed, |_| false), [batch(A, None, false)]);

    let leaving = Rules { leaving: true, ..rules(2) };
    assert_eq!(queue.due(seconds(1), leaving, &owed, |_| false).len(), 1);
    queue.done(A, Outcome::End, seconds(1));
    assert_eq!(queue.rest(seconds(1)), LEAVING, "a node that leaves waits for nothing else");
}

#[test]
fn a_refused_batch_is_taken_apart_and_a_refused_hint_passed_over() {
    let (mut queue, owed) = (Queue::default(), BTreeSet::from([A]));
    let now = seconds(0);
    queue.due(now, rules(1), &owed, |_| true);
    queue.done(A, Outcome::Refused(hint(A, 9)), now);
    assert_eq!(queue.due(now, rules(1), &owed, |_| true), [batch(A, None, true)]);
    queue.done(A, Outcome::Refused(hint(A, 1)), now);
    assert_eq!(queue.due(now, rules(1), &owed, |_| true), [], "no hot loop over refusals");
    assert_eq!(queue.due(now + AGAIN, rules(1), &owed, |_| true), [batch(A, Some(hint(A, 1)), false)]);
    queue.done(A, Outcome::End, now + AGAIN);
    assert_eq!(queue.due(now + 2 * AGAIN, rules(1), &owed, |_| true), [batch(A, None, false)]);
}

#[test]
fn who_is_owed_nothing_is_forgotten() {
    let mut queue = Queue::default();
    queue.due(seconds(0), rules(1), &BTreeSet::from([A]), |_| true);
    queue.done(A, Outcome::Failed, seconds(0));
    assert_eq!(queue.due(seconds(0), rules(1), &BTreeSet::new(), |_| true), []);
    assert_eq!(queue.due(seconds(0), rules(1), &BTreeSet::from([A]), |_| true), [batch(A, None, false)]);
}
