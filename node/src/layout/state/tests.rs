//! The machine, event by event, with exact effects; then random histories with restarts at any point.

use std::collections::VecDeque;

use dynamo_ring::{ClusterId, Member, Partitions, Quorum, plan};
use proptest::prelude::*;

use super::*;

const QUORUM: Quorum = Quorum { n: 3, r: 2, w: 2 };

pub(crate) fn member_id(i: u8) -> NodeId {
    NodeId([i + 1; 16])
}

pub(crate) fn members(range: std::ops::Range<u8>) -> Vec<Member> {
    let member = |i| Member {
        name: format!("cart-{i}"),
        node_id: member_id(i),
        zone: String::new(),
        address: format!("cart-{i}.cart-peers:7070"),
        weight: 1,
    };
    range.map(member).collect()
}

/// A first record of so many members, over eight partitions.
pub(crate) fn fresh(count: u8) -> Record {
    let q = Partitions::new(8).unwrap();
    let layout = plan::first(&members(0..count), q, 3, ClusterId([7; 16])).unwrap();
    Record::first(layout, QUORUM).unwrap()
}

/// What member `i` sees of a record on which it has acted.
pub(crate) fn standing(i: u8, record: &Record) -> Standing {
    let me = member_id(i);
    let held = record.stable().partitions().iter().filter(|p| record.view().holds(&me, *p));
    Standing {
        me,
        record: Arc::new(record.clone()),
        held: Arc::new(held.collect()),
        cleaned: Some(record.id()),
        acked: true,
        handed_over: None,
        retired: false,
    }
}

fn dormant(i: u8) -> State {
    State::found(member_id(i), None, BTreeSet::new(), None, None, false)
}

fn all() -> BTreeSet<Partition> {
    (0..8).map(Partition).collect()
}

fn held(state: &State) -> BTreeSet<Partition> {
    (*state.held).clone()
}

fn gives(layout: &Layout, i: u8) -> BTreeSet<Partition> {
    layout.partitions_of(&member_id(i)).collect()
}

fn offer(state: &State, record: &Record) -> (State, Vec<Effect>) {
    state.on(Event::Offered(Arc::new(record.clone()))).unwrap()
}

fn stored(forget: impl IntoIterator<Item = Partition>) -> Effect {
    Effect::Store { forget: forget.into_iter().collect() }
}

/// Takes a record and brings it to its acknowledgement.
fn take(state: &State, record: &Record) -> State {
    let (mut state, effects) = offer(state, record);
    let mut effects = VecDeque::from(effects);
    while let Some(effect) = effects.pop_front() {
        let event = match effect {
            Effect::Clean { id, .. } => Event::Cleaned(id),
            Effect::AwaitEnded(stamp) => Event::Ended(stamp),
            Effect::Store { .. } | Effect::Acknowledge(_) => continue,
        };
        let (next, more) = state.on(event).unwrap();
        state = next;
        effects.extend(more);
    }
    assert_eq!(state.acked(), Some(SenderStamp::of(record)));
    state
}

/// As the disk would have it after a restart.
fn restarted(state: &State) -> State {
    let State { me, record, held, cleaned, handed_over, retired, .. } = state.clone();
    State::found(me, record, (*held).clone(), cleaned, handed_over, retired)
}

#[test]
fn a_first_layout_is_stored_then_held_then_acknowledged() {
    let record = fresh(3);
    let stamp = SenderStamp::of(&record);
    let (state, effects) = offer(&dormant(0), &record);
    let clean = Effect::Clean { id: record.id(), partitions: all(), hints: false };
    assert_eq!(effects, [stored([]), clean, Effect::AwaitEnded(stamp)]);
    assert_eq!((held(&state), state.acked()), (BTreeSet::new(), None));

    let (state, effects) = state.on(Event::Cleaned(record.id())).unwrap();
    assert_eq!(effects, [stored([])], "older requests may still run");
    assert_eq!(held(&state), all(), "three members hold everything");
    let (state, effects) = state.on(Event::Ended(stamp)).unwrap();
    assert_eq!(effects, [Effect::Acknowledge(stamp)]);

    let (same, effects) = offer(&state, &record);
    assert_eq!((same, effects), (state, vec![]));
}

#[test]
fn the_two_conditions_of_an_acknowledgement_may_come_in_any_order() {
    let record = fresh(3);
    let stamp = SenderStamp::of(&record);
    let (state, _) = offer(&dormant(0), &record);
    let (state, effects) = state.on(Event::Ended(stamp)).unwrap();
    assert_eq!(effects, []);
    let (_, effects) = state.on(Event::Cleaned(record.id())).unwrap();
    assert_eq!(effects, [stored([]), Effect::Acknowledge(stamp)]);
}

#[test]
fn a_node_without_a_layout_takes_only_one_that_names_it() {
    let refused = dormant(5).on(Event::Offered(Arc::new(fresh(3))));
    assert_eq!(refused, Err(Refusal::NotNamed(member_id(5))));
}

#[test]
fn a_retired_node_takes_nothing() {
    let state = State { retired: true, ..dormant(0) };
    assert_eq!(state.on(Event::Offered(Arc::new(fresh(3)))), Err(Refusal::Retired));
}

#[test]
fn each_step_of_a_change_is_taken_in_turn_and_nothing_is_dropped_before_the_hand_over() {
    let settled = fresh(3);
    let proposed = settled.propose(&members(0..4)).unwrap();
    let target = &proposed.target().unwrap().layout;
    let (old, new) = (gives(proposed.stable(), 0), gives(target, 0));

    let state = take(&dormant(0), &settled);
    let (next, effects) = offer(&state, &proposed);
    let clean = Effect::Clean { id: proposed.id(), partitions: BTreeSet::new(), hints: false };
    assert_eq!(effects, [stored([]), clean, Effect::AwaitEnded(SenderStamp::of(&proposed))]);
    assert_eq!(held(&next), old);
    let mut state = take(&state, &proposed);

    let frozen = proposed.freeze().unwrap();
    let switched = frozen.switch().unwrap();
    let committed = switched.commit().unwrap();
    for record in [&frozen, &switched, &committed] {
        let (_, effects) = offer(&state, record);
        assert_eq!(effects, [stored([]), Effect::AwaitEnded(SenderStamp::of(record))]);
        state = take(&state, record);
        assert_eq!(held(&state), old);
    }

    let goes: BTreeSet<_> = old.difference(&new).copied().collect();
    assert!(!goes.is_empty());
    let duty = state.standing().unwrap().duty();
    let owed =
        super::super::Duty::HandOver { committed: committed.id(), partitions: goes.clone(), hints: false };
    assert_eq!(duty, Some(owed));
    let id = committed.id();
    let (same, effects) = state.on(Event::HandedOver(id)).unwrap();
    assert_eq!((same, effects), (state.clone(), vec![]), "it still holds what it is to hand over");
    let covered = Event::Covered { committed: id, partitions: all() };
    let (state, effects) = state.on(covered).unwrap();
    assert_eq!(effects, [stored(goes)], "only what the new S does not give");
    assert_eq!(held(&state), new);
    let (state, effects) = state.on(Event::HandedOver(id)).unwrap();
    assert_eq!(effects, [stored([])]);
    assert_eq!((state.handed_over, state.standing().unwrap().duty()), (Some(id), None));
}

#[test]
fn a_new_member_drops_its_hints_and_everything_before_it_copies() {
    let proposed = fresh(3).propose(&members(0..4)).unwrap();
    let (state, effects) = offer(&dormant(3), &proposed);
    let stamp = SenderStamp::of(&proposed);
    assert_eq!(effects[1..], [Effect::AwaitEnded(stamp)], "a request that still runs may make a hint");
    let (state, effects) = state.on(Event::Ended(stamp)).unwrap();
    assert_eq!(effects, [Effect::Clean { id: proposed.id(), partitions: all(), hints: true }]);
    assert_eq!(restarted(&state).on(Event::Started).unwrap().1, effects, "after a crash as well");
    assert_eq!(state.standing().unwrap().duty(), None, "nothing is copied onto leftovers");
    let state = take(&dormant(3), &proposed);
    let gains = gives(&proposed.target().unwrap().layout, 3);
    assert_eq!(held(&state), gains);
    let sync = super::super::Duty::Sync { target: proposed.id(), partitions: gains };
    assert_eq!(state.standing().unwrap().duty(), Some(sync));
}

#[test]
fn what_was_copied_stays_only_along_an_unbroken_chain_of_targets() {
    let first = fresh(3).propose(&members(0..4)).unwrap();
    let second = first.propose(&members(0..5)).unwrap();
    let third = second.propose(&members(0..6)).unwrap();
    let target = |record: &Record| gives(&record.target().unwrap().layout, 3);
    let state = take(&dormant(3), &first);

    let (next, effects) = offer(&state, &second);
    let stays: BTreeSet<_> = target(&first).intersection(&target(&second)).copied().collect();
    let goes: BTreeSet<_> = target(&first).difference(&stays).copied().collect();
    assert!(!stays.is_empty(), "else this shows nothing");
    assert_eq!(held(&next), stays);
    let rest = all().difference(&stays).copied().collect();
    let clean = Effect::Clean { id: second.id(), partitions: rest, hints: true };
    let stamp = SenderStamp::of(&second);
    assert_eq!(effects, [stored(goes), Effect::AwaitEnded(stamp)]);
    assert_eq!(next.on(Event::Ended(stamp)).unwrap().1, [clean]);

    // The second target was never heard of here, so the third replaces something else.
    let (next, effects) = offer(&state, &third);
    assert_eq!(held(&next), BTreeSet::new());
    assert_eq!(effects[0], stored(target(&first)));
}

#[test]
fn a_change_of_mind_leaves_an_abandoned_member_with_nothing() {
    let proposed = fresh(3).propose(&members(0..5)).unwrap();
    let back = proposed.propose(&members(0..3)).unwrap();
    let state = take(&take(&dormant(4), &proposed), &back);
    assert_eq!(held(&state), BTreeSet::new());
    assert_eq!(state.may_retire(), Ok(()));
    // A member of S only forgets what the target alone gave it.
    let state = take(&take(&take(&dormant(0), &fresh(3)), &proposed), &back);
    assert_eq!(held(&state), all());
    assert_eq!(state.may_retire(), Err(NotRetired::Named(back.id())));
}

#[test]
fn a_new_target_waits_for_the_hand_over() {
    let proposed = fresh(3).propose(&members(0..4)).unwrap();
    let switched = proposed.freeze().unwrap().switch().unwrap();
    let committed = switched.commit().unwrap();
    let mut state = dormant(0);
    for record in [&fresh(3), &proposed, &proposed.freeze().unwrap(), &switched, &committed] {
        state = take(&state, record);
    }
    let next = committed.settle().unwrap().propose(&members(0..5)).unwrap();
    let refused = state.on(Event::Offered(Arc::new(next)));
    assert_eq!(refused, Err(Refusal::HandingOver { committed: committed.id() }));
    // That the others have settled changes nothing here: it goes on handing over.
    let settled = take(&state, &committed.settle().unwrap());
    assert_eq!(held(&settled), held(&state));
    assert!(settled.standing().unwrap().duty().is_some());
}

#[test]
fn a_leaver_keeps_its_hints_to_hand_them_over() {
    let four = fresh(4);
    let proposed = four.propose(&members(0..3)).unwrap();
    let frozen = proposed.freeze().unwrap();
    let switched = frozen.switch().unwrap();
    let committed = switched.commit().unwrap();
    let mut state = dormant(3);
    for record in [&four, &proposed, &frozen, &switched, &committed] {
        let (_, effects) = offer(&state, record);
        let drops = effects.iter().any(|effect| matches!(effect, Effect::Clean { hints: true, .. }));
        assert!(!drops, "{record:?}");
        state = take(&state, record);
    }
    let duty = state.standing().unwrap().duty();
    assert!(matches!(duty, Some(super::super::Duty::HandOver { hints: true, .. })));
    let id = committed.id();
    let (state, _) = state.on(Event::Covered { committed: id, partitions: all() }).unwrap();
    let (state, _) = state.on(Event::HandedOver(id)).unwrap();
    assert_eq!(
        state.may_retire(),
        Err(NotRetired::Named(four.stable().id())),
        "the layout before S names it"
    );
    assert_eq!(take(&state, &committed.settle().unwrap()).may_retire(), Ok(()));
}

#[test]
fn a_promise_survives_a_restart() {
    let settled = fresh(3);
    let proposed = settled.propose(&members(0..4)).unwrap();
    let other = proposed.propose(&members(0..5)).unwrap();
    let frozen = proposed.freeze().unwrap();
    let state = restarted(&take(&take(&take(&dormant(0), &settled), &proposed), &frozen));
    let refused = state.on(Event::Offered(Arc::new(other)));
    assert!(matches!(refused, Err(Refusal::Fence(fence::Refusal::Promised { .. }))), "{refused:?}");
}

/// What somebody may do to the cluster's record.
#[derive(Debug, Clone)]
enum Act {
    Propose(u8),
    Advance,
    Settle,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => (3u8..8).prop_map(Act::Propose),
        4 => Just(Act::Advance),
        1 => Just(Act::Settle),
    ];
    prop::collection::vec(act, 1..16)
}

fn act(record: &Record, act: &Act) -> Option<Record> {
    match act {
        Act::Propose(count) => record.propose(&members(0..*count)).ok(),
        Act::Advance => record.freeze().or_else(|_| record.switch()).or_else(|_| record.commit()).ok(),
        Act::Settle => record.previous().and_then(|_| record.settle().ok()),
    }
}

/// One node's disk, as the effects leave it: for each partition what its data stem from.
#[derive(Debug, Clone, Default)]
struct Disk {
    /// The partition's data are whole as of this chain of targets, or of S.
    data: BTreeSet<Partition>,
}

/// Performs effects; after `crash` of them the process ends.
fn perform(before: &State, event: Event, crash: Option<usize>, disk: &mut Disk) -> State {
    let (next, effects) = before.on(event).unwrap();
    let mut state = before.clone();
    let mut next = Some(next);
    if !matches!(effects.first(), Some(Effect::Store { .. })) {
        state = next.take().unwrap();
    }
    let mut events = Vec::new();
    for (at, effect) in effects.into_iter().enumerate() {
        if crash == Some(at) {
            return restarted(&state);
        }
        match effect {
            Effect::Store { .. } => {
                state = next.take().unwrap();
                disk.data.extend(state.held.iter().copied());
            }
            Effect::Clean { id, partitions, .. } => {
                disk.data.retain(|partition| !partitions.contains(partition));
                events.push(Event::Cleaned(id));
            }
            Effect::AwaitEnded(stamp) => events.push(Event::Ended(stamp)),
            Effect::Acknowledge(stamp) => assert_eq!(state.acked(), Some(stamp)),
        }
    }
    events.into_iter().fold(state, |state, event| perform(&state, event, None, disk))
}

proptest! {
    /// Whatever is proposed, abandoned, frozen and committed, and wherever the process ends: an acknowledged target
    /// finds nothing here that S does not give, but for what an unbroken chain of targets gave; everything that S and T
    /// give is held; and nothing that the commit took goes before it is handed over.
    #[test]
    fn histories_with_restarts_keep_the_rules(
        acts in acts(), me in 0u8..8, crashes in prop::collection::vec(prop::option::of(0usize..4), 16),
        skips in prop::collection::vec(any::<bool>(), 16),
    ) {
        let mut record = fresh(3);
        let mut state = dormant(me);
        let mut disk = Disk::default();
        for ((step, crash), skip) in acts.iter().zip(crashes).zip(skips) {
            if let Some(next) = act(&record, step) {
                record = next;
            }
            // Only one named by nothing but an abandoned target may miss a step.
            let needed = record.layouts().any(|layout| layout.names(&member_id(me)));
            if skip && !needed {
                continue;
            }
            let offered = Event::Offered(Arc::new(record.clone()));
            if matches!(state.on(offered.clone()), Err(Refusal::NotNamed(_))) {
                continue;
            }
            if let Err(Refusal::HandingOver { committed }) = state.on(offered.clone()) {
                // The driver would have waited; so hand over first.
                state = perform(&state, Event::Covered { committed, partitions: all() }, None, &mut disk);
                disk.data = held(&state);
                state = perform(&state, Event::HandedOver(committed), None, &mut disk);
            }
            let before = state.clone();
            state = perform(&state, offered.clone(), crash, &mut disk);
            // Whoever drives the change offers it until it is acknowledged, across restarts.
            state = perform(&state, Event::Started, None, &mut disk);
            state = perform(&state, offered, None, &mut disk);
            prop_assert_eq!(state.acked(), Some(SenderStamp::of(&record)));

            let view = record.view();
            let wants: BTreeSet<_> = all().into_iter().filter(|p| view.holds(&state.me, *p)).collect();
            prop_assert!(held(&state).is_superset(&wants));
            let continues = before.record.as_ref().is_some_and(|old| {
                old.id() == record.id()
                    || record.target().and_then(|target| target.replaces) == Some(old.id())
            });
            if record.target().is_some() {
                let extra: BTreeSet<_> = disk.data.difference(&wants).copied().collect();
                prop_assert!(extra.is_empty(), "leftovers {:?}", extra);
                if !continues {
                    let stable = gives(record.stable(), me);
                    let fresh: BTreeSet<_> = held(&state).difference(&stable).copied().collect();
                    prop_assert!(fresh.iter().all(|p| before.held.contains(p) || wants.contains(p)));
                }
            }
            if record.step() == Step::Committed && before.record.as_ref().is_some_and(|old| old.id() == record.id()) {
                prop_assert_eq!(held(&state), held(&before), "a commit takes nothing away by itself");
            }
        }
    }

    #[test]
    fn no_event_out_of_turn_changes_anything(me in 0u8..4, epoch in 1u64..5) {
        let state = take(&dormant(0), &fresh(3));
        let id = LayoutId { epoch, hash: dynamo_ring::LayoutHash([me; 16]) };
        let stamp = SenderStamp { id, stamp: dynamo_ring::Stamp { epoch, step: Step::Frozen } };
        let events = [
            Event::Cleaned(id), Event::Ended(stamp), Event::HandedOver(id),
            Event::Covered { committed: id, partitions: all() },
        ];
        for event in events {
            prop_assert_eq!(state.on(event), Ok((state.clone(), vec![])));
        }
    }
}
