//! What versions promise, against an oracle that keeps whole sets of events instead of vectors.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::testing::{dot, dots, sibling, states, vector, vectors};
use super::*;

/// A write without a write id by `dot`, over what `seen` covers.
fn put(state: &mut State, seen: &VersionVector, dot: Dot, value: &str) {
    state.put(seen, sibling(dot, value.as_bytes()));
}

#[test]
fn lesson_1_sibling_explosion() {
    // Two clients keep writing through one coordinator. Each has seen what there was when its own last write was made,
    // so its neighbour's last write is concurrent, and nothing else is. One vector for all siblings could not tell, and
    // kept them all.
    let mut state = State::new();
    let mut contexts = [VersionVector::new(), VersionVector::new()];
    for round in 1..=100 {
        let client = usize::from(round % 2 == 0);
        put(&mut state, &contexts[client], dot(1, 1, round), "v");
        contexts[client] = vector(&[(1, 1, round)]);
        assert!(state.siblings().len() <= 2, "{} siblings after {round} writes", state.siblings().len());
    }
    let seen = state.context().clone();
    put(&mut state, &seen, dot(1, 1, 101), "settled");
    assert_eq!(state.siblings().len(), 1);
}

#[test]
fn lesson_2_amnesia() {
    // A stand-in coordinates a write, hands it to its owner, forgets it, and coordinates a blind write to the same key.
    let mut owner = State::new();
    let mut stand_in = State::new();
    put(&mut stand_in, &VersionVector::new(), dot(7, 1, 1), "first");
    owner = owner.merge(&stand_in);

    // Under the old birth the new write would have the dot of the first, and vanish at the owner.
    let mut amnesiac = State::new();
    put(&mut amnesiac, &VersionVector::new(), dot(7, 1, 1), "second");
    assert_eq!(owner.merge(&amnesiac).siblings().len(), 1);

    // Or, with one sequence for all keys, it would cover the first.
    let mut sequenced = State::new();
    put(&mut sequenced, &VersionVector::new(), dot(7, 1, 2), "second");
    assert_eq!(owner.merge(&sequenced).siblings().len(), 1);

    // Under a birth of its own, both stand.
    let mut reborn = State::new();
    put(&mut reborn, &VersionVector::new(), dot(7, 2, 1), "second");
    let merged = owner.merge(&reborn);
    assert_eq!(merged.values().collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn one_write_made_twice_is_shown_once_and_settled_by_the_next() {
    let id = Some(WriteId([9; 16]));
    let mut state = State::new();
    state.put(&VersionVector::new(), Sibling { write_id: id, ..sibling(dot(1, 1, 1), b"v") });
    state.put(&VersionVector::new(), Sibling { write_id: id, ..sibling(dot(2, 1, 1), b"v") });
    assert_eq!((state.siblings().len(), state.view().values.len()), (2, 1));
    let mut next = state.clone();
    put(&mut next, state.view().context, dot(1, 1, 2), "next");
    assert_eq!(next.siblings().len(), 1);

    // The same id on different values is a client's mistake; nothing is hidden for it.
    state.put(&VersionVector::new(), Sibling { write_id: id, ..sibling(dot(3, 1, 1), b"w") });
    assert_eq!(state.view().values.len(), 2);
}

#[test]
fn a_tombstone_is_a_version_that_shows_no_value() {
    let mut state = State::new();
    put(&mut state, &VersionVector::new(), dot(1, 1, 1), "v");
    let seen = state.context().clone();
    put(&mut state, &VersionVector::new(), dot(2, 1, 1), "w");
    state.put(&seen, Sibling { value: None, ..sibling(dot(1, 1, 2), b"") });
    let view = state.view();
    assert_eq!((view.values.len(), view.tombstones), (1, 1));
    assert_eq!(state.passes_at_ms(), None, "a value stands beside it");
    assert_eq!(state.values().collect::<Vec<_>>(), ["w"], "the delete takes only what it has seen");
}

#[test]
fn a_value_past_its_time_to_live_is_not_shown_but_covered() {
    let until = |at, dot| Sibling { expires_at_ms: Some(at), ..sibling(dot, b"v") };
    let mut state = State::new();
    state.put(&VersionVector::new(), until(50, dot(1, 1, 1)));
    state.put(&VersionVector::new(), until(80, dot(2, 1, 1)));
    let shown = |now| (state.view_at(now).values.len(), state.view_at(now).expired);
    assert_eq!([0, 49, 50, 79, 80].map(shown), [(2, 0), (2, 0), (1, 1), (1, 1), (0, 2)]);
    assert!(state.view_at(99).context.covers(dot(2, 1, 1)));
    assert_eq!((state.view_at(99).tombstones, state.passes_at_ms()), (0, Some(80)));
    assert_eq!(State::decode(&state.encode()), Ok(state.clone()), "a clock changes nothing that is kept");

    let mut deleted = state.clone();
    deleted.put(state.context(), Sibling { value: None, ..sibling(dot(1, 1, 2), b"") });
    assert_eq!(deleted.passes_at_ms(), Some(0));
    state.put(&VersionVector::new(), sibling(dot(3, 1, 1), b"lasts"));
    assert_eq!((state.passes_at_ms(), State::new().passes_at_ms()), (None, None));
}

#[test]
fn a_state_without_expiry_is_stored_as_ever_and_one_with_it_says_so() {
    let lasting = State::from_parts(VersionVector::new(), vec![sibling(dot(1, 2, 3), b"v")]);
    let old = [&[1, 1][..], &1u64.to_be_bytes(), &[2, 3, 1, 0, 3, 1, 0, 1, b'v']].concat();
    assert_eq!(lasting.encode(), old);
    let expiring = Sibling { expires_at_ms: Some(7), ..sibling(dot(1, 2, 3), b"v") };
    let new = [&[2, 1][..], &1u64.to_be_bytes(), &[2, 3, 1, 0, 3, 5, 0, 1, b'v', 7]].concat();
    assert_eq!(State::from_parts(VersionVector::new(), vec![expiring]).encode(), new);

    let decode = |bytes: &[u8]| State::decode(&bytes.to_vec().into());
    assert_eq!(decode(&old), Ok(lasting));
    assert!(decode(&new).is_ok());
    for (at, byte) in [(0, 3), (0, 1), (15, 4)] {
        let mut bad = new.clone();
        bad[at] = byte;
        assert!(decode(&bad).is_err(), "byte {at} as {byte}");
    }
    let mut needless = old;
    needless[0] = 2;
    assert!(decode(&needless).is_err(), "one state has one encoding");
}

proptest! {
    #[test]
    fn merge_is_commutative_associative_and_idempotent(a in states(), b in states(), c in states()) {
        prop_assert_eq!(a.merge(&b), b.merge(&a));
        prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
        prop_assert_eq!(a.merge(&a), a.clone());
        prop_assert_eq!(a.merge(&State::new()), a);
    }

    #[test]
    fn an_outline_of_a_merge_is_the_merge_of_the_outlines(a in states(), b in states()) {
        prop_assert_eq!(a.merge(&b).outline(), a.outline().merge(&b.outline()));
        prop_assert_eq!(a.outline().view().tombstones, a.view().tombstones);
        prop_assert_eq!(a.outline().siblings().len(), a.siblings().len());
    }

    #[test]
    fn a_state_covers_another_exactly_if_merging_it_changes_nothing(a in states(), b in states()) {
        prop_assert_eq!(a.covers(&b), a.merge(&b) == a);
        prop_assert!(a.merge(&b).covers(&b));
    }

    #[test]
    fn a_put_adds_its_version_and_takes_only_what_was_seen(state in states(), seen in vectors(), at in dots()) {
        let new = Dot { counter: 1 + state.context().counter(at.writer).max(seen.counter(at.writer)), ..at };
        let mut after = state.clone();
        after.put(&seen, sibling(new, b"new"));
        let kept = state.siblings().iter().filter(|old| !seen.covers(old.dot)).count();
        prop_assert_eq!(after.siblings().len(), kept + 1);
        prop_assert!(after.context().descends(state.context()) && after.context().descends(&seen));
        prop_assert_eq!(&after, &State::from_parts(after.context().clone(), after.siblings().to_vec()));
    }

    #[test]
    fn equal_states_and_equal_bytes_are_one_thing(a in states(), b in states()) {
        prop_assert_eq!(State::decode(&a.encode()), Ok(a.clone()));
        prop_assert_eq!(a.encode() == b.encode(), a == b);
        prop_assert_eq!(StateHash::of(b"k", &a.encode()) == StateHash::of(b"k", &b.encode()), a == b);
    }

    #[test]
    fn no_bytes_make_decoding_panic_and_what_it_accepts_is_canonical(
        state in states(), cut: prop::sample::Index, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = state.encode().to_vec();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        bytes.truncate(cut.index(bytes.len() * 4));
        let bytes = Bytes::from(bytes);
        if let Ok(accepted) = State::decode(&bytes) {
            prop_assert_eq!(accepted.encode(), bytes);
        }
    }

    #[test]
    fn random_bytes_are_no_state(mut bytes: Vec<u8>) {
        bytes.insert(0, 1);
        let _ = State::decode(&Bytes::from(bytes));
    }
}

#[test]
fn what_a_count_promises_is_not_reserved_before_it_came() {
    // 2^60 siblings in twelve bytes.
    let bytes = [&[1u8, 0][..], &[0x80; 8], &[0x10]].concat();
    assert_eq!(State::decode(&bytes.into()), Err(CodecError::Truncated));
    assert_eq!(State::decode(&Bytes::from_static(&[9])), Err(CodecError::Version(9)));
    assert_eq!(State::decode(&Bytes::new()), Err(CodecError::Truncated));
    assert_ne!(StateHash::of(b"ab", b"c"), StateHash::of(b"a", b"bc"));
    assert_eq!(vector(&[(1, 1, 2), (1, 1, 1)]), vector(&[(1, 1, 2)]));
}

/// What happens in the oracle's world: three nodes, one key, clients that carry contexts.
#[derive(Debug, Clone)]
enum Step {
    Put { node: usize, client: usize },
    Read { node: usize, client: usize },
    Send { from: usize, to: usize },
    Forget { node: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..3, 0usize..3).prop_map(|(node, client)| Step::Put { node, client }),
        3 => (0usize..3, 0usize..3).prop_map(|(node, client)| Step::Read { node, client }),
        4 => (0usize..3, 0usize..3).prop_map(|(from, to)| Step::Send { from, to }),
        1 => (0usize..3).prop_map(|node| Step::Forget { node }),
    ];
    prop::collection::vec(step, 0..80)
}

/// The truth about a copy: which events it has seen, and which of them nothing it has seen overwrote.
#[derive(Debug, Clone, Default)]
struct Truth {
    seen: BTreeSet<usize>,
    alive: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct Node {
    state: State,
    truth: Truth,
    birth: Option<u64>,
}

proptest! {
    /// No write is lost, none comes back, and no false conflict appears, whatever coordinators forget: vectors, dots
    /// and births say exactly what whole sets of events would say.
    #[test]
    fn versions_are_as_good_as_whole_histories(steps in steps()) {
        let mut nodes: [Node; 3] = Default::default();
        let mut clients: [(VersionVector, BTreeSet<usize>); 3] = Default::default();
        let mut events: BTreeMap<usize, Dot> = BTreeMap::new();
        let mut births = 0;
        for step in steps {
            match step {
                Step::Put { node, client } => {
                    let actor = node as u64;
                    let node = &mut nodes[node];
                    let (context, seen) = &clients[client];
                    let birth = *node.birth.get_or_insert_with(|| { births += 1; births });
                    let writer = dot(actor, birth, 1).writer;
                    let new = dot(actor, birth, node.state.context().counter(writer).max(context.counter(writer)) + 1);
                    node.state.put(context, sibling(new, b""));
                    let event = events.len();
                    prop_assert!(events.values().all(|old| *old != new), "{} was given twice", new);
                    events.insert(event, new);
                    node.truth.alive.retain(|old| !seen.contains(old));
                    node.truth.alive.insert(event);
                    node.truth.seen.extend(seen.iter().copied().chain([event]));
                }
                Step::Read { node, client } => {
                    clients[client] = (nodes[node].state.context().clone(), nodes[node].truth.seen.clone());
                }
                Step::Send { from, to } => {
                    let (state, theirs) = (nodes[from].state.clone(), nodes[from].truth.clone());
                    let node = &mut nodes[to];
                    node.state = node.state.merge(&state);
                    let ours = std::mem::take(&mut node.truth);
                    let stands = |event: &usize| {
                        [&ours, &theirs].iter().all(|copy| copy.alive.contains(event) || !copy.seen.contains(event))
                    };
                    node.truth.alive = ours.alive.union(&theirs.alive).copied().filter(stands).collect();
                    node.truth.seen = ours.seen.union(&theirs.seen).copied().collect();
                }
                Step::Forget { node } => nodes[node] = Node::default(),
            }
            for node in &nodes {
                for (event, dot) in &events {
                    prop_assert_eq!(node.state.context().covers(*dot), node.truth.seen.contains(event), "{} seen", dot);
                    let stands = node.state.siblings().iter().any(|sibling| sibling.dot == *dot);
                    prop_assert_eq!(stands, node.truth.alive.contains(event), "{} stands", dot);
                }
            }
        }
    }
}
