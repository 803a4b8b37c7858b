//! Taking in copies of many keys at once, as they lie in the sender's store.
//!
//! The Merkle tree of a partition is walked once for all of its keys, which come in order from a transfer: each node on
//! the way is read, hashed and written once for a batch, not once for a key.

use std::collections::BTreeMap;

use bytes::Bytes;
use dynamo_ring::Partition;

use super::super::Space;
use super::super::batch::{Batch, decoded, row_bytes};
use super::super::error::OpError;
use super::super::keys::DataKey;
use super::super::leaves::Leaf;
use super::super::rows::{PeerMark, Summary};
use super::{Operation, StandIn};
use crate::version::{State, StateHash};

/// Copies of many keys at once, as they lie in the sender's store: transfers, hand-over, hints in bulk.
#[derive(Debug, Clone)]
pub struct MergeMany {
    /// Keys and encoded states.
    pub entries: Vec<(DataKey, Bytes)>,
    /// The member that this node stands in for, for all of them.
    pub hint: Option<StandIn>,
    /// How far the sender had come.
    pub from: Option<PeerMark>,
}

impl Operation for MergeMany {
    /// How many of the entries brought anything new.
    type Outcome = usize;
    const GROWS: bool = true;
    const BACKGROUND: bool = true;

    fn weight(&self) -> usize {
        self.entries.iter().map(|(key, state)| key.as_bytes().len() + state.len() + 64).sum()
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<usize, OpError> {
        let (mut taking, mut changed) = (Taking::default(), 0);
        for (key, encoded) in &self.entries {
            changed += usize::from(taking.entry(batch, key, encoded, self.hint)?);
        }
        taking.end(batch)?;
        batch.mark(self.from)?;
        Ok(changed)
    }
}

/// What has been taken in so far, partition by partition, and is not yet in the trees.
#[derive(Default)]
struct Taking(BTreeMap<Partition, Taken>);

struct Taken {
    before: Summary,
    summary: Summary,
    leaves: Vec<Leaf>,
}

impl Taking {
    /// Merges a copy that came encoded, and says whether it brought anything new. A key that is new here is stored as it
    /// came: decoding is strict, so what decodes is the one encoding of its state.
    fn entry(
        &mut self,
        batch: &mut Batch<'_>,
        key: &DataKey,
        encoded: &Bytes,
        hint: Option<StandIn>,
    ) -> Result<bool, OpError> {
        let (position, partition) = (key.position(), key.position().partition(batch.partitions()?));
        let summary = match self.0.get(&partition) {
            Some(taken) => taken.summary,
            None => batch.summary(partition)?,
        };
        if hint.is_none() && !summary.held {
            return Err(OpError::NotHeld(partition));
        }
        batch.owe(key, hint)?;
        let theirs = State::decode(encoded)?;
        if theirs.is_empty() {
            return Err(OpError::EmptyState);
        }
        let taken = self.0.entry(partition);
        let taken = taken.or_insert_with(|| Taken { before: summary, summary, leaves: Vec::new() });
        let stored = batch.encoded(key)?;
        let ours = decoded(stored.as_ref())?;
        let (kept, state) = match &stored {
            Some(stored) if ours.covers(&theirs) => (stored.clone(), None),
            Some(_) => {
                let merged = ours.merge(&theirs);
                (merged.encode(), Some(merged))
            }
            // A copy of its own, so that a small state does not keep the whole message in memory.
            None => (Bytes::copy_from_slice(encoded), Some(theirs)),
        };
        // Also of one that brings nothing new: see `Batch::rehash`.
        if taken.summary.has_leaf_at(position) {
            let hash = Some(StateHash::of(key.user_key(), &kept));
            taken.leaves.push(Leaf { position, hash, stored: stored.is_some() });
        }
        let Some(state) = state else { return Ok(false) };
        let before = stored.as_ref().map(|stored| row_bytes(key, stored));
        taken.summary.count(position, before, Some(row_bytes(key, &kept)));
        batch.note_passing_of(key, ours.passes_at_ms(), state.passes_at_ms());
        batch.rows.put(Space::Data, key.as_bytes().clone(), kept);
        Ok(true)
    }

    /// Brings the trees and the counts in line with what was stored.
    fn end(self, batch: &mut Batch<'_>) -> Result<(), OpError> {
        for (partition, Taken { before, mut summary, leaves }) in self.0 {
            batch.note_leaves(partition, &mut summary, &leaves)?;
            if summary != before {
                batch.set_summary(partition, summary);
            }
        }
        Ok(())
    }
}
