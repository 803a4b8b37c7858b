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
    Effect::Ask { node: node(i), stand_in: false }
}

fn stand_in(i: u8) -> Effect {
    Effect::Ask { node: node(i), stand_in: true }
}

fn answer(answered: usize, enough: bool, sloppy: bool) -> Effect {
    Effect::Answer(Outcome { answered, enough, sloppy })
}

fn start(up: impl Fn(NodeId) -> bool) -> (Read, Vec<Effect>) {
    Read::start(targets(), node(1), 2, false, up)
}

#[test]
fn r_members_are_asked_and_answer_it() {
    let (mut read, effects) = start(all_up);
    assert_eq!(effects, [ask(1), ask(2), Effect::ArmHedge]);
    assert_eq!(read.on(Event::Found(node(2)), all_up), []);
    assert_eq!(read.on(Event::Found(node(2)), all_up), [], "one member is one answer");
    assert_eq!(read.on(Event::Found(node(1)), all_up), [answer(2, true, false)]);
    assert_eq!(read.on(Event::HedgeDue, all_up), [], "nothing follows");
}

#[test]
fn one_more_is_asked_for_one_that_is_slow() {
    let (mut read, _) = start(all_up);
    read.on(Event::Found(node(1)), all_up);
    assert_eq!(read.on(Event::HedgeDue, all_up), [ask(3)]);
    assert_eq!(read.on(Event::Found(node(3)), all_up), [answer(2, true, false)]);
}

#[test]
fn one_more_is_asked_for_one_that_fails() {
    let (mut read, _) = start(all_up);
    assert_eq!(read.on(Event::Failed(node(2)), all_up), [ask(3)]);
    read.on(Event::Found(node(1)), all_up);
    assert_eq!(read.on(Event::Found(node(3)), all_up), [answer(2, true, false)]);
}

#[test]
fn a_stand_in_replaces_only_one_that_is_missing() {
    let up = all_up_but(&[2]);
    let (mut read, effects) = start(up);
    assert_eq!(effects, [ask(1), ask(3)]);
    assert_eq!(read.on(Event::HedgeDue, up), [stand_in(4)]);
    assert_eq!(read.on(Event::HedgeDue, up), [], "one is missing, one stands in");
    assert_eq!(read.on(Event::Failed(node(3)), up), [stand_in(5)]);
    read.on(Event::Found(node(4)), up);
    assert_eq!(read.on(Event::Found(node(5)), up), [answer(2, true, true)]);
}

#[test]
fn a_stand_in_that_fails_makes_room_for_the_next() {
    let up = all_up_but(&[2, 3]);
    let (mut read, effects) = start(up);
    assert_eq!(effects, [ask(1), stand_in(4)]);
    assert_eq!(read.on(Event::Failed(node(4)), up), [stand_in(5)]);
    assert_eq!(read.on(Event::Failed(node(5)), up), []);
    assert_eq!(read.on(Event::Found(node(1)), up), [answer(1, false, false)]);
}

#[test]
fn the_silent_are_stood_in_for_after_the_handoff_time() {
    let (mut read, _) = start(all_up);
    read.on(Event::Found(node(1)), all_up);
    assert_eq!(read.on(Event::HedgeDue, all_up), [ask(3)]);
    assert_eq!(read.on(Event::HandoffDue, all_up), [stand_in(4)]);
    assert_eq!(read.on(Event::Found(node(4)), all_up), [answer(2, true, true)]);
}

#[test]
fn a_strict_read_asks_no_stand_in_and_says_at_once_that_it_is_short() {
    let up = all_up_but(&[2, 3]);
    let (mut read, effects) = Read::start(targets(), node(1), 2, true, up);
    assert_eq!(effects, [ask(1)]);
    assert_eq!(read.on(Event::Found(node(1)), up), [answer(1, false, false)]);
}

#[test]
fn the_deadline_answers_with_what_there_is() {
    let (mut read, _) = start(all_up);
    read.on(Event::Found(node(2)), all_up);
    assert_eq!(read.on(Event::DeadlineDue, all_up), [answer(1, false, false)]);
}

#[test]
fn with_nobody_to_ask_it_is_answered_at_once() {
    let (_, effects) = Read::start(targets(), node(9), 1, true, |_| false);
    assert_eq!(effects, [answer(0, false, false)]);
}

proptest! {
    #[test]
    fn whatever_happens_it_answers_once_and_counts_truly(
        strict: bool,
        r in 1usize..=3,
        down in prop::collection::vec(2u8..6, 0..4),
        happenings in prop::collection::vec((0u8..8, any::<prop::sample::Index>()), 0..30),
    ) {
        let up = all_up_but(&down);
        let (mut read, effects) = Read::start(targets(), node(1), r, strict, up);
        let (mut out, mut found, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let mut asked_ever = Vec::new();
        let mut pending = effects;
        let mut happenings = happenings.into_iter().map(Some).chain(std::iter::repeat_n(None, 10));
        loop {
            for effect in pending {
                match effect {
                    Effect::Ask { node, stand_in } => {
                        prop_assert!(!asked_ever.contains(&node), "each is asked once");
                        prop_assert!(!(strict && stand_in));
                        asked_ever.push(node);
                        out.push(node);
                    }
                    Effect::Answer(outcome) => answers.push((outcome, found.len())),
                    Effect::ArmHedge => {}
                }
            }
            let event = match happenings.next() {
                Some(Some((kind, which))) if kind < 6 && !out.is_empty() => {
                    let node = out.remove(which.index(out.len()));
                    if kind < 4 {
                        found.push(node);
                        Event::Found(node)
                    } else {
                        Event::Failed(node)
                    }
                }
                Some(Some((6, _))) => Event::HedgeDue,
                Some(Some(_)) => Event::HandoffDue,
                // In the end whoever is silent fails.
                Some(None) => match out.pop() {
                    Some(node) => Event::Failed(node),
                    None => Event::HedgeDue,
                },
                None => break,
            };
            pending = read.on(event, up);
        }
        prop_assert_eq!(answers.len(), 1);
        let (outcome, found_then) = answers[0];
        prop_assert_eq!(outcome.answered, found_then);
        prop_assert_eq!(outcome.enough, found_then >= r);
    }
}
