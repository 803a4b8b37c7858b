//! Keeping a trie up with writes: a walk along it, from key to key.
//!
//! The nodes on the way from the root to the key at hand are in memory, at most one for each digit; a node is written
//! back when the walk leaves it. Keys may come in any order; in ascending order each node is read and written once, so
//! the same walk plants a whole trie from a pass over its keys.

use dynamo_ring::Position;

use super::node::{MerkleHash, Node, Slot};
use super::prefix::Prefix;
use super::tree::{NodesMut, Tree};
use crate::version::StateHash;

/// A walk through a trie. What was noted is in the trie once it has come to its [`Walk::end`].
#[derive(Debug)]
pub struct Walk<'t, N> {
    tree: &'t mut Tree<N>,
    /// The nodes on the way, the root first. Of those that are not the last, the slot that leads on is out of date.
    path: Vec<(Prefix, Node)>,
    began_at: MerkleHash,
}

impl<'t, N: NodesMut> Walk<'t, N> {
    /// Begins at the root.
    pub(super) fn new(tree: &'t mut Tree<N>) -> Result<Self, N::Error> {
        let root = tree.nodes.get(tree.root)?.unwrap_or_default();
        Ok(Self { path: vec![(tree.root, root)], began_at: root.hash(), tree })
    }

    /// The root's hash before the walk.
    pub const fn began_at(&self) -> MerkleHash {
        self.began_at
    }

    /// Notes that the key at `position` has versions of this hash; returns the hash that its leaf had, if there was one.
    pub fn note(&mut self, position: Position, hash: StateHash) -> Result<Option<StateHash>, N::Error> {
        self.go_to(position)?;
        while let Some((prefix, node)) = self.path.last_mut() {
            let digit = prefix.next_digit(position);
            match (node.slot(digit), prefix.child(digit)) {
                // Both move into a node of their own. Two positions differ somewhere, so this ends.
                (Slot::Leaf(other, of_other), Some(below)) if other != position => {
                    self.path.push((below, Node::with_leaf(below, other, of_other)));
                }
                (slot, _) => {
                    node.set(digit, Slot::Leaf(position, hash));
                    return Ok(slot.leaf());
                }
            }
        }
        Ok(None)
    }

    /// Notes that there is no key at `position`; returns the hash that its leaf had, if there was one.
    pub fn forget(&mut self, position: Position) -> Result<Option<StateHash>, N::Error> {
        self.go_to(position)?;
        let Some((prefix, node)) = self.path.last_mut() else { return Ok(None) };
        let digit = prefix.next_digit(position);
        match node.slot(digit) {
            Slot::Leaf(found, hash) if found == position => {
                node.set(digit, Slot::Empty);
                Ok(Some(hash))
            }
            _ => Ok(None),
        }
    }

    /// Writes back what is still in memory, and returns the root's hash.
    pub fn end(mut self) -> Result<MerkleHash, N::Error> {
        loop {
            let hash = self.leave()?;
            if self.path.is_empty() {
                return Ok(hash);
            }
        }
    }

    /// Goes to the node whose slot for `position` is no inner one.
    fn go_to(&mut self, position: Position) -> Result<(), N::Error> {
        while self.path.len() > 1 && !self.path.last().is_some_and(|(prefix, _)| prefix.contains(position)) {
            self.leave()?;
        }
        while let Some((prefix, node)) = self.path.last() {
            let digit = prefix.next_digit(position);
            let (Slot::Inner(hash), Some(below)) = (node.slot(digit), prefix.child(digit)) else { break };
            // What lies there must be what the node above says, or hashes above would cover up what is wrong below.
            let node = self.tree.nodes.get(below)?.filter(|node| node.hash() == hash);
            let node = node.ok_or_else(|| self.tree.nodes.broken(below))?;
            self.path.push((below, node));
        }
        Ok(())
    }

    /// Writes the last node of the path back, folding one that holds a single key into the slot above; returns its hash.
    fn leave(&mut self) -> Result<MerkleHash, N::Error> {
        let Some((prefix, node)) = self.path.pop() else { return Ok(MerkleHash::EMPTY) };
        let hash = node.hash();
        let Some((parent, above)) = self.path.last_mut() else {
            if node.is_empty() {
                self.tree.nodes.remove(prefix)?;
            } else {
                self.tree.nodes.put(prefix, &node)?;
            }
            return Ok(hash);
        };
        let slot = match node.only_leaf() {
            Some((position, hash)) => Slot::Leaf(position, hash),
            None if node.is_empty() => Slot::Empty,
            None => Slot::Inner(hash),
        };
        above.set(prefix.digit(parent.len()), slot);
        if matches!(slot, Slot::Inner(_)) {
            self.tree.nodes.put(prefix, &node)?;
        } else {
            self.tree.nodes.remove(prefix)?;
        }
        Ok(hash)
    }
}
