//! The pure core of the commit thread: operations applied one after another to what is stored, into one batch.
//!
//! No clock, no randomness, no disk of its own. Each operation sees what those before it in the batch did, and either
//! happens whole or not at all.

use bytes::Bytes;
use dynamo_ring::{ClusterId, Partition, Partitions};

use super::error::{OpError, StoreError};
use super::identity::Identity;
use super::keys::{DataKey, MetaKey};
use super::op::Operation;
use super::overlay::Overlay;
use super::rows::{self, Counters, Summary};
use super::{Read, Space, WriteBatch};
use crate::version::{ActorId, Birth, State, StateHash};

/// What a coordinator admits. A merge has no limits: what was written elsewhere is kept, whatever it amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Versions a key may hold after a put.
    pub siblings: usize,
    /// Bytes their values may have together.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { siblings: 64, bytes: 16 << 20 }
    }
}

/// The small facts that nearly every operation needs; read once, written back where they changed.
#[derive(Debug, Clone, Copy)]
struct Facts {
    identity: Identity,
    partitions: Option<Partitions>,
    counters: Counters,
}

/// A batch in the making.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) rows: Overlay<'a>,
    limits: Limits,
    facts: Facts,
}

impl<'a> Batch<'a> {
    /// An empty batch over what is stored.
    pub fn new(stored: &'a dyn Read, limits: Limits) -> Result<Self, StoreError> {
        let meta = |key: MetaKey<'_>| stored.get(Space::Meta, &key.encode());
        let identity =
            Identity::read(stored)?.ok_or_else(|| StoreError::corrupt("identity", "there is none"))?;
        let partitions = meta(MetaKey::Partitions)?.map(|row| rows::read_partitions(&row)).transpose()?;
        let counters = meta(MetaKey::Counters)?.map(|row| Counters::decode(&row)).transpose()?;
        let facts = Facts { identity, partitions, counters: counters.unwrap_or_default() };
        Ok(Self { rows: Overlay::new(stored), limits, facts })
    }

    /// Applies one operation. If it fails, the batch is as if it had never been.
    pub fn apply<O: Operation>(&mut self, operation: &O) -> Result<O::Outcome, OpError> {
        let facts = self.facts;
        self.rows.keep();
        operation.apply(self).inspect_err(|_| {
            self.rows.roll_back();
            self.facts = facts;
        })
    }

    /// The number this batch has, if it turns out to change anything.
    pub const fn commit(&self) -> u64 {
        self.facts.counters.commit + 1
    }

    /// The rows to write, commit number included; `None` if nothing changed, so that there is nothing to write or sync.
    pub fn finish(mut self) -> Option<WriteBatch> {
        if self.rows.is_empty() {
            return None;
        }
        let counters = Counters { commit: self.commit(), ..self.facts.counters };
        self.rows.put(Space::Meta, MetaKey::Counters.encode(), counters.encode());
        Some(self.rows.into_batch())
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) const fn actor(&self) -> ActorId {
        self.facts.identity.actor
    }

    pub(super) fn set_actor(&mut self, actor: ActorId) {
        self.facts.identity.actor = actor;
        self.put_meta(MetaKey::Identity, self.facts.identity.encode());
    }

    pub(super) fn join_cluster(&mut self, given: ClusterId) -> Result<(), OpError> {
        match self.facts.identity.cluster_id {
            Some(stored) if stored == given => {}
            Some(stored) => return Err(OpError::OtherCluster { given, stored }),
            None => {
                self.facts.identity.cluster_id = Some(given);
                self.put_meta(MetaKey::Identity, self.facts.identity.encode());
            }
        }
        Ok(())
    }

    /// Q, or there is no layout yet.
    pub(super) fn partitions(&self) -> Result<Partitions, OpError> {
        self.facts.partitions.ok_or(OpError::NoLayout)
    }

    /// Fixes Q, at the first layout.
    pub(super) fn set_partitions(&mut self, q: Partitions) -> Result<(), OpError> {
        match self.facts.partitions {
            Some(stored) if stored == q => {}
            Some(stored) => {
                return Err(OpError::OtherPartitions { given: q.get(), stored: stored.get() });
            }
            None => {
                self.facts.partitions = Some(q);
                self.put_meta(MetaKey::Partitions, rows::number(q.get().into()));
            }
        }
        Ok(())
    }

    /// A birth that this node never took before.
    pub(super) fn fresh_birth(&mut self) -> Birth {
        self.facts.counters.births += 1;
        Birth(self.facts.counters.births)
    }

    /// Counts a hint that is taken in, be it one that stands already.
    pub(super) fn count_taken_hint(&mut self) {
        self.facts.counters.hints += 1;
    }

    /// How many times a hint was taken in.
    pub(super) const fn taken_hints(&self) -> u64 {
        self.facts.counters.hints
    }

    pub(super) fn put_meta(&mut self, key: MetaKey<'_>, value: Bytes) {
        self.rows.put(Space::Meta, key.encode(), value);
    }

    pub(super) fn meta(&self, key: MetaKey<'_>) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(Space::Meta, &key.encode())
    }

    pub(super) fn summary(&self, partition: Partition) -> Result<Summary, StoreError> {
        let row = self.meta(MetaKey::Summary(partition))?;
        row.map_or(Ok(Summary::default()), |row| Summary::decode(&row))
    }

    pub(super) fn set_summary(&mut self, partition: Partition, summary: Summary) {
        self.put_meta(MetaKey::Summary(partition), summary.encode());
    }

    pub(super) fn encoded(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(Space::Data, key.as_bytes())
    }

    /// Stores a key's state, with its partition's tree and counts, and returns its hash.
    pub(super) fn store(&mut self, key: &DataKey, encoded: Bytes) -> Result<StateHash, OpError> {
        let hash = StateHash::of(key.user_key(), &encoded);
        let q = self.partitions()?;
        let partition = key.position().partition(q);
        let mut summary = self.summary(partition)?;
        let before = self.encoded(key)?.map(|old| row_bytes(key, &old));
        summary.count(key.position(), before, Some(row_bytes(key, &encoded)));
        self.note_leaf(partition, &mut summary, key.position(), Some(hash), before.is_some())?;
        self.set_summary(partition, summary);
        self.note_passing(key, &encoded)?;
        self.rows.put(Space::Data, key.as_bytes().clone(), encoded);
        Ok(hash)
    }

    /// Forgets a key: state and birth mark go together, so that a later write here begins a new count.
    pub(super) fn forget(&mut self, key: &DataKey) -> Result<(), OpError> {
        let Some(old) = self.encoded(key)? else { return Ok(()) };
        let q = self.partitions()?;
        let partition = key.position().partition(q);
        let mut summary = self.summary(partition)?;
        summary.count(key.position(), Some(row_bytes(key, &old)), None);
        self.note_leaf(partition, &mut summary, key.position(), None, true)?;
        self.set_summary(partition, summary);
        self.rows.remove(Space::Data, key.as_bytes().clone());
        self.rows.remove(Space::Birth, key.as_bytes().clone());
        self.rows.remove(Space::Passing, key.as_bytes().clone());
        Ok(())
    }
}

/// A stored state; empty if there is none.
pub(super) fn decoded(encoded: Option<&Bytes>) -> Result<State, StoreError> {
    let decode = |bytes| State::decode(bytes).map_err(|why| StoreError::corrupt("state", why));
    encoded.map_or(Ok(State::new()), decode)
}

/// What a key adds to its partition's bytes.
pub(super) fn row_bytes(key: &DataKey, encoded: &Bytes) -> u64 {
    (key.as_bytes().len() + encoded.len()) as u64
}
