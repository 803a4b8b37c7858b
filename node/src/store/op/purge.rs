//! Keys go with their partition.

use std::ops::Bound;

use dynamo_ring::Partition;

use super::super::batch::Batch;
use super::super::error::{OpError, StoreError};
use super::super::keys::DataKey;
use super::super::{Limit, Read, Space};
use super::Operation;

/// Drops keys of a partition that is not held here: state and birth mark together. Keys that a hint points to stay
/// (to drop those too, drop the hints first).
#[derive(Debug, Clone)]
pub struct Purge {
    /// A partition that no layout gives to this node any more.
    pub partition: Partition,
    /// Go on after this key; `None` begins.
    pub after: Option<DataKey>,
    /// How many rows to look at.
    pub limit: usize,
}

/// What [`Purge`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// Keys that went.
    pub keys: usize,
    /// Keys that stay for their hints.
    pub kept: usize,
    /// There is more: go on after this key, or with the same `after` if this is `None`.
    pub after: Option<DataKey>,
    /// All is done.
    pub done: bool,
}

impl Operation for Purge {
    type Outcome = Purged;
    const GROWS: bool = false;
    const BACKGROUND: bool = true;

    fn weight(&self) -> usize {
        self.limit.saturating_mul(64)
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Purged, OpError> {
        let q = batch.partitions()?;
        if batch.summary(self.partition)?.held {
            return Err(OpError::StillHeld(self.partition));
        }
        let limit = self.limit.max(1);
        let (from, to) = DataKey::range(self.partition, q);
        let from = match &self.after {
            Some(key) => Bound::Excluded(&key.as_bytes()[..]),
            None => from.as_ref().map(|first| &first[..]),
        };
        let to = to.as_ref().map(|end| &end[..]);
        let rows = batch.rows.range(Space::Data, from, to, Limit { rows: limit, bytes: 16 << 20 })?;
        let mut purged = Purged { keys: 0, kept: 0, after: self.after.clone(), done: false };
        for (row, _) in rows {
            let key = DataKey::from_store(row).map_err(|why| StoreError::corrupt("key", why))?;
            if batch.is_owed(&key)? {
                purged.kept += 1;
            } else {
                batch.forget(&key)?;
                purged.keys += 1;
            }
            purged.after = Some(key);
        }
        if purged.keys + purged.kept == 0 {
            // The tree's nodes go last: nothing reads them while the partition is not held.
            purged.done = batch.remove_nodes(self.partition, limit)? < limit;
        }
        Ok(purged)
    }
}
