//! A store in memory that loses what was not synced, for simulations and tests. Deterministic.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::error::StoreError;
use super::{Limit, Read, Row, Space, Store, WriteBatch, overlay};

type Map = Arc<BTreeMap<Bytes, Bytes>>;

/// The rows as they were before one batch.
type Undo = Vec<(Space, Bytes, Option<Bytes>)>;

#[derive(Debug, Default)]
struct Disk {
    spaces: [Map; Space::COUNT],
    /// Batches that were not synced, oldest first.
    unsynced: Vec<Undo>,
    full: bool,
    syncs_until_failure: Option<usize>,
    failed: bool,
}

/// A disk in memory. Clones are the same disk, so a simulated node can be started again over it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
}

impl MemoryStore {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another disk that holds what this one holds now, all of it synced: a copy of the volume, as a backup takes it.
    #[must_use]
    pub fn copy(&self) -> Self {
        let spaces = self.disk().spaces.clone();
        Self { disk: Arc::new(Mutex::new(Disk { spaces, ..Disk::default() })) }
    }

    /// The machine loses power: what was not synced is gone. Faults end with it.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// The same, but the oldest `kept` of the unsynced batches happen to have reached the disk.
    pub fn crash_keeping(&self, kept: usize) {
        let mut disk = self.disk();
        let lost = disk.unsynced.len().saturating_sub(kept);
        for _ in 0..lost {
            for (space, key, before) in disk.unsynced.pop().into_iter().flatten().rev() {
                let map = Arc::make_mut(&mut disk.spaces[space.index()]);
                match before {
                    Some(value) => map.insert(key, value),
                    None => map.remove(&key),
                };
            }
        }
        disk.unsynced.clear();
        disk.syncs_until_failure = None;
        disk.failed = false;
    }

    /// Batches that a crash would lose.
    pub fn unsynced(&self) -> usize {
        self.disk().unsynced.len()
    }

    /// Refuses, or takes again, what may not use the reserve.
    pub fn set_full(&self, full: bool) {
        self.disk().full = full;
    }

    /// Fails the sync after the next `syncs`, and everything after it until a crash.
    pub fn fail_sync_after(&self, syncs: usize) {
        self.disk().syncs_until_failure = Some(syncs);
    }
}

impl Read for MemoryStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.disk().spaces[space.index()].get(key).cloned())
    }

    fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError> {
        Ok(range(&self.disk().spaces[space.index()], from, to, limit))
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Box<dyn Read> {
        Box::new(Snapshot { spaces: self.disk().spaces.clone() })
    }

    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut disk = self.disk();
        if disk.failed {
            return Err(StoreError::Engine("a sync failed before".to_owned()));
        }
        if disk.full && !batch.reserve {
            return Err(StoreError::Full { free: 0, reserve: 1 });
        }
        let mut undo = Vec::with_capacity(batch.rows.len());
        for (space, key, value) in batch.rows {
            let map = Arc::make_mut(&mut disk.spaces[space.index()]);
            let before = match value {
                Some(value) => map.insert(key.clone(), value),
                None => map.remove(&key),
            };
            undo.push((space, key, before));
        }
        disk.unsynced.push(undo);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut disk = self.disk();
        match disk.syncs_until_failure {
            Some(0) => disk.failed = true,
            Some(left) => disk.syncs_until_failure = Some(left - 1),
            None => {}
        }
        if disk.failed {
            return Err(StoreError::SyncFailed("simulated".to_owned()));
        }
        disk.unsynced.clear();
        Ok(())
    }
}

struct Snapshot {
    spaces: [Map; Space::COUNT],
}

impl Read for Snapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.spaces[space.index()].get(key).cloned())
    }

    fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError> {
        Ok(range(&self.spaces[space.index()], from, to, limit))
    }
}

fn range(map: &BTreeMap<Bytes, Bytes>, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: Limit) -> Vec<Row> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    if overlay::is_empty(from, to) {
        return rows;
    }
    for (key, value) in map.range::<[u8], _>((from, to)) {
        if limit.reached(rows.len(), bytes) {
            break;
        }
        bytes += key.len() + value.len();
        rows.push((key.clone(), value.clone()));
    }
    rows
}
