//! What a round of reaping asks of one disk, and the reaping itself. See [`crate::reap`].

use dynamo_ring::{Partition, Position};

use super::super::batch::{Batch, decoded};
use super::super::error::{OpError, StoreError};
use super::super::keys::DataKey;
use super::super::{Limit, Space, read_prefix};
use super::Operation;
use crate::version::StateHash;

/// One key of a round: where it lies, and what it has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listed {
    /// Two keys never share one.
    pub position: Position,
    /// The hash of the state that is to be reaped.
    pub hash: StateHash,
}

/// Says of which listed keys nothing but the listed state is here. It changes nothing; but it has its place among the
/// writes, and its answer `synced` says that what it saw is on disk.
#[derive(Debug, Clone)]
pub struct Testify {
    /// Their partition.
    pub partition: Partition,
    /// The keys.
    pub keys: Vec<Listed>,
    /// This node's wall clock, ms since the epoch: values past their time to live are as good as deleted.
    pub now_ms: u64,
}

/// What [`Testify`] saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// For each listed key: where the partition is held, the key holds exactly the listed state, which shows nothing any
    /// more, and nobody is owed it; elsewhere nothing of the key is here.
    pub agreed: Vec<bool>,
    /// How many times a hint was taken in up to now.
    pub hints: u64,
}

impl Operation for Testify {
    type Outcome = Testimony;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        self.keys.len() * 32 + 64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Testimony, OpError> {
        let held = batch.summary(self.partition)?.held;
        let mut agreed = Vec::with_capacity(self.keys.len());
        for listed in &self.keys {
            agreed.push(match batch.at(listed.position)? {
                Some((key, encoded)) if held => {
                    let passed = decoded(Some(&encoded))?.passes_at_ms().is_some_and(|at| at <= self.now_ms);
                    passed
                        && StateHash::of(key.user_key(), &encoded) == listed.hash
                        && !batch.is_owed(&key)?
                }
                found => !held && found.is_none(),
            });
        }
        Ok(Testimony { agreed, hints: batch.taken_hints() })
    }
}

/// Removes keys after every member agreed to it: state, birth mark and all. One whose state is no longer the listed one,
/// or that somebody is owed, stays.
#[derive(Debug, Clone)]
pub struct Reap {
    /// The keys, and the hashes that were listed and agreed on.
    pub keys: Vec<Listed>,
}

impl Operation for Reap {
    /// Keys that went.
    type Outcome = usize;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        self.keys.len() * 96
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<usize, OpError> {
        let mut reaped = 0;
        for listed in &self.keys {
            let Some((key, encoded)) = batch.at(listed.position)? else { continue };
            if StateHash::of(key.user_key(), &encoded) == listed.hash && !batch.is_owed(&key)? {
                batch.forget(&key)?;
                reaped += 1;
            }
        }
        Ok(reaped)
    }
}

impl Batch<'_> {
    /// The key at a position, and its state.
    pub(super) fn at(&self, position: Position) -> Result<Option<(DataKey, bytes::Bytes)>, StoreError> {
        let rows = read_prefix(&self.rows, Space::Data, position.as_bytes(), None, Limit::rows(1))?;
        let Some((row, encoded)) = rows.into_iter().next() else { return Ok(None) };
        let key = DataKey::from_store(row).map_err(|why| StoreError::corrupt("key", why))?;
        Ok(Some((key, encoded)))
    }
}
