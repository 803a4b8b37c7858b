//! One node of a trie, and its format, which is the same in the store and on the wire.
//!
//! ```text
//! version u8 = 1, used u16 BE, leaves u16 BE     a bit per slot, slot 0 the lowest
//! then for every used slot:  leaf: position 16, hash 16     inner: hash 16
//! ```

use std::fmt;

use dynamo_ring::Position;
use sha2::{Digest, Sha256};

use super::prefix::Prefix;
use crate::version::StateHash;

const VERSION: u8 = 1;
/// Children of a node.
pub const FAN_OUT: usize = 16;

/// The hash of a node: the first 16 bytes of the SHA-256 of its format. The empty trie's root is all zeros.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerkleHash(pub [u8; 16]);

impl MerkleHash {
    /// The root of a trie with no keys.
    pub const EMPTY: Self = Self([0; 16]);

    /// A root of roots: two replicas compare this before anything else. The order counts, and empty roots too.
    pub fn of_roots(roots: impl IntoIterator<Item = Self>) -> Self {
        let mut hasher = Sha256::new();
        for root in roots {
            hasher.update(root.0);
        }
        Self::shorten(hasher)
    }

    fn shorten(hasher: Sha256) -> Self {
        let digest: [u8; 32] = hasher.finalize().into();
        let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
        Self(hash)
    }
}

impl fmt::Debug for MerkleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MerkleHash({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What lies under one more digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// No key.
    Empty,
    /// One key.
    Leaf(Position, StateHash),
    /// Two keys or more, in a node of their own.
    Inner(MerkleHash),
}

impl Slot {
    /// The hash of the one key under it, if it is a leaf.
    pub const fn leaf(self) -> Option<StateHash> {
        match self {
            Self::Leaf(_, hash) => Some(hash),
            Self::Empty | Self::Inner(_) => None,
        }
    }
}

/// A node: sixteen slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    slots: [Slot; FAN_OUT],
}

/// Bytes that are no node. On disk: rebuild the tree; from a peer: refuse the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A format of another release.
    #[error("merkle node format {0} is not known to this release (it knows {VERSION})")]
    Version(u8),
    /// Not the encoding of any node.
    #[error("the bytes are no merkle node")]
    Malformed,
    /// A leaf lies under another prefix than the node's or in another slot than its own.
    #[error("a leaf of the merkle node is out of its place")]
    Misplaced,
}

impl Default for Node {
    fn default() -> Self {
        Self { slots: [Slot::Empty; FAN_OUT] }
    }
}

impl Node {
    /// A node with one key, under `prefix`.
    pub fn with_leaf(prefix: Prefix, position: Position, hash: StateHash) -> Self {
        let mut node = Self::default();
        node.set(prefix.next_digit(position), Slot::Leaf(position, hash));
        node
    }

    /// The slot of `digit`.
    pub fn slot(&self, digit: u8) -> Slot {
        self.slots[usize::from(digit) % FAN_OUT]
    }

    /// Fills the slot of `digit`.
    pub fn set(&mut self, digit: u8, slot: Slot) {
        self.slots[usize::from(digit) % FAN_OUT] = slot;
    }

    /// Every digit and its slot, empty ones too.
    pub fn slots(&self) -> impl Iterator<Item = (u8, Slot)> + '_ {
        (0..).zip(self.slots.iter().copied())
    }

    /// Whether no key lies under it.
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| *slot == Slot::Empty)
    }

    /// The one key under it, if that is all: such a node is no node, but a leaf slot of the node above.
    pub fn only_leaf(&self) -> Option<(Position, StateHash)> {
        let mut used = self.slots.iter().filter(|slot| **slot != Slot::Empty);
        match (used.next(), used.next()) {
            (Some(&Slot::Leaf(position, hash)), None) => Some((position, hash)),
            _ => None,
        }
    }

    /// The hash of this node.
    pub fn hash(&self) -> MerkleHash {
        if self.is_empty() {
            return MerkleHash::EMPTY;
        }
        let mut hasher = Sha256::new();
        hasher.update(self.encode());
        MerkleHash::shorten(hasher)
    }

    /// The format, in the store and on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let bits = |wanted: fn(&Slot) -> bool| {
            let slots = self.slots.iter().rev();
            slots.fold(0u16, |bits, slot| bits << 1 | u16::from(wanted(slot)))
        };
        let mut out = Vec::with_capacity(5 + 32 * FAN_OUT);
        out.push(VERSION);
        out.extend_from_slice(&bits(|slot| *slot != Slot::Empty).to_be_bytes());
        out.extend_from_slice(&bits(|slot| matches!(slot, Slot::Leaf(..))).to_be_bytes());
        for slot in &self.slots {
            match slot {
                Slot::Empty => {}
                Slot::Leaf(position, hash) => {
                    out.extend_from_slice(&position.0);
                    out.extend_from_slice(&hash.0);
                }
                Slot::Inner(hash) => out.extend_from_slice(&hash.0),
            }
        }
        out
    }

    /// The node at `prefix` that [`Node::encode`] wrote; every leaf must lie in its place.
    pub fn decode(prefix: Prefix, bytes: &[u8]) -> Result<Self, NodeError> {
        let [version, rest @ ..] = bytes else { return Err(NodeError::Malformed) };
        if *version != VERSION {
            return Err(NodeError::Version(*version));
        }
        let [u0, u1, l0, l1, body @ ..] = rest else { return Err(NodeError::Malformed) };
        let (used, leaves) = (u16::from_be_bytes([*u0, *u1]), u16::from_be_bytes([*l0, *l1]));
        if leaves & !used != 0 {
            return Err(NodeError::Malformed);
        }
        let (hashes, []) = body.as_chunks::<16>() else { return Err(NodeError::Malformed) };
        let mut hashes = hashes.iter();
        let mut next = || hashes.next().copied().ok_or(NodeError::Malformed);
        let mut node = Self::default();
        for (digit, slot) in (0u8..).zip(&mut node.slots) {
            if used >> digit & 1 == 0 {
                continue;
            }
            *slot = if leaves >> digit & 1 == 0 {
                Slot::Inner(MerkleHash(next()?))
            } else {
                let position = Position(next()?);
                if !prefix.contains(position) || prefix.next_digit(position) != digit {
                    return Err(NodeError::Misplaced);
                }
                Slot::Leaf(position, StateHash(next()?))
            };
        }
        if hashes.next().is_some() { Err(NodeError::Malformed) } else { Ok(node) }
    }
}
