use proptest::prelude::*;

use super::*;

fn node(i: u8) -> NodeId {
    NodeId([i; 16])
}

/// Holders 1, 2, 3; stand-ins 4, 5.
fn targets() -> ReadTargets {
    ReadTargets {
        holders: (1..=3).map(node).collect(),
        fallbacks: vec![node(4), node(5)],
        others: Vec::new(),
    }
}

fn all_up(_: NodeId) -> bool {
    true
}

fn all_up_but(down: &[u8]) -> impl Fn(NodeId) -> bool + Copy + '_ {
    |asked| !down.contains(&asked.0[0])
}

fn ask(i: u8) -> Effect {
    Effect::Ask { node: node(i), stand_in: false, part: Part::Whole }
}

fn ask_hash(i: u8) -> Effect {
    Effect::Ask { node: node(i), stand_in: false, part: Part::Digest }
}

fn stand_in(i: u8) -> Effect {
    Effect::Ask { node: node(i), stand_in: true, part: Part::Digest }
}

fn hash(state: u8) -> StateHash {
    StateHash([state; 16])
}

/// The member has the state `state`, and sends it.
fn whole(i: u8, state: u8) -> Event {
    Event::Found(node(i), Told::Whole(Some(hash(state))))
}

fn nothing(i: u8) -> Event {
    Event::Found(node(i), Told::Whole(None))
}

/// The member has the state `state`, and sends its hash.
fn digest(i: u8, state: u8) -> Event {
    Event::Found(node(i), Told::Digest(hash(state)))
}

/// `matched` of those that answered told a hash only.
fn answer(answered: usize, matched: usize, enough: bool, sloppy: bool) -> Effect {
    Effect::Answer(Outcome { answered, matched, enough, sloppy })
}

fn start(r: usize, up: impl Fn(NodeId) -> bool) -> (Read, Vec<Effect>) {
    Read::start(targets(), node(1), r, false, up)
}

#[test]
fn one_state_and_the_hashes_of_the_others_answer_it() {
    let (mut read, effects) = start(2, all_up);
    assert_eq!(effects, [ask(1), ask_hash(2), Effect::ArmHedge]);
    assert_eq!(read.on(digest(2, 1), all_up), []);
    assert_eq!(read.on(digest(2, 1), all_up), [], "one member is one answer");
    assert_eq!(read.on(whole(1, 1), all_up), [answer(2, 1, true, false)]);
    assert_eq!(read.on(Event::HedgeDue, all_up), [], "nothing follows");
}

#[test]
fn a_hash_that_differs_has_its_state_fetched_before_it_counts() {
    let (mut read, _) = start(2, all_up);
    assert_eq!(read.on(whole(1, 1), all_up), []);
    assert_eq!(read.on(digest(2, 2), all_up), [ask(2)]);
    assert_eq!(read.on(whole(2, 2), all_up), [answer(2, 0, true, false)]);
}

#[test]
fn of_two_that_have_one_other_state_one_sends_it() {
    let (mut read, effects) = start(3, all_up);
    assert_eq!(effects, [ask(1), ask_hash(2), ask_hash(3), Effect::ArmHedge]);
    read.on(digest(2, 2), all_up);
    read.on(digest(3, 2), all_up);
    assert_eq!(read.on(whole(1, 1), all_up), [ask(2)]);
    assert_eq!(read.on(whole(2, 2), all_up), [answer(3, 1, true, false)]);
}

#[test]
fn a_state_that_moved_on_between_hash_and_fetch_leaves_no_hash_unanswered() {
    let (mut read, _) = start(3, all_up);
    read.on(whole(1, 1), all_up);
    assert_eq!(read.on(digest(2, 2), all_up), [ask(2)]);
    assert_eq!(read.on(digest(3, 2), all_up), [], "it is on its way from 2");
    assert_eq!(read.on(whole(2, 3), all_up), [ask(3)], "2 has another one by now");
    assert_eq!(read.on(whole(3, 3), all_up), [answer(3, 0, true, false)]);
}

#[test]
fn one_that_knows_nothing_has_answered_and_those_that_do_send_their_state() {
    let (mut read, _) = start(2, all_up);
    assert_eq!(read.on(nothing(1), all_up), []);
    assert_eq!(read.on(digest(2, 1), all_up), [ask(2)]);
    assert_eq!(read.on(whole(2, 1), all_up), [answer(2, 0, true, false)]);
    let (mut read, _) = start(2, all_up);
    read.on(nothing(1), all_up);
    assert_eq!(read.on(nothing(2), all_up), [answer(2, 0, true, false)]);
}

#[test]
fn if_the_state_does_not_come_another_member_sends_it() {
    let (mut read, _) = start(2, all_up);
    read.on(digest(2, 1), all_up);
    assert_eq!(read.on(Event::Failed(node(1)), all_up), [ask(3)]);
    assert_eq!(read.on(whole(3, 1), all_up), [answer(2, 1, true, false)]);
    // It is late, not lost: the hash need not wait for it, and it may still come.
    let (mut read, _) = start(2, all_up);
    read.on(digest(2, 1), all_up);
    assert_eq!(read.on(Event::HedgeDue, all_up), [ask(3), Effect::ArmHedge]);
    assert_eq!(read.on(Event::HedgeDue, all_up), [ask(2), Effect::ArmHedge], "3 is late too");
    assert_eq!(read.on(whole(1, 1), all_up), [answer(2, 1, true, false)]);
}

#[test]
fn what_only_hashes_are_known_of_is_no_answer() {
    let up = all_up_but(&[3]);
    let (mut read, effects) = Read::start(targets(), node(1), 2, true, up);
    assert_eq!(effects, [ask(1), ask_hash(2), Effect::ArmHedge]);
    read.on(digest(2, 1), up);
    assert_eq!(read.on(Event::Failed(node(1)), up), [ask(2)]);
    assert_eq!(read.on(Event::DeadlineDue, up), [answer(0, 0, false, false)]);
    // With the state it is one, and a partial read may have it.
    let (mut read, _) = Read::start(targets(), node(1), 2, true, up);
    read.on(digest(2, 1), up);
    read.on(Event::Failed(node(1)), up);
    assert_eq!(read.on(whole(2, 1), up), [answer(1, 0, false, false)]);
}

#[test]
fn one_that_fails_to_send_the_state_behind_its_hash_is_replaced() {
    let (mut read, _) = start(2, all_up);
    read.on(whole(1, 1), all_up);
    assert_eq!(read.on(digest(2, 2), all_up), [ask(2)]);
    assert_eq!(read.on(Event::Failed(node(2)), all_up), [ask_hash(3)]);
    assert_eq!(read.on(Event::Failed(node(2)), all_up), [], "it has failed once");
    assert_eq!(read.on(digest(3, 1), all_up), [answer(2, 1, true, false)]);
}

#[test]
fn where_what_was_found_lacks_something_the_others_are_asked_one_by_one() {
    let (mut read, _) = start(1, all_up);
    assert_eq!(read.on(whole(1, 1), all_up), [answer(1, 0, true, false)]);
    assert_eq!(read.go_on(all_up), [ask_hash(2), Effect::ArmHedge]);
    assert_eq!(read.on(digest(2, 2), all_up), [ask(2)]);
    assert_eq!(read.on(whole(2, 2), all_up), [answer(2, 0, true, false)]);
    assert_eq!(read.go_on(all_up), [ask_hash(3)]);
    assert_eq!(read.on(digest(3, 2), all_up), [answer(3, 1, true, false)]);
    assert_eq!(read.go_on(all_up), [answer(3, 1, true, false)], "nobody is left");
}

#[test]
fn going_on_a_missing_member_is_stood_in_for_and_the_deadline_still_holds() {
    let (mut read, _) = start(1, all_up_but(&[2]));
    read.on(whole(1, 1), all_up_but(&[2]));
    assert_eq!(read.go_on(all_up_but(&[2])), [ask_hash(3)]);
    assert_eq!(read.on(digest(3, 1), all_up_but(&[2])), [answer(2, 1, true, false)]);
    assert_eq!(read.go_on(all_up_but(&[2])), [stand_in(4)]);
    assert_eq!(read.on(Event::DeadlineDue, all_up), [answer(2, 1, true, false)]);
}

#[test]
fn one_more_is_asked_for_one_that_is_slow() {
    let (mut read, _) = start(2, all_up);
    read.on(whole(1, 1), all_up);
    assert_eq!(read.on(Event::HedgeDue, all_up), [ask_hash(3)]);
    assert_eq!(read.on(digest(3, 1), all_up), [answer(2, 1, true, false)]);
}

#[test]
fn one_more_is_asked_for_one_that_fails() {
    let (mut read, _) = start(2, all_up);
    assert_eq!(read.on(Event::Failed(node(2)), all_up), [ask_hash(3)]);
    read.on(whole(1, 1), all_up);
    assert_eq!(read.on(digest(3, 1), all_up), [answer(2, 1, true, false)]);
}

#[test]
fn a_stand_in_replaces_only_one_that_is_missing() {
    let up = all_up_but(&[2]);
    let (mut read, effects) = start(2, up);
    assert_eq!(effects, [ask(1), ask_hash(3), Effect::ArmHedge]);
    assert_eq!(read.on(Event::HedgeDue, up), [], "no own member is left to ask");
    assert_eq!(
        read.on(Event::Failed(node(3)), up),
        [Effect::Ask { node: node(4), stand_in: true, part: Part::Whole }]
    );
    read.on(Event::Failed(node(4)), up);
    read.on(whole(1, 1), up);
    assert_eq!(read.on(digest(5, 1), up), [answer(2, 1, true, true)]);
}

#[test]
fn a_stand_in_that_fails_makes_room_for_the_next() {
    let up = all_up_but(&[2, 3]);
    let (mut read, effects) = start(2, up);
    assert_eq!(effects, [ask(1), stand_in(4), Effect::ArmHedge]);
    assert_eq!(read.on(Event::Failed(node(4)), up), [stand_in(5)]);
    assert_eq!(read.on(Event::Failed(node(5)), up), []);
    assert_eq!(read.on(whole(1, 1), up), [answer(1, 0, false, false)]);
}

#[test]
fn the_silent_are_stood_in_for_after_the_handoff_time() {
    let (mut read, _) = start(2, all_up);
    read.on(whole(1, 1), all_up);
    assert_eq!(read.on(Event::HedgeDue, all_up), [ask_hash(3)]);
    assert_eq!(read.on(Event::HandoffDue, all_up), [stand_in(4)]);
    assert_eq!(read.on(nothing(4), all_up), [answer(2, 0, true, true)]);
}

#[test]
fn one_that_is_silent_about_the_state_behind_its_hash_is_stood_in_for() {
    let (mut read, _) =
        Read::start(ReadTargets { holders: vec![node(1), node(2)], ..targets() }, node(1), 2, false, all_up);
    read.on(whole(1, 1), all_up);
    assert_eq!(read.on(digest(2, 2), all_up), [ask(2)]);
    assert_eq!(read.on(Event::HandoffDue, all_up), [stand_in(4)]);
    assert_eq!(read.on(digest(4, 1), all_up), [answer(2, 1, true, true)]);
}

#[test]
fn a_strict_read_asks_no_stand_in_and_says_at_once_that_it_is_short() {
    let up = all_up_but(&[2, 3]);
    let (mut read, effects) = Read::start(targets(), node(1), 2, true, up);
    assert_eq!(effects, [ask(1)]);
    assert_eq!(read.on(whole(1, 1), up), [answer(1, 0, false, false)]);
}

#[test]
fn the_deadline_answers_with_what_there_is() {
    let (mut read, _) = start(2, all_up);
    read.on(whole(1, 2), all_up);
    assert_eq!(read.on(Event::DeadlineDue, all_up), [answer(1, 0, false, false)]);
}

#[test]
fn with_nobody_to_ask_it_is_answered_at_once() {
    let (_, effects) = Read::start(targets(), node(9), 1, true, |_| false);
    assert_eq!(effects, [answer(0, 0, false, false)]);
}

#[test]
fn one_answer_alone_is_asked_for_whole_also_when_it_is_hedged() {
    let (mut read, effects) = start(1, all_up);
    assert_eq!(effects, [ask(1), Effect::ArmHedge]);
    assert_eq!(read.on(Event::HedgeDue, all_up), [ask(2), Effect::ArmHedge]);
    assert_eq!(read.on(whole(2, 1), all_up), [answer(1, 0, true, false)]);
}

/// A request that is out: to whom, and what for.
type Out = (NodeId, Part);

proptest! {
    #[test]
    fn whatever_happens_it_answers_once_and_counts_only_what_was_found_whole(
        strict: bool,
        r in 1usize..=3,
        down in prop::collection::vec(2u8..6, 0..4),
        happenings in prop::collection::vec((0u8..8, any::<prop::sample::Index>(), 0u8..3), 0..30),
    ) {
        let up = all_up_but(&down);
        let (mut read, effects) = Read::start(targets(), node(1), r, strict, up);
        let mut out: Vec<Out> = Vec::new();
        let mut asked_ever: Vec<Out> = Vec::new();
        let mut told: Vec<(NodeId, Told)> = Vec::new();
        let mut failed: Vec<NodeId> = Vec::new();
        let mut answers = Vec::new();
        let mut pending = effects;
        let mut happenings = happenings.into_iter().map(Some).chain(std::iter::repeat_n(None, 20));
        loop {
            for effect in pending {
                match effect {
                    Effect::Ask { node, stand_in, part } => {
                        prop_assert!(!asked_ever.contains(&(node, part)), "each is asked once for each");
                        prop_assert!(!asked_ever.contains(&(node, Part::Whole)), "all that there is");
                        prop_assert!(!(strict && stand_in));
                        asked_ever.push((node, part));
                        out.push((node, part));
                    }
                    Effect::Answer(outcome) => answers.push((outcome, told.clone())),
                    Effect::ArmHedge => {}
                }
            }
            let event = match happenings.next() {
                Some(Some((kind, which, state))) if kind < 6 && !out.is_empty() => {
                    let (node, part) = out.remove(which.index(out.len()));
                    let state = (state > 0).then(|| hash(state));
                    match (kind < 4, part, state) {
                        (false, ..) => {
                            failed.push(node);
                            Event::Failed(node)
                        }
                        (true, Part::Digest, Some(hash)) => {
                            told.push((node, Told::Digest(hash)));
                            Event::Found(node, Told::Digest(hash))
                        }
                        (true, _, state) => {
                            told.retain(|(earlier, _)| *earlier != node);
                            told.push((node, Told::Whole(state)));
                            Event::Found(node, Told::Whole(state))
                        }
                    }
                }
                Some(Some((6, ..))) => Event::HedgeDue,
                Some(Some(_)) => Event::HandoffDue,
                // In the end whoever is silent fails.
                Some(None) => match out.pop() {
                    Some((node, _)) => {
                        failed.push(node);
                        Event::Failed(node)
                    }
                    None => Event::HedgeDue,
                },
                None => break,
            };
            told.retain(|(node, _)| !failed.contains(node));
            pending = read.on(event, up);
        }
        prop_assert_eq!(answers.len(), 1);
        let (outcome, told) = &answers[0];
        let found = |hash: &StateHash| told.iter().any(|(_, told)| *told == Told::Whole(Some(*hash)));
        let counts = |told: &&(NodeId, Told)| match &told.1 {
            Told::Whole(_) => true,
            Told::Digest(hash) => found(hash),
        };
        prop_assert_eq!(outcome.answered, told.iter().filter(counts).count());
        prop_assert_eq!(outcome.enough, outcome.answered >= r);
    }
}
