//! Tests of the store's parts together, and what they share.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use dynamo_ring::{NodeId, Partition, Partitions};

use super::*;
use crate::merkle::{MerkleHash, Nodes, NodesMut, Tree};
use crate::version::{ActorId, State, StateHash, VersionVector};

mod committing;
mod crash;
mod disk;
mod doubt;
mod operations;

pub(super) const Q: u32 = 8;

pub(super) fn q() -> Partitions {
    Partitions::new(Q).unwrap()
}

pub(super) fn identity() -> Identity {
    Identity { node_id: NodeId([1; 16]), actor: ActorId(1), cluster_id: None }
}

pub(super) fn node(n: u8) -> NodeId {
    NodeId([n; 16])
}

pub(super) fn put(key: &str, context: &VersionVector, value: &str) -> Put {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        context: context.clone(),
        value,
        write_id: None,
        now_ms: 1,
        expires_at_ms: None,
        hint: None,
    }
}

pub(super) fn blind(key: &str, value: &str) -> Put {
    put(key, &VersionVector::new(), value)
}

pub(super) fn layout(held: impl IntoIterator<Item = u16>) -> LayoutChange {
    let held = held.into_iter().map(Partition).collect();
    LayoutChange { record: Bytes::from_static(b"record"), partitions: q(), held, puts: Vec::new() }
}

pub(super) fn data_key(key: &str) -> DataKey {
    DataKey::of(key.as_bytes()).unwrap()
}

pub(super) fn partition_of(key: &str) -> Partition {
    data_key(key).position().partition(q())
}

/// A key of that partition, the n-th.
pub(super) fn key_in(partition: u16, n: usize) -> String {
    let mut keys = (0..).map(|n| format!("key-{n}")).filter(|key| partition_of(key).0 == partition);
    keys.nth(n).unwrap()
}

/// A store with an identity, whose operations are applied one by one, each written and synced.
pub(super) struct Bench {
    pub(super) store: MemoryStore,
    pub(super) local: Local,
    limits: Limits,
}

impl Bench {
    /// It holds all partitions.
    pub(super) fn new() -> Self {
        let bench = Self::without_layout(Limits::default());
        bench.run(&layout(0..8)).unwrap();
        bench
    }

    pub(super) fn without_layout(limits: Limits) -> Self {
        let store = MemoryStore::new();
        Identity::establish(&store, identity()).unwrap();
        Self { local: Local::new(Arc::new(store.clone())), store, limits }
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        let bench = Self::without_layout(limits);
        bench.run(&layout(0..8)).unwrap();
        bench
    }

    pub(super) fn run<O: Operation>(&self, operation: &O) -> Result<O::Outcome, OpError> {
        let mut batch = Batch::new(&self.store, self.limits)?;
        let outcome = batch.apply(operation);
        if let Some(rows) = batch.finish() {
            self.store.write(rows)?;
            self.store.sync()?;
        }
        audit(&self.store);
        outcome
    }

    pub(super) fn state(&self, key: &str) -> Option<State> {
        self.local.state(key.as_bytes()).unwrap()
    }

    pub(super) fn hash(&self, key: &str) -> StateHash {
        StateHash::of(key.as_bytes(), &self.local.encoded(key.as_bytes()).unwrap().unwrap())
    }

    /// A stand-in's hint for a key.
    pub(super) fn hint(target: u8, since_ms: u64) -> StandIn {
        StandIn { target: node(target), since_ms }
    }
}

fn all(read: &dyn Read, space: Space) -> Vec<Row> {
    read.range(space, Bound::Unbounded, Bound::Unbounded, Limit::rows(usize::MAX)).unwrap()
}

/// Nodes in a plain map, to build a tree anew.
#[derive(Default)]
struct Fresh(std::collections::BTreeMap<crate::merkle::Prefix, crate::merkle::Node>);

impl Nodes for &mut Fresh {
    type Error = std::convert::Infallible;

    fn get(&self, prefix: crate::merkle::Prefix) -> Result<Option<crate::merkle::Node>, Self::Error> {
        Ok(self.0.get(&prefix).copied())
    }

    fn broken(&self, prefix: crate::merkle::Prefix) -> Self::Error {
        panic!("no node at {prefix:?}, or another")
    }
}

impl NodesMut for &mut Fresh {
    fn put(&mut self, prefix: crate::merkle::Prefix, node: &crate::merkle::Node) -> Result<(), Self::Error> {
        self.0.insert(prefix, *node);
        Ok(())
    }

    fn remove(&mut self, prefix: crate::merkle::Prefix) -> Result<(), Self::Error> {
        self.0.remove(&prefix);
        Ok(())
    }
}

/// Everything that is kept twice agrees: trees and summaries with the data, hints by target with hints by key and with
/// their counts; every hint and every birth mark belongs to a key that is here.
pub(super) fn audit(read: &dyn Read) {
    let local = |key: &[u8]| read.get(Space::Meta, key).unwrap();
    let Some(row) = local(&MetaKey::Partitions.encode()) else { return };
    let q = rows::read_partitions(&row).unwrap();
    let data = all(read, Space::Data);
    let nodes = all(read, Space::Merkle);
    for partition in q.iter() {
        let stored = local(&MetaKey::Summary(partition).encode()).map(|row| Summary::decode(&row).unwrap());
        let stored = stored.unwrap_or_default();
        let mut summary = Summary { held: stored.held, planting: stored.planting, ..Summary::default() };
        let (mut passed, begun) = (Planting::default(), stored.planting.unwrap_or_default());
        let mut fresh = Fresh::default();
        for (row, encoded) in &data {
            let key = DataKey::from_peer(row.clone()).unwrap();
            if key.position().partition(q) != partition {
                continue;
            }
            assert!(!State::decode(encoded).unwrap().is_empty());
            summary.keys += 1;
            summary.bytes += (row.len() + encoded.len()) as u64;
            if begun.has_passed(key.position()) {
                passed.keys += 1;
                passed.bytes += (row.len() + encoded.len()) as u64;
            }
            if stored.has_leaf_at(key.position()) {
                let root = crate::merkle::Prefix::root(partition, q);
                let hash = StateHash::of(key.user_key(), encoded);
                let Ok(root) = Tree::new(root, &mut fresh).upsert(key.position(), hash);
                summary.root = root;
            }
        }
        assert_eq!(stored, summary, "partition {partition}");
        assert_eq!((passed.keys, passed.bytes), (begun.keys, begun.bytes), "what was planted anew");
        if stored.held && stored.planting.is_some_and(|planting| !planting.cleared) {
            // Old nodes, on their way out.
        } else if stored.held {
            let prefix = keys::merkle_prefix(partition);
            let kept: BTreeSet<Row> =
                nodes.iter().filter(|(row, _)| row.starts_with(&prefix)).cloned().collect();
            let anew = fresh.0.iter().map(|(prefix, node)| {
                (Bytes::from(keys::merkle_key(partition, *prefix)), Bytes::from(node.encode()))
            });
            assert_eq!(kept, anew.collect(), "nodes of partition {partition}");
        } else {
            assert_eq!(stored.root, MerkleHash::EMPTY);
        }
    }
    audit_hints(read, &data);
    let passes = |encoded| State::decode(encoded).unwrap().passes_at_ms();
    let passing =
        data.iter().filter_map(|(key, encoded)| Some((key.clone(), rows::number(passes(encoded)?))));
    assert_eq!(all(read, Space::Passing), passing.collect::<Vec<_>>(), "what passes");
    let keys: BTreeSet<_> = data.iter().map(|(key, _)| key).collect();
    assert!(
        all(read, Space::Birth).iter().all(|(key, _)| keys.contains(key)),
        "a birth mark without its state"
    );
}

fn audit_hints(read: &dyn Read, data: &[Row]) {
    let prefix = HintKey::target_prefix(None);
    let by_target = read_prefix(read, Space::Hint, &prefix, None, Limit::rows(usize::MAX)).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let mut expected = BTreeSet::new();
    for (row, _) in &by_target {
        let hint = HintKey::from_by_target(row).unwrap();
        assert!(data.iter().any(|(key, _)| key == hint.key.as_bytes()), "a hint for nothing");
        *counts.entry(hint.target).or_insert(0u64) += 1;
        expected.extend([(row.clone(), rows::row([])), (hint.by_key(), rows::number(hint.since_ms))]);
    }
    assert_eq!(all(read, Space::Hint).into_iter().collect::<BTreeSet<_>>(), expected);
    let stored = read_prefix(read, Space::Meta, &keys::HINT_COUNTS, None, Limit::rows(usize::MAX)).unwrap();
    let stored = stored.iter().map(|(key, row)| {
        (NodeId(key[1..].try_into().unwrap()), rows::read_number("hint count", row).unwrap())
    });
    assert_eq!(stored.collect::<std::collections::BTreeMap<_, _>>(), counts);
}
