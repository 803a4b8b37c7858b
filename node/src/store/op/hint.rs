//! Hints: who is owed which key. A hint is a record that points to the key's state; it holds no copy.

use dynamo_ring::NodeId;

use super::super::batch::Batch;
use super::super::error::{OpError, StoreError};
use super::super::keys::{DataKey, HintKey, MetaKey};
use super::super::rows;
use super::super::{Limit, Read, Space, read_prefix};
use super::Operation;
use crate::version::StateHash;

/// For whom this node stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandIn {
    /// The member that is owed the key's state.
    pub target: NodeId,
    /// Since when, ms since the epoch. The earliest that was ever said for a key counts.
    pub since_ms: u64,
}

/// Notes that a member is owed a key that is here.
#[derive(Debug, Clone)]
pub struct AddHint {
    /// The key. Without a state here there is nothing to owe, and no hint is made.
    pub key: DataKey,
    /// Who is owed it.
    pub hint: StandIn,
}

impl Operation for AddHint {
    /// Whether there is a state to owe.
    type Outcome = bool;
    const GROWS: bool = true;

    fn weight(&self) -> usize {
        self.key.as_bytes().len() + 128
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<bool, OpError> {
        let known = batch.encoded(&self.key)?.is_some();
        if known {
            batch.add_hint(&self.key, self.hint)?;
        }
        Ok(known)
    }
}

/// Aims a hint at another member: the key has a new owner.
#[derive(Debug, Clone)]
pub struct MoveHint {
    /// The key.
    pub key: DataKey,
    /// Who was owed it.
    pub from: NodeId,
    /// Who is owed it from now on.
    pub to: NodeId,
}

impl Operation for MoveHint {
    /// Whether there was such a hint.
    type Outcome = bool;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        self.key.as_bytes().len() + 128
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<bool, OpError> {
        let Some(since_ms) = batch.hint_since(&self.key, self.from)? else { return Ok(false) };
        batch.remove_hint(&HintKey { target: self.from, since_ms, key: self.key.clone() })?;
        batch.add_hint(&self.key, StandIn { target: self.to, since_ms })?;
        Ok(true)
    }
}

/// A hint was delivered: the target has, durably, what the key held when it was sent.
#[derive(Debug, Clone)]
pub struct RemoveHint {
    /// The key.
    pub key: DataKey,
    /// Who has it now.
    pub target: NodeId,
    /// The hash of what was delivered. If the key has changed since, the hint stays.
    pub delivered: StateHash,
}

impl Operation for RemoveHint {
    /// Whether the hint is gone; if not, the key has changed and is owed again.
    type Outcome = bool;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        self.key.as_bytes().len() + 128
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<bool, OpError> {
        let Some(since_ms) = batch.hint_since(&self.key, self.target)? else { return Ok(true) };
        if let Some(encoded) = batch.encoded(&self.key)?
            && StateHash::of(self.key.user_key(), &encoded) != self.delivered
        {
            return Ok(false);
        }
        batch.remove_hint(&HintKey { target: self.target, since_ms, key: self.key.clone() })?;
        batch.forget_if_unowed(&self.key)?;
        Ok(true)
    }
}

/// Drops hints undelivered, and counts them: a layout has left this node out, and their writes met their quorum
/// without it.
#[derive(Debug, Clone, Copy)]
pub struct DropHints {
    /// Only those of this target.
    pub target: Option<NodeId>,
    /// How many to drop at once.
    pub limit: usize,
}

/// What [`DropHints`] dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Hints that went.
    pub hints: usize,
    /// There are more.
    pub more: bool,
}

impl Operation for DropHints {
    type Outcome = Dropped;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Dropped, OpError> {
        let prefix = HintKey::target_prefix(self.target);
        let rows =
            read_prefix(&batch.rows, Space::Hint, &prefix, None, Limit::rows(self.limit.saturating_add(1)))?;
        for (row, _) in rows.iter().take(self.limit) {
            let hint = HintKey::from_by_target(row).map_err(|why| StoreError::corrupt("hint", why))?;
            batch.remove_hint(&hint)?;
            batch.forget_if_unowed(&hint.key)?;
        }
        Ok(Dropped { hints: rows.len().min(self.limit), more: rows.len() > self.limit })
    }
}

impl Batch<'_> {
    /// Since when `target` is owed `key`, if it is.
    fn hint_since(&self, key: &DataKey, target: NodeId) -> Result<Option<u64>, StoreError> {
        let row = self.rows.get(Space::Hint, &HintKey::by_key_of(key, target))?;
        row.map(|row| rows::read_number("hint", &row)).transpose()
    }

    /// Adds a hint; one that stands already keeps the earlier time.
    pub(super) fn add_hint(&mut self, key: &DataKey, hint: StandIn) -> Result<(), StoreError> {
        self.count_taken_hint();
        match self.hint_since(key, hint.target)? {
            Some(since_ms) if since_ms <= hint.since_ms => return Ok(()),
            Some(since_ms) => {
                self.remove_hint(&HintKey { target: hint.target, since_ms, key: key.clone() })?;
            }
            None => {}
        }
        let hint = HintKey { target: hint.target, since_ms: hint.since_ms, key: key.clone() };
        self.rows.put(Space::Hint, hint.by_target(), rows::row([]));
        self.rows.put(Space::Hint, hint.by_key(), rows::number(hint.since_ms));
        self.count_hints(hint.target, |n| n.saturating_add(1))
    }

    fn remove_hint(&mut self, hint: &HintKey) -> Result<(), StoreError> {
        self.rows.remove(Space::Hint, hint.by_target());
        self.rows.remove(Space::Hint, hint.by_key());
        self.count_hints(hint.target, |n| n.saturating_sub(1))
    }

    fn count_hints(&mut self, target: NodeId, change: impl FnOnce(u64) -> u64) -> Result<(), StoreError> {
        let key = MetaKey::HintCount(target).encode();
        let count =
            self.rows.get(Space::Meta, &key)?.map_or(Ok(0), |row| rows::read_number("hint count", &row))?;
        match change(count) {
            0 => self.rows.remove(Space::Meta, key),
            n => self.rows.put(Space::Meta, key, rows::number(n)),
        }
        Ok(())
    }

    /// Whether anybody is owed `key`.
    pub(super) fn is_owed(&self, key: &DataKey) -> Result<bool, StoreError> {
        Ok(!hints_of(&self.rows, key, 1)?.is_empty())
    }

    /// Forgets a key that was here only for its hints, once the last has gone.
    fn forget_if_unowed(&mut self, key: &DataKey) -> Result<(), OpError> {
        let partition = key.position().partition(self.partitions()?);
        if self.summary(partition)?.held || self.is_owed(key)? { Ok(()) } else { self.forget(key) }
    }
}

/// Who is owed `key`, up to `limit` of them.
pub(crate) fn hints_of(read: &dyn Read, key: &DataKey, limit: usize) -> Result<Vec<NodeId>, StoreError> {
    let prefix = HintKey::key_prefix(key);
    let mut after: Option<bytes::Bytes> = None;
    let mut targets = Vec::new();
    loop {
        // A longer key at the same position, beginning with this one, does not happen; but it would be right here.
        let rows = read_prefix(read, Space::Hint, &prefix, after.as_deref(), Limit::rows(limit))?;
        targets.extend(rows.iter().filter_map(|(row, _)| HintKey::target_of(key, row)));
        match rows.into_iter().nth(limit - 1) {
            Some((last, _)) if targets.len() < limit => after = Some(last),
            _ => break,
        }
    }
    targets.truncate(limit);
    Ok(targets)
}
