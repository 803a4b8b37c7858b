//! Keeping a trie up with writes.

use dynamo_ring::Position;

use super::node::{MerkleHash, Node, Slot};
use super::prefix::Prefix;
use crate::version::StateHash;

/// Where the nodes of one trie are kept.
pub trait Nodes {
    /// Why a node could not be had.
    type Error;
    /// The node at `prefix`, if there is one.
    fn get(&self, prefix: Prefix) -> Result<Option<Node>, Self::Error>;
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
    root: Prefix,
    nodes: N,
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
        while at.covers(prefix) && at != prefix {
            let Some(node) = self.nodes.get(at)? else { break };
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

    /// The nodes on the way to `position`, root first, down to the one whose slot for it is no inner one.
    fn path(&self, position: Position) -> Result<Vec<(Prefix, Node)>, N::Error> {
        let mut path = vec![(self.root, self.nodes.get(self.root)?.unwrap_or_default())];
        while let Some(&(prefix, node)) = path.last() {
            let digit = prefix.next_digit(position);
            let (Slot::Inner(_), Some(below)) = (node.slot(digit), prefix.child(digit)) else { break };
            path.push((below, self.nodes.get(below)?.unwrap_or_default()));
        }
        Ok(path)
    }
}

impl<N: NodesMut> Tree<N> {
    /// Notes that the key at `position` has versions of this hash, and returns the new root.
    pub fn upsert(&mut self, position: Position, hash: StateHash) -> Result<MerkleHash, N::Error> {
        let mut path = self.path(position)?;
        if let Some((prefix, node)) = path.last_mut() {
            let digit = prefix.next_digit(position);
            match node.slot(digit) {
                Slot::Leaf(other, other_hash) if other != position => {
                    let inner = self.split(*prefix, (position, hash), (other, other_hash))?;
                    node.set(digit, Slot::Inner(inner));
                }
                _ => node.set(digit, Slot::Leaf(position, hash)),
            }
        }
        self.rehash(path)
    }

    /// Notes that there is no key at `position`, and returns the new root.
    pub fn remove(&mut self, position: Position) -> Result<MerkleHash, N::Error> {
        let mut path = self.path(position)?;
        if let Some((prefix, node)) = path.last_mut() {
            let digit = prefix.next_digit(position);
            if matches!(node.slot(digit), Slot::Leaf(found, _) if found == position) {
                node.set(digit, Slot::Empty);
            }
        }
        self.rehash(path)
    }

    /// Makes the nodes under `above` that tell two keys apart, and returns the hash of the topmost.
    fn split(
        &mut self,
        above: Prefix,
        (a, a_hash): (Position, StateHash),
        (b, b_hash): (Position, StateHash),
    ) -> Result<MerkleHash, N::Error> {
        let mut chain = Vec::new();
        let mut prefix = above;
        let mut node = loop {
            // Two positions differ somewhere, so there is always a child.
            let Some(below) = prefix.child(prefix.next_digit(a)) else { break Node::default() };
            prefix = below;
            if prefix.next_digit(a) != prefix.next_digit(b) {
                break Node::with_leaf(prefix, a, a_hash);
            }
            chain.push(prefix);
        };
        node.set(prefix.next_digit(b), Slot::Leaf(b, b_hash));
        self.nodes.put(prefix, &node)?;
        let mut hash = node.hash();
        for prefix in chain.into_iter().rev() {
            let mut node = Node::default();
            node.set(prefix.next_digit(a), Slot::Inner(hash));
            self.nodes.put(prefix, &node)?;
            hash = node.hash();
        }
        Ok(hash)
    }

    /// Writes a changed path back from its end, folding nodes that hold one key into the slot above.
    fn rehash(&mut self, mut path: Vec<(Prefix, Node)>) -> Result<MerkleHash, N::Error> {
        while let Some((prefix, node)) = path.pop() {
            let Some((parent, above)) = path.last_mut() else {
                if node.is_empty() {
                    self.nodes.remove(prefix)?;
                } else {
                    self.nodes.put(prefix, &node)?;
                }
                return Ok(node.hash());
            };
            let slot = if let Some((position, hash)) = node.only_leaf() {
                Slot::Leaf(position, hash)
            } else if node.is_empty() {
                Slot::Empty
            } else {
                Slot::Inner(node.hash())
            };
            if matches!(slot, Slot::Inner(_)) {
                self.nodes.put(prefix, &node)?;
            } else {
                self.nodes.remove(prefix)?;
            }
            above.set(prefix.digit(parent.len()), slot);
        }
        Ok(MerkleHash::EMPTY)
    }
}
