//! One trie, and where its nodes are kept.

use dynamo_ring::Position;

use super::node::{MerkleHash, Node, Slot};
use super::prefix::{DIGITS, Prefix};
use super::walk::Walk;
use crate::version::StateHash;

/// Where the nodes of one trie are kept.
pub trait Nodes {
    /// Why a node could not be had.
    type Error;
    /// The node at `prefix`, if there is one.
    fn get(&self, prefix: Prefix) -> Result<Option<Node>, Self::Error>;
    /// What to say when the node at `prefix` is missing, or is not the one that the node above it names.
    fn broken(&self, prefix: Prefix) -> Self::Error;
}

/// Where they can be changed.
pub trait NodesMut: Nodes {
    /// Keeps `node` at `prefix`.
    fn put(&mut self, prefix: Prefix, node: &Node) -> Result<(), Self::Error>;
    /// Forgets the node at `prefix`.
    fn remove(&mut self, prefix: Prefix) -> Result<(), Self::Error>;
}

/// One partition's trie over some [`Nodes`].
///
/// After each call the nodes are exactly those that follow from the set of keys: a node at the root if there is any key,
/// and below it a node wherever two keys or more share a prefix.
#[derive(Debug)]
pub struct Tree<N> {
    pub(super) root: Prefix,
    pub(super) nodes: N,
}

impl<N: Nodes> Tree<N> {
    /// The trie whose root lies at `root`; see [`Prefix::root`].
    pub const fn new(root: Prefix, nodes: N) -> Self {
        Self { root, nodes }
    }

    /// The root's hash.
    pub fn root_hash(&self) -> Result<MerkleHash, N::Error> {
        Ok(self.nodes.get(self.root)?.unwrap_or_default().hash())
    }

    /// What lies under `prefix`, as a node, whatever the shape above it: a key that is alone under a shorter prefix is
    /// answered as a leaf. So two replicas can compare any prefix, also one that only one of them has a node at.
    pub fn at(&self, prefix: Prefix) -> Result<Node, N::Error> {
        if let Some(node) = self.nodes.get(prefix)? {
            return Ok(node);
        }
        let mut at = self.root;
        while at.covers(prefix) {
            let node = match self.nodes.get(at)? {
                Some(node) if at != prefix => node,
                // It has come meanwhile.
                Some(node) => return Ok(node),
                None if at == self.root => break,
                // The node above names it.
                None => return Err(self.nodes.broken(at)),
            };
            let digit = prefix.digit(at.len());
            match node.slot(digit) {
                Slot::Leaf(position, hash) if prefix.contains(position) => {
                    return Ok(Node::with_leaf(prefix, position, hash));
                }
                Slot::Inner(_) => match at.child(digit) {
                    Some(below) => at = below,
                    None => break,
                },
                _ => break,
            }
        }
        Ok(Node::default())
    }

    /// The leaf of the key at `position`.
    pub fn leaf(&self, position: Position) -> Result<Option<StateHash>, N::Error> {
        Ok(self.at(Prefix::of(position, DIGITS))?.only_leaf().map(|(_, hash)| hash))
    }
}

impl<N: NodesMut> Tree<N> {
    /// A walk from key to key, along which changes are noted.
    pub fn walk(&mut self) -> Result<Walk<'_, N>, N::Error> {
        Walk::new(self)
    }

    /// Notes that the key at `position` has versions of this hash, and returns the new root.
    pub fn upsert(&mut self, position: Position, hash: StateHash) -> Result<MerkleHash, N::Error> {
        let mut walk = self.walk()?;
        walk.note(position, hash)?;
        walk.end()
    }

    /// Notes that there is no key at `position`, and returns the new root.
    pub fn remove(&mut self, position: Position) -> Result<MerkleHash, N::Error> {
        let mut walk = self.walk()?;
        walk.forget(position)?;
        walk.end()
    }
}
