//! Which keys show nothing any more, or will not from some time on: what a round of reaping lists.
//!
//! Kept in the batch of every write that changes it, so it is exact; and apart from the data, so that deletes are found
//! without reading what nobody deleted.

use std::ops::Bound;

use dynamo_ring::{Partition, Position};

use super::batch::{Batch, decoded};
use super::error::StoreError;
use super::keys::DataKey;
use super::local::Local;
use super::{Limit, Space, rows};
use crate::version::{State, StateHash};

/// A key whose every version is past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Where the key lies. Two keys never share a position.
    pub position: Position,
    /// What it holds.
    pub hash: StateHash,
    /// The coordinator's wall clock at its last write, ms since the epoch. For figures.
    pub written_at_ms: u64,
}

/// What [`Local::passed`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedKeys {
    /// In the order of their positions.
    pub keys: Vec<Passed>,
    /// There may be more: go on after this position.
    pub after: Option<Position>,
}

impl Batch<'_> {
    /// Notes from when on a key shows nothing, if its state says so. Called before the state itself is stored.
    pub(super) fn note_passing(&mut self, key: &DataKey, encoded: &bytes::Bytes) -> Result<(), StoreError> {
        let after = decoded(Some(encoded))?.passes_at_ms();
        // Only of one that stays for ever does it matter what was noted before.
        let before =
            if after.is_none() { decoded(self.encoded(key)?.as_ref())?.passes_at_ms() } else { None };
        self.note_passing_of(key, before, after);
        Ok(())
    }

    /// Notes from when on a key shows nothing, as its state before said and as the one after does.
    pub(super) fn note_passing_of(&mut self, key: &DataKey, before: Option<u64>, after: Option<u64>) {
        match (before, after) {
            (_, Some(at)) => self.rows.put(Space::Passing, key.as_bytes().clone(), rows::number(at)),
            (Some(_), None) => self.rows.remove(Space::Passing, key.as_bytes().clone()),
            (None, None) => {}
        }
    }
}

impl Local {
    /// Whether there is any key here whose every version is past, or will be.
    pub fn anything_passes(&self) -> Result<bool, StoreError> {
        let any = self.read().range(Space::Passing, Bound::Unbounded, Bound::Unbounded, Limit::rows(1))?;
        Ok(!any.is_empty())
    }

    /// Keys of a partition whose every version is past at this wall clock, after a position, until the keys looked at, or
    /// the states read, reach the limit.
    pub fn passed(
        &self,
        partition: Partition,
        after: Option<Position>,
        now_ms: u64,
        limit: Limit,
    ) -> Result<PassedKeys, StoreError> {
        let Some(q) = self.partitions()? else { return Ok(PassedKeys::default()) };
        let (first, end) = DataKey::range(partition, q);
        let next = match after.map(|position| u128::from_be_bytes(position.0).checked_add(1)) {
            // The last position of all has nothing after it.
            Some(None) => return Ok(PassedKeys::default()),
            Some(Some(next)) => Some(next.to_be_bytes()),
            None => None,
        };
        let from = next
            .as_ref()
            .map_or_else(|| first.as_ref().map(|first| &first[..]), |next| Bound::Included(&next[..]));
        let end = end.as_ref().map(|end| &end[..]);
        let rows = self.read().range(Space::Passing, from, end, Limit::rows(limit.rows.max(1)))?;
        let (mut passed, mut bytes) = (PassedKeys::default(), 0);
        for (at, (row, due)) in rows.into_iter().enumerate() {
            let key = DataKey::from_store(row).map_err(|why| StoreError::corrupt("passing", why))?;
            if rows::read_number("passing", &due)? <= now_ms
                && let Some(encoded) = self.read().get(Space::Data, key.as_bytes())?
            {
                bytes += encoded.len();
                let state = State::decode(&encoded).map_err(|why| StoreError::corrupt("state", why))?;
                let written = state.siblings().iter().map(|sibling| sibling.written_at_ms);
                passed.keys.push(Passed {
                    position: key.position(),
                    hash: StateHash::of(key.user_key(), &encoded),
                    written_at_ms: written.max().unwrap_or(0),
                });
            }
            if limit.reached(at + 1, bytes) {
                passed.after = Some(key.position());
                break;
            }
        }
        Ok(passed)
    }
}
