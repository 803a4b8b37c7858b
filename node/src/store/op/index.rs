//! Notes of what passes, made for data that was stored before there were any.

use std::ops::Bound;

use super::super::batch::Batch;
use super::super::error::{OpError, StoreError};
use super::super::keys::{DataKey, MetaKey};
use super::super::{Limit, Read, Space, rows};
use super::Operation;

/// Notes which of the next keys show nothing any more, or will not from some time on. Writes note that themselves; a store
/// of an earlier release is gone through once. When the last key has been looked at, that is written down.
#[derive(Debug, Clone)]
pub struct IndexPassing {
    /// Go on after this key; `None` begins.
    pub after: Option<DataKey>,
    /// How many keys to look at.
    pub limit: usize,
}

impl IndexPassing {
    /// The fact that all is noted.
    pub const DONE: MetaKey<'static> = MetaKey::Named("passing");
}

impl Operation for IndexPassing {
    /// Go on after this key; nothing if all is done.
    type Outcome = Option<DataKey>;
    const GROWS: bool = true;

    fn weight(&self) -> usize {
        self.limit.saturating_mul(64)
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Option<DataKey>, OpError> {
        let from = self.after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key.as_bytes()[..]));
        let limit = Limit { rows: self.limit.max(1), bytes: 4 << 20 };
        let found = batch.rows.range(Space::Data, from, Bound::Unbounded, limit)?;
        let mut last = None;
        for (row, encoded) in found {
            let key = DataKey::from_store(row).map_err(|why| StoreError::corrupt("key", why))?;
            batch.note_passing(&key, &encoded)?;
            last = Some(key);
        }
        if last.is_none() {
            batch.put_meta(Self::DONE, rows::row([]));
        }
        Ok(last)
    }
}
