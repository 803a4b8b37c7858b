//! What a client carries from a read to its next write: opaque to it, bound to the key, checked for damage.
//!
//! ```text
//! version u8 = 1, key hash 8, vector (as in a state), CRC-32 u32 BE of all before it
//! ```
//! A witness is the same with version 2 and the one dot of a write. It says what a read has to have seen, and not what a
//! client has: a write that passed it would discard versions that its client never saw.
//!
//! The checksum and the hash catch mistakes, not malice: a client that forges a context harms its own key only.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::actor::Dot;
use super::codec::{CodecError, put_vector, take_vector};
use super::vector::VersionVector;
use super::wire::Input;

const VERSION: u8 = 1;
const WITNESS: u8 = 2;

/// Why bytes are no context for a key. All mean INVALID_ARGUMENT: the client should read the key again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// A format of another release.
    #[error("context format {0} is not known to this node; read the key again")]
    Version(u8),
    /// It names a write, and not what a client has seen.
    #[error("this is a witness, for `at_least` of a read; pass the context that a read of this key returned")]
    Witness,
    /// Bytes were lost or changed on the way.
    #[error("the context is damaged; pass it back exactly as the read returned it")]
    Damaged,
    /// It came from a read of another key.
    #[error("the context belongs to another key; pass the one that a read of this key returned")]
    AnotherKey,
}

impl From<CodecError> for ContextError {
    fn from(_: CodecError) -> Self {
        Self::Damaged
    }
}

/// The client's form of a version vector.
#[derive(Debug, Clone, Copy)]
pub struct Context;

impl Context {
    /// `seen` as a client of `key` carries it. A vector that has seen nothing is no bytes at all.
    pub fn encode(key: &[u8], seen: &VersionVector) -> Bytes {
        if seen.is_empty() {
            return Bytes::new();
        }
        encode(VERSION, key, seen)
    }

    /// The write to `key` that made `dot`, for reads that have to cover it.
    pub fn witness(key: &[u8], dot: Dot) -> Bytes {
        let mut seen = VersionVector::new();
        seen.extend(dot);
        encode(WITNESS, key, &seen)
    }

    /// What a client of `key` has seen, from what it passed back. No bytes: nothing.
    pub fn decode(key: &[u8], bytes: &[u8]) -> Result<VersionVector, ContextError> {
        match bytes.first() {
            Some(&WITNESS) => Err(ContextError::Witness),
            _ => Self::decode_seen(key, bytes),
        }
    }

    /// What a read of `key` has to cover, from a context or a witness.
    pub fn decode_seen(key: &[u8], bytes: &[u8]) -> Result<VersionVector, ContextError> {
        let Some(&version) = bytes.first() else { return Ok(VersionVector::new()) };
        if !matches!(version, VERSION | WITNESS) {
            return Err(ContextError::Version(version));
        }
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(ContextError::Damaged)?;
        if crc32fast::hash(body).to_be_bytes() != *checksum {
            return Err(ContextError::Damaged);
        }
        let mut input = Input::new(body.get(1..).unwrap_or_default());
        if input.array::<8>().map_err(CodecError::from)? != key_hash(key) {
            return Err(ContextError::AnotherKey);
        }
        let entries = take_vector(&mut input)?;
        if input.left() > 0 {
            return Err(ContextError::Damaged);
        }
        Ok(entries.into_iter().collect())
    }
}

fn encode(version: u8, key: &[u8], seen: &VersionVector) -> Bytes {
    let mut out = Vec::with_capacity(16 + 24 * seen.len());
    out.push(version);
    out.extend_from_slice(&key_hash(key));
    put_vector(&mut out, seen);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.into()
}

fn key_hash(key: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::testing::vectors;

    #[test]
    fn a_context_of_another_key_is_refused() {
        let vector = crate::version::testing::vector(&[(1, 1, 3)]);
        let bytes = Context::encode(b"a", &vector);
        assert_eq!(Context::decode(b"a", &bytes), Ok(vector));
        assert_eq!(Context::decode(b"b", &bytes), Err(ContextError::AnotherKey));
        assert_eq!(Context::decode(b"a", &[9]), Err(ContextError::Version(9)));
        assert_eq!(Context::decode(b"a", &[1]), Err(ContextError::Damaged));
    }

    #[test]
    fn a_witness_is_good_for_reads_of_its_key_only() {
        let dot = crate::version::testing::dot(1, 2, 3);
        let witness = Context::witness(b"a", dot);
        let seen = Context::decode_seen(b"a", &witness).unwrap();
        assert!(seen.covers(dot) && seen.len() == 1);
        assert_eq!(Context::decode(b"a", &witness), Err(ContextError::Witness));
        assert_eq!(Context::decode_seen(b"b", &witness), Err(ContextError::AnotherKey));
        let context = Context::encode(b"a", &seen);
        assert_eq!(Context::decode_seen(b"a", &context), Ok(seen));
    }

    proptest! {
        #[test]
        fn any_one_changed_byte_is_noticed(vector in vectors(), at: prop::sample::Index, flip in 1u8..) {
            let mut bytes = Context::encode(b"k", &vector).to_vec();
            prop_assert_eq!(Context::decode(b"k", &bytes), Ok(vector));
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
                prop_assert!(Context::decode(b"k", &bytes).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = (Context::decode(b"k", &bytes), Context::decode_seen(b"k", &bytes));
        }
    }
}
