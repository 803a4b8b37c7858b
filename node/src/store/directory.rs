//! A data directory: locked by one process, holding one database, or none yet.
//!
//! ```text
//! <mount>/lock             held for as long as the process has the directory
//! <mount>/data             the database
//! <mount>/data.new         one in the making; thrown away if a start finds it
//! <mount>/aside-<seconds>  set aside; never read again by a node
//! ```
//! A database appears under its name only when its identity is inside, on disk.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::StoreError;
use super::fjall::{FjallOptions, FjallStore};
use super::identity::Identity;
use super::keys::MetaKey;
use super::rows::{self, Counters};
use super::{Read, Space, Store, WriteBatch};
use crate::entropy::Entropy;
use crate::version::ActorId;

/// How often the data was opened.
const STARTS: MetaKey<'static> = MetaKey::Named("starts");

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it. Two nodes must never share one; if this is a restart, wait for the old process to end.
    #[error("{0}: another process has this data directory open")]
    Locked(PathBuf),
    /// The file system refused.
    #[error("{path}: {why}")]
    Io {
        /// The path that it was about.
        path: PathBuf,
        /// The refusal.
        why: io::Error,
    },
    /// The database could not be read. Set the directory aside and let the node rejoin empty.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The lock on a data directory. Keep it for as long as the store is open; dropping it lets others in.
#[derive(Debug)]
pub struct DataDirectory {
    mount: PathBuf,
    _lock: File,
}

/// An open data directory.
#[derive(Debug)]
pub struct Opened {
    /// The lock.
    pub directory: DataDirectory,
    /// The database.
    pub store: Arc<FjallStore>,
    /// Whose data it is.
    pub identity: Identity,
    /// The last stop was clean, so that everything that was ever told to others is here. Only then may the actor id be
    /// kept, if the peers agree; else see [`new_actor`].
    pub was_clean: bool,
    /// Which start over this data this is, from 1.
    pub process: u64,
    /// The directory was empty: this is a new node.
    pub is_new: bool,
    /// Where the data of the node that retired here has been set aside.
    pub set_aside: Option<PathBuf>,
}

impl DataDirectory {
    /// Locks `mount` and opens the database in it; makes one if there is none, or if its node had retired.
    ///
    /// Consumes the mark of a clean stop and counts the start, durably.
    pub fn open(mount: &Path, options: FjallOptions) -> Result<Opened, OpenError> {
        let directory = Self::lock(mount)?;
        let mut set_aside = None;
        if directory.data().exists() {
            let store = FjallStore::open(&directory.data(), options)?;
            if store.get(Space::Meta, &MetaKey::Retired.encode())?.is_some() {
                drop(store);
                set_aside = directory.set_aside_data()?;
            } else {
                return directory.opened(store, false, None);
            }
        }
        directory.create(options)?;
        let store = FjallStore::open(&directory.data(), options)?;
        directory.opened(store, true, set_aside)
    }

    /// Locks `mount`, which is made if need be, without opening anything.
    pub fn lock(mount: &Path) -> Result<Self, OpenError> {
        let failed = |why| OpenError::Io { path: mount.to_owned(), why };
        fs::create_dir_all(mount).map_err(failed)?;
        let path = mount.join("lock");
        let lock = File::options().create(true).write(true).truncate(false).open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { mount: mount.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(mount.to_owned())),
            Err(TryLockError::Error(why)) => Err(failed(why)),
        }
    }

    /// Renames the data to a dated sibling, so that the next start finds an empty directory and begins as a new node.
    /// Returns where it is now; `None` if there was none.
    ///
    /// Stop the commit thread and drop the store first: an open database does not follow.
    pub fn set_aside(self) -> Result<Option<PathBuf>, OpenError> {
        self.set_aside_data()
    }

    fn set_aside_data(&self) -> Result<Option<PathBuf>, OpenError> {
        if !self.data().exists() {
            return Ok(None);
        }
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut names = (seconds..).map(|seconds| self.mount.join(format!("aside-{seconds}")));
        // Two within one second get two names.
        let Some(aside) = names.find(|path| !path.exists()) else { return Ok(None) };
        self.rename(&self.data(), &aside)?;
        Ok(Some(aside))
    }

    fn data(&self) -> PathBuf {
        self.mount.join("data")
    }

    /// Makes a database with a fresh identity and brings it under its name.
    fn create(&self, options: FjallOptions) -> Result<(), OpenError> {
        let new = self.mount.join("data.new");
        if new.exists() {
            fs::remove_dir_all(&new).map_err(|why| OpenError::Io { path: new.clone(), why })?;
        }
        let store = FjallStore::open(&new, options)?;
        Identity::establish(&store, Identity::drawn(&Entropy::from_os()))?;
        drop(store);
        self.rename(&new, &self.data())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), OpenError> {
        let failed = |why| OpenError::Io { path: from.to_owned(), why };
        fs::rename(from, to).map_err(failed)?;
        File::open(&self.mount).and_then(|directory| directory.sync_all()).map_err(failed)
    }

    fn opened(
        self,
        store: FjallStore,
        is_new: bool,
        set_aside: Option<PathBuf>,
    ) -> Result<Opened, OpenError> {
        let identity =
            Identity::read(&store)?.ok_or_else(|| StoreError::corrupt("identity", "there is none"))?;
        let was_clean = consume_clean_mark(&store)?;
        let process = count_start(&store)?;
        Ok(Opened {
            directory: self,
            store: Arc::new(store),
            identity,
            was_clean,
            process,
            is_new,
            set_aside,
        })
    }
}

/// Notes durably that everything this node ever told to others is on its disk. After the commit thread has stopped, and
/// as the last thing before the process ends.
pub fn write_clean_mark(store: &(impl Store + ?Sized)) -> Result<(), StoreError> {
    let commit = stored_commit(store)?;
    write_meta(store, MetaKey::CleanStop, Some(rows::number(commit)))
}

/// Whether the mark was there; it is gone now, durably.
pub fn consume_clean_mark(store: &(impl Store + ?Sized)) -> Result<bool, StoreError> {
    let Some(row) = store.get(Space::Meta, &MetaKey::CleanStop.encode())? else { return Ok(false) };
    let was_clean = rows::read_number("mark of a clean stop", &row)? == stored_commit(store)?;
    write_meta(store, MetaKey::CleanStop, None)?;
    Ok(was_clean)
}

/// Which start over this data this is, from 1; noted durably. Before the commit thread starts.
pub fn count_start(store: &(impl Store + ?Sized)) -> Result<u64, StoreError> {
    let row = store.get(Space::Meta, &STARTS.encode())?;
    let before = row.map(|row| rows::read_number("number of starts", &row)).transpose()?;
    let start = before.unwrap_or(0).saturating_add(1);
    write_meta(store, STARTS, Some(rows::number(start)))?;
    Ok(start)
}

/// Gives the node another actor id, durably, before the commit thread starts: some dots of the old one may live on other
/// replicas only.
pub fn new_actor(
    store: &(impl Store + ?Sized),
    identity: Identity,
    actor: ActorId,
) -> Result<Identity, StoreError> {
    let identity = Identity { actor, ..identity };
    identity.write(store).map(|()| identity)
}

fn stored_commit(read: &(impl Read + ?Sized)) -> Result<u64, StoreError> {
    let row = read.get(Space::Meta, &MetaKey::Counters.encode())?;
    Ok(row.map(|row| Counters::decode(&row)).transpose()?.unwrap_or_default().commit)
}

fn write_meta(
    store: &(impl Store + ?Sized),
    key: MetaKey<'_>,
    value: Option<bytes::Bytes>,
) -> Result<(), StoreError> {
    store.write(WriteBatch { rows: vec![(Space::Meta, key.encode(), value)], reserve: true })?;
    store.sync()
}
