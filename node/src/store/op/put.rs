//! Coordinating a write: the one place where dots are made.

use bytes::Bytes;

use super::super::batch::{Batch, decoded};
use super::super::error::{OpError, StoreError};
use super::super::keys::DataKey;
use super::super::rows;
use super::super::{Read, Space};
use super::{Operation, StandIn};
use crate::planted::{self, Fault};
use crate::version::{Birth, Dot, Sibling, State, StateHash, VersionVector, WriteId, Writer};

/// This node coordinates a write.
#[derive(Debug, Clone)]
pub struct Put {
    /// The user's key.
    pub key: Bytes,
    /// What the client had seen of it.
    pub context: VersionVector,
    /// The value; `None` deletes.
    pub value: Option<Bytes>,
    /// The client's name for the write. Found among the key's versions, it makes no new one.
    pub write_id: Option<WriteId>,
    /// The wall clock, ms since the epoch; kept for resolvers.
    pub now_ms: u64,
    /// From which wall clock on the value reads as absent; never if `None`.
    pub expires_at_ms: Option<u64>,
    /// The member in whose place this node coordinates, if the key is not its own.
    pub hint: Option<StandIn>,
}

/// What a put left behind: the whole merged state, to be sent to the replicas as it is.
#[derive(Debug, Clone)]
pub struct Written {
    /// The write's event; of the first attempt, if this was a retry that was known.
    pub dot: Dot,
    /// The write was known already, and no new version was made.
    pub repeated: bool,
    /// The key's state after it.
    pub state: State,
    /// The same, as stored and as replicas take it.
    pub encoded: Bytes,
    /// The hash of it.
    pub hash: StateHash,
}

impl Operation for Put {
    type Outcome = Written;
    const GROWS: bool = true;

    fn weight(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + 32 * self.context.len() + 128
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Written, OpError> {
        let key = DataKey::of(&self.key)?;
        batch.take_in(&key, self.hint)?;
        let stored = batch.encoded(&key)?;
        let mut state = decoded(stored.as_ref())?;
        let known = self.write_id.and_then(|id| state.written_by(id)).map(|sibling| sibling.dot);
        if let (Some(dot), Some(encoded)) = (known, stored) {
            let hash = StateHash::of(key.user_key(), &encoded);
            return Ok(Written { dot, repeated: true, state, encoded, hash });
        }

        let before = state.context().clone();
        let dot = batch.next_dot(&key, &before, &self.context)?;
        let sibling = Sibling {
            dot,
            value: self.value.clone(),
            write_id: self.write_id,
            written_at_ms: self.now_ms,
            expires_at_ms: self.expires_at_ms.filter(|_| self.value.is_some()),
        };
        state.put(&self.context, sibling);

        // Only versions side by side are refused: a write that settles the key may always come in.
        let (siblings, bytes) = (state.siblings().len(), state.value_bytes());
        let limits = batch.limits();
        if siblings > 1 && (siblings > limits.siblings || bytes > limits.bytes) {
            return Err(OpError::TooManySiblings { context: before, siblings, bytes });
        }
        let encoded = state.encode();
        let hash = batch.store(&key, encoded.clone())?;
        Ok(Written { dot, repeated: false, state, encoded, hash })
    }
}

impl Batch<'_> {
    /// The next dot of this node for a key.
    ///
    /// Without a birth mark this node may have forgotten writes of its own, so it counts anew under a fresh birth: the
    /// entry (actor, birth) then only ever covers dots that this node made while it held all of them.
    fn next_dot(
        &mut self,
        key: &DataKey,
        stored: &VersionVector,
        seen: &VersionVector,
    ) -> Result<Dot, StoreError> {
        let actor = self.actor();
        let mark = self.rows.get(Space::Birth, key.as_bytes())?;
        if let Some(birth) = mark.map(|row| rows::read_birth(&row)).transpose()? {
            let writer = Writer { actor, birth };
            // A forged context may stand at the end of the numbers; then a new birth begins a new count.
            if let Some(counter) = stored.counter(writer).max(seen.counter(writer)).checked_add(1) {
                return Ok(Dot { writer, counter });
            }
        }
        if planted::is(Fault::ForgetBirth) {
            let writer = Writer { actor, birth: Birth(0) };
            return Ok(Dot { writer, counter: stored.counter(writer).max(seen.counter(writer)) + 1 });
        }
        // Nobody has seen a fresh birth, unless a context was forged.
        let writer = loop {
            let writer = Writer { actor, birth: self.fresh_birth() };
            if stored.counter(writer).max(seen.counter(writer)) == 0 {
                break writer;
            }
        };
        self.rows.put(Space::Birth, key.as_bytes().clone(), rows::number(writer.birth.0));
        Ok(Dot { writer, counter: 1 })
    }
}
