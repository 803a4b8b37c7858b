//! A store with some keys, for the tests of what is answered.

use std::sync::Arc;

use bytes::Bytes;
use dynamo_ring::{Partition, Partitions, Position};

use crate::entropy::Entropy;
use crate::store::{Batch, Identity, LayoutChange, Limits, Local, MemoryStore, Operation, Put, Store};
use crate::version::VersionVector;

/// A store that holds partitions 0 to 3 of 8, with these keys.
pub(super) fn local(keys: &[(&str, usize)]) -> Local {
    store(keys).1
}

pub(super) fn store(keys: &[(&str, usize)]) -> (MemoryStore, Local) {
    let store = MemoryStore::new();
    Identity::establish(&store, Identity::drawn(&Entropy::from_os())).unwrap();
    let partitions = Partitions::new(8).unwrap();
    let held = (0..4).map(Partition).collect();
    run(&store, &LayoutChange { record: "{}".into(), partitions, held, puts: Vec::new() });
    for (key, size) in keys {
        let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Some(vec![7; *size].into()));
        let context = VersionVector::new();
        run(&store, &Put { key, context, value, write_id: None, now_ms: 1, expires_at_ms: None, hint: None });
    }
    (store.clone(), Local::new(Arc::new(store)))
}

pub(super) fn run<O: Operation>(store: &MemoryStore, operation: &O) {
    let mut batch = Batch::new(store, Limits::default()).unwrap();
    batch.apply(operation).unwrap();
    store.write(batch.finish().unwrap()).unwrap();
}

/// Keys of partition 0, in the order of their positions.
pub(super) fn keys(count: usize) -> Vec<(Position, String)> {
    let q = Partitions::new(8).unwrap();
    let all = (0..1000).map(|n| format!("key-{n}")).map(|key| (Position::of(key.as_bytes()), key));
    let mut keys: Vec<_> = all.filter(|(position, _)| position.partition(q).0 == 0).take(count).collect();
    keys.sort();
    keys
}
