//! What a member tells of its copy of a key: the whole state, or the hash of it.

use bytes::Bytes;
use dynamo_proto::v1::FetchReply;

use super::read::{Part, Told};
use crate::version::{CodecError, State, StateHash};

/// An answer to a fetch that cannot be taken. The member counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The bytes are no state.
    #[error("what came is no state: {0}")]
    State(#[from] CodecError),
    /// A hash has another length.
    #[error("a hash of {0} bytes; it has 16")]
    Hash(usize),
    /// The whole state was asked for.
    #[error("the whole state was asked for, and its hash came")]
    Digest,
}

/// One member's copy, as far as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// All of it, or its hash.
    pub told: Told,
    /// The stored form if it was told whole; empty if it was not, or nothing is known of the key.
    pub encoded: Bytes,
}

/// The answer of a member that has `encoded` of `key`; empty if it knows nothing of it, whatever part was asked for.
pub fn reply(key: &[u8], encoded: Bytes, part: Part) -> FetchReply {
    if part == Part::Digest && !encoded.is_empty() {
        let hash = Bytes::copy_from_slice(&StateHash::of(key, &encoded).0);
        return FetchReply { state: Bytes::new(), hash };
    }
    FetchReply { state: encoded, hash: Bytes::new() }
}

impl Copied {
    /// A copy that is here whole; empty if nothing is known of the key.
    pub fn whole(key: &[u8], encoded: Bytes) -> Self {
        let hash = (!encoded.is_empty()).then(|| StateHash::of(key, &encoded));
        Self { told: Told::Whole(hash), encoded }
    }

    /// From what a member answered that was asked for `part`. A whole state is taken for a hash too.
    pub fn from_reply(key: &[u8], reply: FetchReply, part: Part) -> Result<Self, CopyError> {
        let FetchReply { state, hash } = reply;
        if hash.is_empty() {
            if !state.is_empty() {
                State::decode(&state)?;
            }
            return Ok(Self::whole(key, state));
        }
        if part == Part::Whole {
            return Err(CopyError::Digest);
        }
        let hash = hash[..].try_into().map_err(|_| CopyError::Hash(hash.len()))?;
        Ok(Self { told: Told::Digest(StateHash(hash)), encoded: Bytes::new() })
    }

    /// The hash of what the member has; `None` if it knows nothing of the key.
    pub const fn hash(&self) -> Option<StateHash> {
        match self.told {
            Told::Whole(hash) => hash,
            Told::Digest(hash) => Some(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::State;
    use crate::version::testing::{dot, sibling, vector};

    #[test]
    fn a_hash_stands_for_the_state_that_was_told_whole() {
        let written = vec![sibling(dot(1, 1, 1), b"v")];
        let encoded = State::from_parts(vector(&[]), written).encode();
        let told = |part| Copied::from_reply(b"k", reply(b"k", encoded.clone(), part), part).unwrap();
        let (whole, digest) = (told(Part::Whole), told(Part::Digest));
        assert_eq!(whole.encoded, encoded);
        assert_eq!(digest.encoded, Bytes::new());
        assert_eq!(digest.hash(), whole.hash());
        let elsewhere = Copied::whole(b"other", encoded.clone());
        assert_ne!(elsewhere.hash(), whole.hash(), "it is bound to its key");
        assert_eq!(reply(b"k", encoded, Part::Digest).hash.len(), 16);
    }

    #[test]
    fn nothing_is_told_whole_whatever_was_asked() {
        for part in [Part::Whole, Part::Digest] {
            let told = Copied::from_reply(b"k", reply(b"k", Bytes::new(), part), part).unwrap();
            assert_eq!(told, Copied { told: Told::Whole(None), encoded: Bytes::new() });
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let hash = FetchReply { state: Bytes::new(), hash: Bytes::from_static(&[1; 16]) };
        assert_eq!(Copied::from_reply(b"k", hash, Part::Whole), Err(CopyError::Digest));
        let short = FetchReply { state: Bytes::new(), hash: Bytes::from_static(&[1; 15]) };
        assert_eq!(Copied::from_reply(b"k", short, Part::Digest), Err(CopyError::Hash(15)));
        let strange = FetchReply { state: Bytes::from_static(&[9]), hash: Bytes::new() };
        assert!(matches!(Copied::from_reply(b"k", strange, Part::Digest), Err(CopyError::State(_))));
    }
}
