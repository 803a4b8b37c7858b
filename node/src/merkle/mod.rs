//! One hash trie per partition, so that two replicas find what they disagree on without listing what they agree on.
//!
//! A trie of fan-out 16 over key positions. A leaf is the hash of one key's versions; an inner node is the hash of its
//! children. A key that is alone under a prefix is a leaf slot in the node above, so the trie's shape follows from the
//! set of `(position, hash)` pairs alone, and so does its root. A partition's root node stands at the deepest prefix
//! that all its positions share, at a whole number of hex digits.
//!
//! Hashes are the first 16 bytes of a SHA-256, in the store and on the wire.
//!
//! | module | what it says |
//! |---|---|
//! | [`prefix`] | the leading hex digits of a position |
//! | [`node`] | one node, and its format (the same in the store and on the wire) |
//! | [`tree`] | one trie, and where its nodes are kept |
//! | [`walk`] | keeping it up with writes, and planting it anew |
//! | [`compare`] | the descent of two replicas: purely, which prefixes to ask for, which keys differ |
//! | [`abreast`] | the same for many partitions, whose questions share messages |

pub mod abreast;
pub mod compare;
pub mod node;
pub mod prefix;
pub mod tree;
pub mod walk;

#[cfg(test)]
mod tests;

pub use abreast::Descents;
pub use compare::{Descent, DescentError, Difference, Question};
pub use node::{MerkleHash, Node, NodeError, Slot};
pub use prefix::{DIGITS, Prefix, PrefixError};
pub use tree::{Nodes, NodesMut, Tree};
pub use walk::Walk;
