//! The production store: fjall, a log-structured merge tree with one journal for all its keyspaces.
//!
//! fjall holds its journal's lock while it syncs, and stops for good after any failed write (a full disk included).
//! So there is one writer, the commit thread; and room is looked at before each write, never found out by failing.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::error::StoreError;
use super::{Limit, Read, Row, Space, Store, WriteBatch, overlay};

/// Limits of fjall's format, with some distance.
const MAX_KEY: usize = 60_000;
const MAX_VALUE: usize = 1 << 30;

/// Threads that flush and compact. fjall keeps the first for flushes: offered a compaction it puts it back and is offered
/// it again, round and round, until another takes it. With one other, which it starts on two cores, that is a core's worth
/// of nothing for as long as each compaction takes.
const WORKERS: usize = 4;

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FjallOptions {
    /// Memory for blocks read from disk.
    pub cache_bytes: u64,
    /// Room kept free on the volume for flushes and compactions, and for what must be written on a full disk (which
    /// may use half of it). `None`: a twentieth of the volume, at least 128 MiB, at most 4 GiB.
    pub reserve_bytes: Option<u64>,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, reserve_bytes: None }
    }
}

/// A store on disk.
pub struct FjallStore {
    db: Database,
    /// As in [`Space::ALL`].
    spaces: Arc<[Keyspace]>,
    path: PathBuf,
    reserve_bytes: Option<u64>,
}

impl std::fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FjallStore {
    /// Opens the store at `path`, and makes it if there is none.
    pub fn open(path: &Path, options: FjallOptions) -> Result<Self, StoreError> {
        let builder = Database::builder(path).cache_size(options.cache_bytes).worker_threads(WORKERS);
        let db = builder.open().map_err(opening)?;
        let created = |space| KeyspaceCreateOptions::default().max_memtable_size(buffer(space));
        let keyspace = |space: Space| db.keyspace(space.name(), || created(space)).map_err(opening);
        let spaces = Space::ALL.into_iter().map(keyspace).collect::<Result<_, _>>()?;
        Ok(Self { db, spaces, path: path.to_owned(), reserve_bytes: options.reserve_bytes })
    }

    /// Bytes that the store takes on disk, its journal included.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.db.disk_space().map_err(reading)
    }

    /// Bytes free on the volume, and how many of them are kept back.
    pub fn room(&self) -> Result<(u64, u64), StoreError> {
        let volume = rustix::fs::statvfs(&self.path).map_err(|why| StoreError::Io(why.to_string()))?;
        let twentieth = (volume.f_blocks.saturating_mul(volume.f_frsize) / 20).clamp(128 << 20, 4 << 30);
        Ok((volume.f_bavail.saturating_mul(volume.f_frsize), self.reserve_bytes.unwrap_or(twentieth)))
    }
}

impl Read for FjallStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.spaces[space.index()].get(key).map(|value| value.map(Bytes::from)).map_err(reading)
    }

    fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError> {
        if overlay::is_empty(from, to) {
            return Ok(Vec::new());
        }
        collect(self.spaces[space.index()].range::<&[u8], _>((from, to)), limit)
    }
}

impl Store for FjallStore {
    fn snapshot(&self) -> Box<dyn Read> {
        Box::new(Snapshot { snapshot: self.db.snapshot(), spaces: Arc::clone(&self.spaces) })
    }

    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let (free, reserve) = self.room()?;
        let reserve = if batch.reserve { reserve / 2 } else { reserve };
        if free.saturating_sub(batch.bytes() as u64) < reserve {
            return Err(StoreError::Full { free, reserve });
        }
        let mut rows = fjall::OwnedWriteBatch::with_capacity(self.db.clone(), batch.rows.len())
            .durability(Some(PersistMode::Buffer));
        for (space, key, value) in batch.rows {
            let length = value.as_ref().map_or(0, Bytes::len);
            if key.len() > MAX_KEY || length > MAX_VALUE {
                return Err(StoreError::TooLong { key: key.len(), value: length });
            }
            let keyspace = &self.spaces[space.index()];
            match value {
                Some(value) => rows.insert(keyspace, key, value),
                None => rows.remove(keyspace, key),
            }
        }
        // Whatever the reason, fjall takes no more writes after this.
        rows.commit().map_err(|why| StoreError::Engine(why.to_string()))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.db.persist(PersistMode::SyncData).map_err(|why| StoreError::SyncFailed(why.to_string()))
    }
}

struct Snapshot {
    snapshot: fjall::Snapshot,
    spaces: Arc<[Keyspace]>,
}

impl Read for Snapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.snapshot.get(&self.spaces[space.index()], key);
        value.map(|value| value.map(Bytes::from)).map_err(reading)
    }

    fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError> {
        if overlay::is_empty(from, to) {
            return Ok(Vec::new());
        }
        collect(self.snapshot.range::<&[u8], _>(&self.spaces[space.index()], (from, to)), limit)
    }
}

/// Bytes that a space keeps in memory before they go to a table on disk; fjall lets up to four such buffers more wait for
/// that. Small rows are several times as large in memory as on disk, so theirs are small; fjall would keep 64 MiB of each.
const fn buffer(space: Space) -> u64 {
    let mib = match space {
        Space::Data => 16,
        // Each write passes over several nodes of its tree.
        Space::Merkle => 8,
        Space::Birth | Space::Hint | Space::Passing | Space::Meta => 4,
    };
    mib << 20
}

fn collect(guards: impl Iterator<Item = Guard>, limit: Limit) -> Result<Vec<Row>, StoreError> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for guard in guards {
        if limit.reached(rows.len(), bytes) {
            break;
        }
        let (key, value) = guard.into_inner().map_err(reading)?;
        bytes += key.len() + value.len();
        rows.push((Bytes::from(key), Bytes::from(value)));
    }
    Ok(rows)
}

fn opening(why: fjall::Error) -> StoreError {
    match why {
        fjall::Error::Io(why) => StoreError::Io(why.to_string()),
        fjall::Error::Locked => StoreError::Io("another process has the database open".to_owned()),
        why => StoreError::Corrupt(why.to_string()),
    }
}

fn reading(why: fjall::Error) -> StoreError {
    match why {
        fjall::Error::Io(why) | fjall::Error::Storage(fjall::LsmError::Io(why)) => {
            StoreError::Io(why.to_string())
        }
        fjall::Error::Poisoned => StoreError::Engine(why.to_string()),
        why => StoreError::Corrupt(why.to_string()),
    }
}
