//! What the tries promise: one shape for one set, and a descent that finds exactly what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use dynamo_ring::{Partition, Partitions, Position};
use proptest::prelude::*;

use super::*;
use crate::version::StateHash;

#[derive(Debug, Clone, Default, PartialEq)]
struct Map(BTreeMap<Prefix, Node>);

impl Nodes for &mut Map {
    type Error = Infallible;

    fn get(&self, prefix: Prefix) -> Result<Option<Node>, Infallible> {
        Ok(self.0.get(&prefix).copied())
    }

    fn broken(&self, prefix: Prefix) -> Infallible {
        panic!("no node at {prefix:?}, or another")
    }
}

impl NodesMut for &mut Map {
    fn put(&mut self, prefix: Prefix, node: &Node) -> Result<(), Infallible> {
        assert_eq!(Node::decode(prefix, &node.encode()).as_ref(), Ok(node), "at {prefix:?}");
        self.0.insert(prefix, *node);
        Ok(())
    }

    fn remove(&mut self, prefix: Prefix) -> Result<(), Infallible> {
        self.0.remove(&prefix);
        Ok(())
    }
}

type Set = BTreeMap<[u8; 16], u8>;

fn root() -> Prefix {
    Prefix::root(Partition(0xab), Partitions::new(256).unwrap())
}

/// Few digits differ, so that prefixes are shared, some of them to the last digit.
fn positions() -> impl Strategy<Value = [u8; 16]> {
    let digit = prop_oneof![Just(0u8), Just(1), Just(0xf0)];
    (prop::collection::vec(digit, 3), 0u8..2).prop_map(|(digits, last)| {
        let mut position = [7; 16];
        position[0] = 0xab;
        position[1..4].copy_from_slice(&digits);
        position[15] = last;
        position
    })
}

fn sets() -> impl Strategy<Value = Set> {
    prop::collection::btree_map(positions(), 0u8..3, 0..40)
}

fn build(set: impl IntoIterator<Item = ([u8; 16], u8)>) -> Map {
    let mut map = Map::default();
    for (position, hash) in set {
        let Ok(_) = Tree::new(root(), &mut map).upsert(Position(position), StateHash([hash; 16]));
    }
    map
}

fn root_hash(map: &mut Map) -> MerkleHash {
    let Ok(hash) = Tree::new(root(), map).root_hash();
    hash
}

fn at(map: &mut Map, prefix: Prefix) -> Node {
    let Ok(node) = Tree::new(root(), map).at(prefix);
    node
}

/// The descent of `ours` against `theirs`; what it found, the bytes that came over the wire, and the most it held.
fn descend(ours: &mut Map, theirs: &mut Map, batch: usize) -> (Vec<Difference>, usize, usize) {
    let mut descent = Descent::new(root(), root_hash(ours), root_hash(theirs));
    let (mut found, mut wire, mut held) = (Vec::new(), 16, 0);
    while let Some(question) = descent.question(batch) {
        assert_eq!(descent.question(batch).as_ref(), Some(&question), "a lost question is asked again");
        assert!(question.ask.len() <= batch && question.read.len() <= batch);
        held = held.max(descent.outstanding());
        let answers: Vec<Node> = question.ask.iter().map(|prefix| at(theirs, *prefix)).collect();
        let nodes: Vec<Node> = question.read.iter().map(|prefix| at(ours, *prefix)).collect();
        wire += question.ask.iter().map(|prefix| prefix.encode().len()).sum::<usize>();
        wire += answers.iter().map(|node| node.encode().len()).sum::<usize>();
        found.extend(descent.answer(&nodes, &answers).unwrap());
    }
    (found, wire, held)
}

proptest! {
    #[test]
    fn one_set_has_one_trie_whatever_the_way(set in sets(), extra in sets(), order: u64) {
        let straight = build(set.clone());
        // Another order, with other keys and hashes on the way, which go again.
        let mut shuffled: Vec<_> = set.iter().map(|(k, v)| (*k, *v)).collect();
        shuffled.sort_by_key(|(k, _)| u128::from_be_bytes(*k).wrapping_mul(u128::from(order | 1)));
        let mut winding = build(extra.clone().into_iter().chain(shuffled.iter().map(|(k, _)| (*k, 9))));
        for (position, hash) in shuffled {
            let Ok(_) = Tree::new(root(), &mut winding).upsert(Position(position), StateHash([hash; 16]));
        }
        for position in extra.keys().filter(|position| !set.contains_key(*position)) {
            let Ok(_) = Tree::new(root(), &mut winding).remove(Position(*position));
        }
        prop_assert_eq!(&straight, &winding, "not one node is left over, not one is missing");
        prop_assert_eq!(root_hash(&mut winding) == MerkleHash::EMPTY, set.is_empty());
    }

    /// In ascending order, and in pieces, as a trie is planted; with changes to what was passed in between.
    #[test]
    fn a_trie_that_is_planted_in_pieces_is_the_one_that_grew(set in sets(), piece in 1usize..7, later in sets()) {
        let keys: Vec<_> = set.iter().map(|(k, v)| (*k, *v)).collect();
        let (mut planted, mut all) = (Map::default(), Set::new());
        for some in keys.chunks(piece) {
            let mut tree = Tree::new(root(), &mut planted);
            let Ok(mut walk) = tree.walk();
            for (position, hash) in some {
                prop_assert_eq!(walk.note(Position(*position), StateHash([*hash; 16])), Ok(None));
                all.insert(*position, *hash);
            }
            let Ok(_) = walk.end();
            let passed: Vec<_> = all.keys().copied().filter(|key| later.contains_key(key)).collect();
            for position in passed {
                let hash = 7 + later[&position];
                let Ok(_) = tree.upsert(Position(position), StateHash([hash; 16]));
                all.insert(position, hash);
            }
        }
        prop_assert_eq!(planted, build(all));
    }

    #[test]
    fn two_sets_have_two_roots(a in sets(), b in sets()) {
        prop_assert_eq!(root_hash(&mut build(a.clone())) == root_hash(&mut build(b.clone())), a == b);
    }

    #[test]
    fn a_descent_finds_exactly_what_differs(a in sets(), b in sets(), batch in 1usize..8) {
        let (ours, theirs) = (&mut build(a.clone()), &mut build(b.clone()));
        let (mut found, _, held) = descend(ours, theirs, batch);
        found.sort();
        let hash = |hash: u8| StateHash([hash; 16]);
        let mut expected = Vec::new();
        for position in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
            let at = Position(*position);
            expected.extend(match (a.get(position), b.get(position)) {
                (Some(x), Some(y)) if x != y => Some(Difference::Both(at)),
                (Some(x), None) => Some(Difference::OursOnly(at, hash(*x))),
                (None, Some(y)) => Some(Difference::TheirsOnly(at, hash(*y))),
                _ => None,
            });
        }
        expected.sort();
        prop_assert_eq!(found, expected);
        prop_assert!(held <= batch * 16 * usize::from(DIGITS));
    }

    /// Three partitions abreast: each message keeps to the bound, one that is given up stops nobody.
    #[test]
    fn descents_abreast_find_what_each_would_find_alone(
        a in prop::collection::vec(sets(), 3), b in prop::collection::vec(sets(), 3), batch in 1usize..8, lost: bool,
    ) {
        let mut sides: Vec<(Map, Map)> = a.into_iter().zip(b).map(|(a, b)| (build(a), build(b))).collect();
        let mut descents = Descents::new(batch);
        let mut expected: Vec<Vec<Difference>> = Vec::new();
        for ((ours, theirs), p) in sides.iter_mut().zip(0..) {
            descents.add(Partition(p), Descent::new(root(), root_hash(ours), root_hash(theirs)));
            expected.push(descend(ours, theirs, batch).0);
        }
        let mut found = vec![Vec::new(); 3];
        let mut trips = 0;
        while let Some(first) = descents.questions().first().cloned() {
            let questions = descents.questions();
            prop_assert_eq!(questions.first(), Some(&first), "a lost question is asked again");
            prop_assert!(questions.iter().map(|(_, question)| question.read.len()).sum::<usize>() <= batch);
            trips += 1;
            if lost && trips == 1 {
                descents.give_up(Partition(1));
                expected[1].clear();
            }
            for (partition, question) in questions.iter().filter(|(p, _)| !(lost && p.0 == 1)) {
                let (ours, theirs) = &mut sides[usize::from(partition.0)];
                let answers: Vec<Node> = question.ask.iter().map(|prefix| at(theirs, *prefix)).collect();
                let nodes: Vec<Node> = question.read.iter().map(|prefix| at(ours, *prefix)).collect();
                found[usize::from(partition.0)].extend(descents.answer(*partition, &nodes, &answers).unwrap());
            }
        }
        for (found, expected) in found.iter_mut().zip(&mut expected) {
            found.sort();
            expected.sort();
        }
        if !lost || trips > 0 {
            prop_assert_eq!(found, expected);
        }
        prop_assert!(!(0..3).any(|p| descents.is_open(Partition(p))));
    }

    /// Writes and removals go on at both sides. What differed all along is found all the same.
    #[test]
    fn a_descent_through_changing_tries_misses_nothing_that_stays_different(
        a in sets(), b in sets(), moving in prop::collection::vec((positions(), 3u8..6, any::<bool>(), any::<bool>()), 0..40),
    ) {
        let (ours, theirs) = (&mut build(a.clone()), &mut build(b.clone()));
        let mut descent = Descent::new(root(), root_hash(ours), root_hash(theirs));
        let mut moves = moving.iter();
        let mut found = BTreeSet::new();
        while let Some(question) = descent.question(2) {
            for (position, hash, here, away) in moves.by_ref().take(3) {
                let mut tree = Tree::new(root(), if *here { &mut *ours } else { &mut *theirs });
                let Ok(_) = if *away {
                    tree.remove(Position(*position))
                } else {
                    tree.upsert(Position(*position), StateHash([*hash; 16]))
                };
            }
            let answers: Vec<Node> = question.ask.iter().map(|prefix| at(theirs, *prefix)).collect();
            let nodes: Vec<Node> = question.read.iter().map(|prefix| at(ours, *prefix)).collect();
            found.extend(descent.answer(&nodes, &answers).unwrap().iter().map(Difference::position));
        }
        let moved: BTreeSet<_> = moving.iter().map(|(position, ..)| position).collect();
        for position in a.keys().chain(b.keys()).filter(|position| !moved.contains(position)) {
            if a.get(position) != b.get(position) {
                prop_assert!(found.contains(&Position(*position)));
            }
        }
    }

    #[test]
    fn any_prefix_shows_all_that_lies_under_it(set in sets(), position in positions(), len in 2u8..32) {
        let map = &mut build(set.clone());
        let prefix = Prefix::of(Position(position), len);
        let node = at(map, prefix);
        let below = set.keys().filter(|position| prefix.contains(Position(**position))).count();
        let leaves = node.slots().filter(|(_, slot)| matches!(slot, Slot::Leaf(..))).count();
        let inner = node.slots().filter(|(_, slot)| matches!(slot, Slot::Inner(_))).count();
        prop_assert_eq!(below == 0, node.is_empty());
        prop_assert!(leaves + 2 * inner <= below && (inner > 0 || leaves == below));
    }

    #[test]
    fn no_bytes_make_a_node_panic(position: [u8; 16], bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = [&[1], &bytes[..]].concat();
        if let Ok(node) = Node::decode(Prefix::of(Position(position), 2), &bytes) {
            prop_assert_eq!(node.encode(), bytes);
        }
    }
}

fn spread(keys: u32) -> Set {
    let position = |key: u32| {
        let mut position = Position::of(&key.to_be_bytes()).0;
        position[0] = 0xab;
        (position, 1)
    };
    (0..keys).map(position).collect()
}

#[test]
fn one_difference_among_4096_keys_costs_less_than_2_kib() {
    let ours = spread(4096);
    let mut theirs = ours.clone();
    let (changed, _) = theirs.iter().nth(1234).map(|(k, v)| (*k, *v)).unwrap();
    theirs.insert(changed, 2);
    let (found, wire, _) = descend(&mut build(ours), &mut build(theirs), 32);
    assert_eq!(found, [Difference::Both(Position(changed))]);
    assert!(wire < 2048, "{wire} bytes");
}

#[test]
fn an_empty_replica_is_listed_within_the_bound() {
    let (full, empty) = (&mut build(spread(2000)), &mut Map::default());
    for (ours, theirs) in [(0, 2000), (2000, 0)] {
        let (a, b) = if ours == 0 { (&mut *empty, &mut *full) } else { (&mut *full, &mut *empty) };
        let (found, wire, held) = descend(a, b, 4);
        assert_eq!(found.len(), 2000);
        assert!(held <= 4 * 16 * 4, "{held} prefixes held");
        assert!(theirs > 0 || wire == 16, "nothing is asked of a replica that is known to be empty");
    }
}

#[test]
fn an_answer_of_the_wrong_length_is_an_error() {
    let (ours, theirs) = (&mut build(spread(20)), &mut build(spread(30)));
    let mut descent = Descent::new(root(), root_hash(ours), root_hash(theirs));
    assert_eq!(descent.answer(&[], &[]), Err(DescentError::Unasked));
    let question = descent.question(4).unwrap();
    let node = at(ours, question.read[0]);
    assert_eq!(descent.answer(&[node], &[]), Err(DescentError::Count { asked: 1, got: 0 }));
    assert!(descent.answer(&[node], &[node]).unwrap().is_empty());
}

#[test]
fn a_leaf_out_of_its_place_is_refused() {
    let prefix = Prefix::of(Position([0xab; 16]), 2);
    let node = Node::with_leaf(prefix, Position([0xab; 16]), StateHash([1; 16]));
    assert_eq!(Node::decode(prefix, &node.encode()), Ok(node));
    assert_eq!(Node::decode(Prefix::of(Position([1; 16]), 2), &node.encode()), Err(NodeError::Misplaced));
    assert_eq!(Node::decode(prefix, &[2]), Err(NodeError::Version(2)));
    assert_eq!(Node::decode(prefix, &[1, 0]), Err(NodeError::Malformed));
}
