//! Taking in copies that others made: never refused for what they hold, never given a dot.

use bytes::Bytes;

use super::super::batch::{Batch, decoded};
use super::super::error::OpError;
use super::super::keys::DataKey;
use super::super::rows::PeerMark;
use super::{Operation, StandIn};
use crate::planted::{self, Fault};
use crate::version::{State, StateHash};

/// A copy of one key: replication, read repair, a delivered hint.
#[derive(Debug, Clone)]
pub struct Merge {
    /// The user's key.
    pub key: Bytes,
    /// Context and all siblings, never a lone one.
    pub state: State,
    /// The member that this node stands in for, if the key is not its own.
    pub hint: Option<StandIn>,
    /// How far the sender had come.
    pub from: Option<PeerMark>,
}

/// What the key holds after a merge.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Whether the copy brought anything new.
    pub changed: bool,
    /// As stored.
    pub encoded: Bytes,
    /// The hash of it.
    pub hash: StateHash,
}

impl Operation for Merge {
    type Outcome = Merged;
    const GROWS: bool = true;

    fn weight(&self) -> usize {
        self.key.len() + self.state.value_bytes() + 32 * self.state.context().len() + 128
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Merged, OpError> {
        if self.state.is_empty() {
            return Err(OpError::EmptyState);
        }
        let key = DataKey::of(&self.key)?;
        batch.take_in(&key, self.hint)?;
        let stored = batch.encoded(&key)?;
        let before = decoded(stored.as_ref())?;
        let merged = match stored {
            Some(encoded) if before.covers(&self.state) => {
                Merged { changed: false, hash: batch.rehash(&key, &encoded)?, encoded }
            }
            _ => {
                let encoded = before.merge(&self.state).encode();
                Merged { changed: true, hash: batch.store(&key, encoded.clone())?, encoded }
            }
        };
        batch.mark(self.from)?;
        Ok(merged)
    }
}

impl Batch<'_> {
    /// Whether a key may be stored here: its partition is held, or a member is named that this node stands in for.
    ///
    /// The fence has looked before; but it is here that a layout and a write have their order.
    fn admit(&self, key: &DataKey, hint: Option<StandIn>) -> Result<(), OpError> {
        let partition = key.position().partition(self.partitions()?);
        if hint.is_some() || self.summary(partition)?.held {
            Ok(())
        } else {
            Err(OpError::NotHeld(partition))
        }
    }

    /// Admits a key together with the hint that it came with.
    pub(super) fn take_in(&mut self, key: &DataKey, hint: Option<StandIn>) -> Result<(), OpError> {
        self.admit(key, hint)?;
        self.owe(key, hint)
    }

    /// Keeps the hint that a key came with.
    pub(super) fn owe(&mut self, key: &DataKey, hint: Option<StandIn>) -> Result<(), OpError> {
        if let Some(hint) = hint
            && !planted::is(Fault::ForgetHint)
        {
            self.add_hint(key, hint)?;
        }
        Ok(())
    }
}
