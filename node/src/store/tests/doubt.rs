//! Merkle trees that a fault has left behind their data: no write is refused for them, and they come right again.

use proptest::prelude::*;

use super::*;
use crate::merkle::{Node, Prefix};

const P: Partition = Partition(3);

fn bench(keys: usize) -> Bench {
    let bench = Bench::new();
    for n in 0..keys {
        bench.run(&blind(&key_in(P.0, n), "v")).unwrap();
    }
    bench
}

/// The same, without the look at everything that is kept twice: what is wrong is known.
fn apply<O: Operation>(bench: &Bench, operation: &O) -> O::Outcome {
    let mut batch = Batch::new(&bench.store, Limits::default()).unwrap();
    let outcome = batch.apply(operation).unwrap();
    if let Some(rows) = batch.finish() {
        bench.store.write(rows).unwrap();
    }
    outcome
}

fn nodes(bench: &Bench) -> Vec<Row> {
    let nodes = all(&bench.store, Space::Merkle).into_iter();
    nodes.filter(|(key, _)| key.starts_with(&keys::merkle_prefix(P))).collect()
}

fn set(bench: &Bench, space: Space, key: &Bytes, value: Option<Bytes>) {
    bench.store.write(WriteBatch { rows: vec![(space, key.clone(), value)], reserve: false }).unwrap();
}

fn summary(bench: &Bench) -> Summary {
    bench.local.summary(P).unwrap()
}

fn in_doubt(bench: &Bench) -> bool {
    bench.local.doubted().unwrap() == [P]
}

/// Makes the tree anew in steps of so many rows; says how many steps it took.
fn plant(bench: &Bench, rows: usize) -> usize {
    let plant = Plant { partition: P, limit: Limit::rows(rows) };
    let steps = std::iter::repeat_with(|| apply(bench, &plant));
    let steps = 1 + steps.take_while(|planted| *planted != Planted::Whole).count();
    audit(&bench.store);
    steps
}

#[test]
fn no_write_is_refused_for_a_broken_node_and_the_tree_is_made_anew() {
    let sound = bench(60);
    let whole = nodes(&sound);
    assert!(whole.len() > 2);
    for broken in 0..whole.len() {
        for how in ["gone", "unreadable", "another"] {
            let bench = bench(60);
            let (key, row) = nodes(&bench)[broken].clone();
            let to = match how {
                "gone" => None,
                "unreadable" => Some(Bytes::from_static(b"\x09scratched")),
                _ => {
                    let mut row = row.to_vec();
                    *row.last_mut().unwrap() ^= 1;
                    Some(row.into())
                }
            };
            set(&bench, Space::Merkle, &key, to);
            for n in 0..60 {
                apply(&bench, &blind(&key_in(P.0, n), "w"));
            }
            assert!(in_doubt(&bench), "node {broken} {how}");
            assert_eq!(bench.local.roots(&[P, Partition(4)]).unwrap()[0], None, "shown to nobody");
            assert_eq!(bench.local.merkle(P, &[Prefix::root(P, q())]).unwrap(), None);
            plant(&bench, 7);
            assert_eq!((summary(&bench).keys, in_doubt(&bench)), (60, false));
        }
    }
}

#[test]
fn a_leaf_without_a_key_and_a_key_without_a_leaf_are_doubts() {
    let key = key_in(P.0, 5);
    // The row of a key is lost.
    let bench = bench(20);
    set(&bench, Space::Data, data_key(&key).as_bytes(), None);
    apply(&bench, &blind(&key, "again"));
    assert!(in_doubt(&bench));
    plant(&bench, 3);

    // The tree was never told of a key.
    let bench = self::bench(20);
    let (row, state) = (data_key(&key).as_bytes().clone(), bench.local.encoded(key.as_bytes()).unwrap());
    apply(
        &bench,
        &Reap { keys: vec![Listed { position: data_key(&key).position(), hash: bench.hash(&key) }] },
    );
    set(&bench, Space::Data, &row, state);
    let state = bench.state(&key).unwrap();
    let merge = Merge { key: key.clone().into(), state, hint: None, from: None };
    assert!(!apply(&bench, &merge).changed);
    assert!(in_doubt(&bench));
    plant(&bench, 3);
    assert_eq!(summary(&bench).keys, 20, "the counts come right as well");
}

#[test]
fn what_looks_odd_from_outside_is_examined_before_it_is_doubted() {
    let bench = bench(20);
    let at = |n| data_key(&key_in(P.0, n)).position();
    let prefixes = vec![Prefix::of(at(0), 1), Prefix::of(at(0), 9)];
    let examine = Examine { partition: P, prefixes, positions: vec![at(0), at(1), at(50)] };
    assert!(!bench.run(&examine).unwrap());
    for space in [Space::Data, Space::Birth] {
        set(&bench, space, data_key(&key_in(P.0, 1)).as_bytes(), None);
    }
    assert!(apply(&bench, &examine) && in_doubt(&bench));
    plant(&bench, 100);
    assert!(!bench.run(&examine).unwrap());
    let (root, _) = nodes(&bench)[0].clone();
    set(&bench, Space::Merkle, &root, None);
    assert_eq!(bench.local.merkle(P, &[Prefix::of(at(0), 1)]), Err(StoreError::Tree(P)));
    assert!(apply(&bench, &Examine { positions: Vec::new(), ..examine }));
}

#[test]
fn lesson_10_a_repair_rehashes_what_it_touched() {
    let bench = bench(40);
    // A leaf that a fault left behind its state, under hashes that fit it: nothing is broken, and the root differs.
    let key = key_in(P.0, 7);
    let mut batch = Batch::new(&bench.store, Limits::default()).unwrap();
    let stale = batch.tree(P, q()).upsert(data_key(&key).position(), StateHash([9; 16])).unwrap();
    batch.set_summary(P, Summary { root: stale, ..summary(&bench) });
    bench.store.write(batch.finish().unwrap()).unwrap();
    // What an exchange sends: the very state that is here.
    let state = bench.local.encoded(key.as_bytes()).unwrap().unwrap();
    let merge = MergeMany { entries: vec![(data_key(&key), state)], hint: None, from: None };
    assert_eq!(bench.run(&merge), Ok(0));
    assert!(!in_doubt(&bench) && summary(&bench).root != stale);

    // And the side that sends looks at its own leaf.
    let mut batch = Batch::new(&bench.store, Limits::default()).unwrap();
    let stale = batch.tree(P, q()).upsert(data_key(&key).position(), StateHash([9; 16])).unwrap();
    batch.set_summary(P, Summary { root: stale, ..summary(&bench) });
    bench.store.write(batch.finish().unwrap()).unwrap();
    let positions = vec![data_key(&key).position()];
    assert_eq!(bench.run(&Examine { partition: P, prefixes: Vec::new(), positions }), Ok(false));
}

#[test]
fn a_rebuild_goes_in_bounded_steps_and_says_when_it_is_done() {
    let bench = bench(100);
    let before = (nodes(&bench), summary(&bench));
    bench.run(&Rebuild { partition: P }).unwrap();
    assert!(in_doubt(&bench));
    assert!(plant(&bench, 10) > 10);
    assert_eq!((nodes(&bench), summary(&bench)), before);
    assert_eq!(plant(&bench, 10), 1, "nothing is left to do");
    bench.run(&layout([4])).unwrap();
    assert_eq!(bench.run(&Rebuild { partition: P }), Err(OpError::NotHeld(P)));
}

#[test]
fn a_partition_that_is_given_away_while_its_tree_is_made_anew_leaves_nothing() {
    let bench = bench(30);
    bench.run(&Rebuild { partition: P }).unwrap();
    bench.run(&Plant { partition: P, limit: Limit::rows(100) }).unwrap();
    bench.run(&Plant { partition: P, limit: Limit::rows(10) }).unwrap();
    bench.run(&layout([4])).unwrap();
    assert_eq!((bench.local.doubted().unwrap(), summary(&bench).planting), (vec![], None));
    bench.run(&layout([3, 4])).unwrap();
    assert_eq!((summary(&bench).keys, in_doubt(&bench)), (30, false));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Put(usize),
    Delete(usize),
    Reap(usize),
    Plant(usize),
    Break(usize),
}

proptest! {
    /// Writes go on while a tree is made anew, and it breaks again on the way.
    #[test]
    fn a_tree_that_is_made_anew_among_writes_comes_out_right(
        steps in prop::collection::vec(prop_oneof![
            6 => (0usize..24).prop_map(Step::Put),
            2 => (0usize..24).prop_map(Step::Delete),
            3 => (0usize..24).prop_map(Step::Reap),
            6 => (1usize..6).prop_map(Step::Plant),
            1 => any::<usize>().prop_map(Step::Break),
        ], 1..60),
    ) {
        let bench = bench(16);
        apply(&bench, &Rebuild { partition: P });
        let mut broken = false;
        for step in steps {
            match step {
                Step::Put(n) => {
                    apply(&bench, &blind(&key_in(P.0, n), "w"));
                }
                Step::Delete(n) => {
                    apply(&bench, &Put { value: None, ..blind(&key_in(P.0, n), "") });
                }
                Step::Reap(n) => {
                    let key = key_in(P.0, n);
                    if bench.state(&key).is_some() {
                        let listed = Listed { position: data_key(&key).position(), hash: bench.hash(&key) };
                        apply(&bench, &Reap { keys: vec![listed] });
                    }
                }
                Step::Plant(rows) => {
                    apply(&bench, &Plant { partition: P, limit: Limit::rows(rows) });
                }
                Step::Break(n) => {
                    let nodes = nodes(&bench);
                    if let Some((key, _)) = nodes.get(n % nodes.len().max(1)) {
                        set(&bench, Space::Merkle, key, (n % 2 == 0).then(|| Node::default().encode().into()));
                        broken = true;
                    }
                }
            }
            if !broken {
                audit(&bench.store);
            }
        }
        if broken {
            // What nothing has touched since is found by whoever comes upon it; here it is said.
            apply(&bench, &Rebuild { partition: P });
        }
        plant(&bench, 5);
        audit(&bench.store);
    }
}
