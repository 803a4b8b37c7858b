//! The stored format of a state. One state has exactly one encoding, so that equal states hash equally.
//!
//! ```text
//! version u8 = 1, or 2 if any value has a time to live
//! entries varint   then each: actor u64 BE, birth varint, counter varint          sorted by (actor, birth)
//! siblings varint  then each: entry varint, counter varint, flags u8, written_at_ms varint,
//!                             [write id 16], [length varint, value], [expires_at_ms varint]   sorted by dot
//! ```
//! A sibling names its writer by the entry's place in the context, which covers it. Flags: 1 a value follows (else a
//! tombstone), 2 a write id follows, 4 the value's expiry follows (version 2 only). A state without any expiry is written
//! as version 1, byte for byte as before there were any. Decoding is strict: what is not the one encoding of a state is an error, so bytes
//! that were accepted may be stored and hashed as they came.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::actor::{ActorId, Birth, Dot, Writer};
use super::state::{Sibling, State, WriteId};
use super::vector::VersionVector;
use super::wire::{Input, Malformed, put_varint};

/// A state in which every value lasts.
const LASTING: u8 = 1;
/// A state in which some value has a time to live. The latest version that is known.
const EXPIRING: u8 = 2;
const HAS_VALUE: u8 = 1;
const HAS_WRITE_ID: u8 = 2;
const HAS_EXPIRY: u8 = 4;

/// Why bytes are no state. On disk: corruption; from a peer: refuse the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A format of a later release, or no state at all. Run a release that knows it.
    #[error("state format {0} is not known to this release (it knows 1 to {EXPIRING})")]
    Version(u8),
    /// They end in the middle.
    #[error("the bytes end in the middle of a state")]
    Truncated,
    /// They are not the one encoding of any state.
    #[error("not a canonical state: {0}")]
    NotCanonical(&'static str),
}

impl From<Malformed> for CodecError {
    fn from(fault: Malformed) -> Self {
        match fault {
            Malformed::Truncated => Self::Truncated,
            Malformed::Number => Self::NotCanonical("a number is not in its shortest form"),
        }
    }
}

/// The first 128 bits of the SHA-256 over a key and its encoded state. The leaf of a Merkle tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateHash(pub [u8; 16]);

impl StateHash {
    /// The hash of `key` holding the state that `encoded` stands for.
    pub fn of(key: &[u8], encoded: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        // The key's length first, so that no byte can pass from the one to the other.
        hasher.update((key.len() as u64).to_be_bytes());
        hasher.update(key);
        hasher.update(encoded);
        let digest: [u8; 32] = hasher.finalize().into();
        let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
        Self(hash)
    }
}

/// Appends a vector as states and contexts hold it.
pub(super) fn put_vector(out: &mut Vec<u8>, vector: &VersionVector) {
    put_varint(out, vector.len() as u64);
    for (writer, counter) in vector.iter() {
        out.extend_from_slice(&writer.actor.0.to_be_bytes());
        put_varint(out, writer.birth.0);
        put_varint(out, counter);
    }
}

/// Reads what [`put_vector`] wrote, and returns the entries in order.
pub(super) fn take_vector(input: &mut Input<'_>) -> Result<Vec<(Writer, u64)>, CodecError> {
    let count = input.count(10)?;
    let mut entries: Vec<(Writer, u64)> = Vec::with_capacity(count);
    for _ in 0..count {
        let actor = ActorId(u64::from_be_bytes(input.array()?));
        let writer = Writer { actor, birth: Birth(input.varint()?) };
        let counter = input.varint()?;
        if counter == 0 {
            return Err(CodecError::NotCanonical("an entry that has seen nothing"));
        }
        if entries.last().is_some_and(|(last, _)| *last >= writer) {
            return Err(CodecError::NotCanonical("entries out of order"));
        }
        entries.push((writer, counter));
    }
    Ok(entries)
}

impl Sibling {
    /// The expiry as it is stored: a tombstone has none, whatever its field says.
    fn expiry(&self) -> Option<u64> {
        self.expires_at_ms.filter(|_| self.value.is_some())
    }
}

impl State {
    /// The one encoding of this state.
    pub fn encode(&self) -> Bytes {
        let overhead = 24 * self.context().len() + 48 * self.siblings().len() + 8;
        let mut out = Vec::with_capacity(self.value_bytes() + overhead);
        let expiring = self.siblings().iter().any(|sibling| sibling.expiry().is_some());
        out.push(if expiring { EXPIRING } else { LASTING });
        put_vector(&mut out, self.context());
        let places: Vec<Writer> = self.context().iter().map(|(writer, _)| writer).collect();
        put_varint(&mut out, self.siblings().len() as u64);
        for sibling in self.siblings() {
            // The context covers every sibling, so the search finds.
            let place = places.binary_search(&sibling.dot.writer).unwrap_or_else(|place| place);
            put_varint(&mut out, place as u64);
            put_varint(&mut out, sibling.dot.counter);
            let value = if sibling.value.is_some() { HAS_VALUE } else { 0 };
            let id = if sibling.write_id.is_some() { HAS_WRITE_ID } else { 0 };
            let expiry = if sibling.expiry().is_some() { HAS_EXPIRY } else { 0 };
            out.push(value | id | expiry);
            put_varint(&mut out, sibling.written_at_ms);
            if let Some(WriteId(id)) = sibling.write_id {
                out.extend_from_slice(&id);
            }
            if let Some(value) = &sibling.value {
                put_varint(&mut out, value.len() as u64);
                out.extend_from_slice(value);
            }
            if let Some(at) = sibling.expiry() {
                put_varint(&mut out, at);
            }
        }
        out.into()
    }

    /// The state that `bytes` stand for. Values are slices of `bytes`, not copies.
    pub fn decode(bytes: &Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let version = input.byte()?;
        if !(LASTING..=EXPIRING).contains(&version) {
            return Err(CodecError::Version(version));
        }
        let entries = take_vector(&mut input)?;
        let known = HAS_VALUE | HAS_WRITE_ID | if version == EXPIRING { HAS_EXPIRY } else { 0 };
        let count = input.count(4)?;
        let mut siblings: Vec<Sibling> = Vec::with_capacity(count);
        for _ in 0..count {
            let place = input.varint()?;
            let counter = input.varint()?;
            let entry = usize::try_from(place).ok().and_then(|place| entries.get(place));
            let Some(&(writer, _)) = entry.filter(|(_, seen)| (1..=*seen).contains(&counter)) else {
                return Err(CodecError::NotCanonical("a sibling that the context does not cover"));
            };
            let dot = Dot { writer, counter };
            if siblings.last().is_some_and(|last| last.dot >= dot) {
                return Err(CodecError::NotCanonical("siblings out of order"));
            }
            let flags = input.byte()?;
            if flags & !known != 0 || flags & (HAS_VALUE | HAS_EXPIRY) == HAS_EXPIRY {
                return Err(CodecError::NotCanonical("unknown flags"));
            }
            let written_at_ms = input.varint()?;
            let write_id = if flags & HAS_WRITE_ID == 0 { None } else { Some(WriteId(input.array()?)) };
            let value = if flags & HAS_VALUE == 0 {
                None
            } else {
                let length = input.count(1)?;
                Some(bytes.slice_ref(input.take(length)?))
            };
            let expires_at_ms = if flags & HAS_EXPIRY == 0 { None } else { Some(input.varint()?) };
            siblings.push(Sibling { dot, value, write_id, written_at_ms, expires_at_ms });
        }
        if input.left() > 0 {
            return Err(CodecError::NotCanonical("bytes after the end"));
        }
        if version == EXPIRING && siblings.iter().all(|sibling| sibling.expires_at_ms.is_none()) {
            return Err(CodecError::NotCanonical("nothing expires in a state that says so"));
        }
        Ok(Self::from_canonical(entries.into_iter().collect(), siblings))
    }
}
