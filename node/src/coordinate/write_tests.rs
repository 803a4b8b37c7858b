use proptest::prelude::*;

use super::*;
use crate::coordinate::targets::{Fallback, Holder};

fn node(i: u8) -> NodeId {
    NodeId([i; 16])
}

fn fallback(i: u8) -> Fallback {
    Fallback { node: node(i), counts: Sides::BOTH }
}

/// Holders 1, 2, 3; stand-ins 4, 5.
fn settled_layout() -> WriteTargets {
    let holders = (1..=3).map(|i| Holder { node: node(i), sides: Sides::STABLE }).collect();
    WriteTargets { sides: Sides::STABLE, holders, fallbacks: vec![fallback(4), fallback(5)] }
}

/// S holds at 1, 2, 3; T at 2, 3, 4; stand-ins 5, 6.
fn changing_layout() -> WriteTargets {
    let sides = [Sides::STABLE, Sides::BOTH, Sides::BOTH, Sides::TARGET];
    let holders = (1..).zip(sides).map(|(i, sides)| Holder { node: node(i), sides }).collect();
    WriteTargets { sides: Sides::BOTH, holders, fallbacks: vec![fallback(5), fallback(6)] }
}

fn all_up(_: NodeId) -> bool {
    true
}

fn all_up_but(down: &[u8]) -> impl Fn(NodeId) -> bool + Copy + '_ {
    |asked| !down.contains(&asked.0[0])
}

fn send(to: u8) -> Effect {
    Effect::Send { to: node(to), hint_for: None }
}

fn stand_in(to: u8, hint_for: u8) -> Effect {
    Effect::Send { to: node(to), hint_for: Some(node(hint_for)) }
}

fn done(answered: usize, sloppy: bool) -> Effect {
    Effect::Answer(Outcome::Done { answered, sloppy })
}

fn short(answered: usize) -> Effect {
    Effect::Answer(Outcome::Short { answered })
}

fn start(targets: WriteTargets, w: usize, up: impl Fn(NodeId) -> bool) -> (Write, Vec<Effect>) {
    Write::start(targets, node(1), Own::Holder, w, false, up)
}

#[test]
fn a_healthy_write_is_answered_by_w_and_settled_by_all() {
    let (mut write, effects) = start(settled_layout(), 2, all_up);
    assert_eq!(effects, [send(2), send(3)]);
    assert_eq!(write.on(Event::Stored(node(3)), all_up), []);
    assert_eq!(write.on(Event::OwnSynced, all_up), [done(2, false)]);
    assert!(!write.settled(), "member 2 is still owed the write");
    assert_eq!(write.on(Event::Stored(node(2)), all_up), []);
    assert!(write.settled());
}

#[test]
fn the_own_copy_counts_only_once_it_is_on_disk() {
    let (mut write, _) = start(settled_layout(), 2, all_up);
    assert_eq!(write.on(Event::Stored(node(2)), all_up), []);
    assert_eq!(write.on(Event::Stored(node(2)), all_up), [], "nor does one member count twice");
    assert_eq!(write.on(Event::OwnSynced, all_up), [done(2, false)]);
}

#[test]
fn one_that_is_down_is_replaced_at_once_by_the_next_healthy_one() {
    let up = all_up_but(&[3, 4]);
    let (mut write, effects) = start(settled_layout(), 3, up);
    assert_eq!(effects, [send(2), stand_in(5, 3)]);
    assert_eq!(write.on(Event::OwnSynced, up), []);
    assert_eq!(write.on(Event::Stored(node(5)), up), []);
    assert_eq!(write.on(Event::Stored(node(2)), up), [done(3, true)]);
    assert!(write.settled());
}

#[test]
fn sloppy_is_said_only_if_stand_ins_were_needed() {
    let up = all_up_but(&[3]);
    let (mut write, _) = start(settled_layout(), 2, up);
    write.on(Event::Stored(node(2)), up);
    assert_eq!(write.on(Event::OwnSynced, up), [done(2, false)]);
    assert!(!write.settled(), "the stand-in has not stored its copy yet");
}

#[test]
fn where_nobody_stands_in_the_coordinator_keeps_the_hint_which_does_not_count() {
    let up = all_up_but(&[3, 4, 5]);
    let (mut write, effects) = start(settled_layout(), 3, up);
    assert_eq!(effects, [send(2), Effect::Hint(node(3))]);
    write.on(Event::OwnSynced, up);
    assert_eq!(write.on(Event::Hinted(node(3)), up), []);
    assert_eq!(write.on(Event::Stored(node(2)), up), [short(2)]);
    assert!(write.settled());
}

#[test]
fn a_strict_write_asks_no_stand_in_but_leaves_a_hint() {
    let up = all_up_but(&[3]);
    let (mut write, effects) = Write::start(settled_layout(), node(1), Own::Holder, 2, true, up);
    assert_eq!(effects, [send(2), Effect::Hint(node(3))]);
    assert_eq!(write.on(Event::Failed(node(2)), up), [Effect::Hint(node(2))]);
    assert_eq!(write.on(Event::OwnSynced, up), [short(1)]);
}

#[test]
fn who_is_late_gets_a_stand_in_also_after_the_answer() {
    let (mut write, _) = start(settled_layout(), 2, all_up);
    write.on(Event::OwnSynced, all_up);
    assert_eq!(write.on(Event::Stored(node(2)), all_up), [done(2, false)]);
    assert_eq!(write.on(Event::HandoffDue, all_up), [stand_in(4, 3)]);
    assert_eq!(write.on(Event::Failed(node(4)), all_up), [stand_in(5, 3)]);
    assert_eq!(write.on(Event::Failed(node(5)), all_up), [Effect::Hint(node(3))]);
    assert!(!write.settled());
    assert_eq!(write.on(Event::Hinted(node(3)), all_up), []);
    assert!(write.settled());
}

#[test]
fn a_stand_in_that_only_the_target_names_is_no_copy_of_the_stable_layout() {
    // Holder 1 coordinates; 2 and 3, of both layouts, are down. Of the stand-ins only the target names 6.
    let newcomer = Fallback { node: node(6), counts: Sides::TARGET };
    let up = all_up_but(&[2, 3, 5]);
    let targets = || WriteTargets { fallbacks: vec![fallback(5), newcomer], ..changing_layout() };
    let (mut write, effects) = start(targets(), 2, up);
    assert_eq!(effects, [send(4), stand_in(6, 2), Effect::Hint(node(3))]);
    for event in [Event::OwnSynced, Event::Hinted(node(3)), Event::Stored(node(4))] {
        assert_eq!(write.on(event, up), []);
    }
    assert_eq!(write.on(Event::Stored(node(6)), up), [short(1)], "the stable layout has one copy: the own");
    assert!(write.settled(), "it is kept all the same");

    let up = all_up_but(&[2, 3]);
    let (mut write, effects) = start(targets(), 2, up);
    assert_eq!(
        effects,
        [send(4), stand_in(5, 2), stand_in(6, 3)],
        "those that the stable layout names come first"
    );
    for event in [Event::OwnSynced, Event::Stored(node(6)), Event::Stored(node(4))] {
        assert_eq!(write.on(event, up), []);
    }
    assert_eq!(write.on(Event::Stored(node(5)), up), [done(2, true)]);
}

#[test]
fn a_coordinator_that_only_the_target_names_does_not_stand_in_for_a_copy_of_the_stable_layout() {
    let newcomer = Fallback { node: node(6), counts: Sides::TARGET };
    let targets = WriteTargets { fallbacks: vec![newcomer], ..changing_layout() };
    let up = all_up_but(&[1, 2, 3, 4]);
    let (mut write, _) = Write::start(targets, node(6), Own::StandsInFor(node(1)), 1, false, up);
    write.on(Event::Hinted(node(2)), up);
    write.on(Event::Hinted(node(3)), up);
    write.on(Event::Hinted(node(4)), up);
    assert_eq!(write.on(Event::OwnSynced, up), [short(0)]);
}

#[test]
fn a_late_one_that_answers_after_all_settles_its_place() {
    let (mut write, _) = start(settled_layout(), 2, all_up);
    write.on(Event::OwnSynced, all_up);
    write.on(Event::Stored(node(2)), all_up);
    write.on(Event::HandoffDue, all_up);
    assert_eq!(write.on(Event::Stored(node(3)), all_up), []);
    assert!(write.settled());
}

#[test]
fn the_coordinator_is_not_replaced_for_a_slow_disk_of_its_own() {
    let (mut write, _) = start(settled_layout(), 3, all_up);
    write.on(Event::Stored(node(2)), all_up);
    write.on(Event::Stored(node(3)), all_up);
    assert_eq!(write.on(Event::HandoffDue, all_up), []);
    assert_eq!(write.on(Event::OwnSynced, all_up), [done(3, false)]);
}

#[test]
fn lesson_11_during_a_change_both_layouts_need_their_quorum() {
    let (mut write, effects) = start(changing_layout(), 2, all_up);
    assert_eq!(effects, [send(2), send(3), send(4)]);
    assert_eq!(write.on(Event::OwnSynced, all_up), []);
    assert_eq!(write.on(Event::Stored(node(2)), all_up), [], "two in S, one in T");
    assert_eq!(write.on(Event::Stored(node(4)), all_up), [done(2, false)]);
}

#[test]
fn a_stand_in_counts_for_the_layouts_of_the_one_it_replaces() {
    let up = all_up_but(&[3]);
    let (mut write, effects) = start(changing_layout(), 2, up);
    assert_eq!(effects, [send(2), send(4), stand_in(5, 3)]);
    write.on(Event::OwnSynced, up);
    assert_eq!(write.on(Event::Stored(node(5)), up), []);
    assert_eq!(write.on(Event::Stored(node(4)), up), [done(2, true)]);
}

#[test]
fn the_deadline_answers_and_leaves_hints_for_all_that_are_silent() {
    let (mut write, _) = start(settled_layout(), 2, all_up);
    write.on(Event::OwnSynced, all_up);
    let effects = write.on(Event::DeadlineDue, all_up);
    assert_eq!(effects, [short(1), Effect::Hint(node(2)), Effect::Hint(node(3))]);
    assert_eq!(write.on(Event::Stored(node(2)), all_up), [], "it is answered once");
}

#[test]
fn without_a_holder_a_stand_in_coordinates() {
    let up = all_up_but(&[1, 2, 3]);
    let own = Own::StandsInFor(node(1));
    let (mut write, effects) = Write::start(settled_layout(), node(4), own, 2, false, up);
    assert_eq!(effects, [stand_in(5, 2), Effect::Hint(node(3))]);
    assert_eq!(write.on(Event::OwnSynced, up), []);
    assert_eq!(write.on(Event::Stored(node(5)), up), [done(2, true)]);
}

#[test]
fn one_that_has_lost_the_key_meanwhile_sends_it_on_without_counting_itself() {
    let (mut write, effects) = Write::start(settled_layout(), node(9), Own::Absent, 2, false, all_up);
    assert_eq!(effects, [send(1), send(2), send(3)]);
    write.on(Event::Stored(node(1)), all_up);
    assert_eq!(write.on(Event::Stored(node(2)), all_up), [done(2, false)]);
}

#[test]
fn a_failed_own_disk_is_replaced_like_any_other() {
    let (mut write, _) = start(settled_layout(), 2, all_up);
    assert_eq!(write.on(Event::OwnFailed, all_up), [stand_in(4, 1)]);
    write.on(Event::Stored(node(2)), all_up);
    assert_eq!(write.on(Event::Stored(node(3)), all_up), [done(2, false)]);
}

/// Something a network and a few disks may do.
#[derive(Debug, Clone)]
enum Happening {
    /// One of the sends that are out is answered.
    Answered {
        which: prop::sample::Index,
        stored: bool,
    },
    Own {
        synced: bool,
    },
    Handoff,
    Deadline,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (any::<prop::sample::Index>(), prop::bool::weighted(0.6))
            .prop_map(|(which, stored)| Happening::Answered { which, stored }),
        1 => prop::bool::weighted(0.9).prop_map(|synced| Happening::Own { synced }),
        1 => Just(Happening::Handoff),
        1 => Just(Happening::Deadline),
    ];
    prop::collection::vec(one, 0..30)
}

/// A world around a write: what is out, who has it, who is owed it.
struct World {
    write: Write,
    out: Vec<(NodeId, Option<NodeId>)>,
    own_open: bool,
    /// On disk, and in whose place.
    stored: Vec<(NodeId, NodeId)>,
    hinted: Vec<NodeId>,
    answers: Vec<(Outcome, Vec<(NodeId, NodeId)>)>,
}

impl World {
    fn perform(&mut self, effects: Vec<Effect>, up: impl Fn(NodeId) -> bool + Copy) {
        for effect in effects {
            match effect {
                Effect::Send { to, hint_for } => self.out.push((to, hint_for)),
                Effect::Answer(outcome) => self.answers.push((outcome, self.stored.clone())),
                Effect::Hint(target) => {
                    self.hinted.push(target);
                    let effects = self.write.on(Event::Hinted(target), up);
                    self.perform(effects, up);
                }
            }
        }
    }

    fn happen(&mut self, happening: &Happening, me: NodeId, up: impl Fn(NodeId) -> bool + Copy) {
        let event = match happening {
            Happening::Answered { which, stored } => {
                if self.out.is_empty() {
                    return;
                }
                let (node, hint_for) = self.out.remove(which.index(self.out.len()));
                if *stored {
                    self.stored.push((node, hint_for.unwrap_or(node)));
                    Event::Stored(node)
                } else {
                    Event::Failed(node)
                }
            }
            Happening::Own { synced } if std::mem::take(&mut self.own_open) => {
                if *synced {
                    self.stored.push((me, me));
                    Event::OwnSynced
                } else {
                    Event::OwnFailed
                }
            }
            Happening::Own { .. } => return,
            Happening::Handoff => Event::HandoffDue,
            Happening::Deadline => Event::DeadlineDue,
        };
        let effects = self.write.on(event, up);
        self.perform(effects, up);
    }
}

proptest! {
    #[test]
    fn whatever_happens_an_answer_is_true_and_nobody_is_forgotten(
        changing: bool,
        strict: bool,
        w in 1usize..=3,
        down in prop::collection::vec(2u8..7, 0..4),
        happenings in happenings(),
    ) {
        let targets = if changing { changing_layout() } else { settled_layout() };
        let up = all_up_but(&down);
        let me = node(1);
        let (write, effects) = Write::start(targets.clone(), me, Own::Holder, w, strict, up);
        let mut world = World {
            write, out: Vec::new(), own_open: true, stored: Vec::new(), hinted: Vec::new(), answers: Vec::new(),
        };
        world.perform(effects, up);
        for happening in &happenings {
            world.happen(happening, me, up);
        }
        // In the end every send is answered, and the deadline passes.
        world.happen(&Happening::Own { synced: true }, me, up);
        world.happen(&Happening::Deadline, me, up);
        let refused = Happening::Answered { which: some_index(), stored: false };
        for _ in 0..20 {
            world.happen(&refused, me, up);
        }
        prop_assert!(world.write.settled());
        prop_assert_eq!(world.answers.len(), 1);

        let (outcome, stored) = &world.answers[0];
        for side in targets.sides.iter() {
            let counts = |place: &NodeId| targets.sides_of(*place).is_some_and(|sides| sides.has(side));
            let mut copies: Vec<NodeId> =
                stored.iter().filter(|(_, place)| counts(place)).map(|(node, _)| *node).collect();
            copies.sort_unstable();
            copies.dedup();
            match outcome {
                Outcome::Done { answered, .. } => prop_assert!(*answered >= w && copies.len() >= *answered),
                Outcome::Short { answered } => prop_assert!(*answered < w),
            }
        }
        for holder in &targets.holders {
            let has_it = world.stored.iter().any(|(_, place)| *place == holder.node);
            prop_assert!(has_it || world.hinted.contains(&holder.node) || holder.node == me);
        }
        if strict {
            prop_assert!(world.stored.iter().all(|(node, place)| node == place));
        }
    }
}

/// One choice, always the same.
fn some_index() -> prop::sample::Index {
    use proptest::arbitrary::Arbitrary;
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    prop::sample::Index::arbitrary().new_tree(&mut runner).unwrap().current()
}
