//! Keeping the Merkle trees in line with what a batch stores.

use bytes::Bytes;
use dynamo_ring::{Partition, Partitions, Position};

use super::batch::Batch;
use super::error::{OpError, StoreError};
use super::keys::{DataKey, merkle_key};
use super::overlay::Overlay;
use super::rows::Summary;
use super::{Read, Space};
use crate::merkle::{Node, Nodes, NodesMut, Prefix, Tree};
use crate::version::StateHash;

/// A leaf as it has to be from now on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    /// Where the key lies.
    pub position: Position,
    /// The hash of its state; `None`: it is here no longer.
    pub hash: Option<StateHash>,
    /// Whether the key has been here before, and so had a leaf.
    pub stored: bool,
}

impl<'a> Batch<'a> {
    /// Brings the leaf of a key in line with what is stored of it from now on: the hash of its state, or nothing. `stored`
    /// is whether the key has been here before, and so had a leaf.
    ///
    /// No write is refused for what is wrong with a tree. One that is not whole, or has a leaf and no key or a key and no
    /// leaf, is in doubt: it is to be made anew, and shown to nobody until then.
    pub(super) fn note_leaf(
        &mut self,
        partition: Partition,
        summary: &mut Summary,
        position: Position,
        leaf: Option<StateHash>,
        stored: bool,
    ) -> Result<(), OpError> {
        if !summary.has_leaf_at(position) {
            return Ok(());
        }
        self.note_leaves(partition, summary, &[Leaf { position, hash: leaf, stored }])
    }

    /// The same for many keys in one walk along the tree. Each of them has a place in the tree.
    pub(super) fn note_leaves(
        &mut self,
        partition: Partition,
        summary: &mut Summary,
        leaves: &[Leaf],
    ) -> Result<(), OpError> {
        if leaves.is_empty() {
            return Ok(());
        }
        let mut tree = self.tree(partition, self.partitions()?);
        let mut note = || -> Result<_, StoreError> {
            let mut walk = tree.walk()?;
            if walk.began_at() != summary.root {
                return Err(StoreError::Tree(partition));
            }
            let mut right = true;
            for Leaf { position, hash, stored } in leaves {
                let before = match hash {
                    Some(hash) => walk.note(*position, *hash)?,
                    None => walk.forget(*position)?,
                };
                right &= before.is_some() == *stored;
            }
            Ok((right, walk.end()?))
        };
        match note() {
            Ok((true, root)) => summary.root = root,
            Ok(_) | Err(StoreError::Tree(_)) => *summary = summary.in_doubt(),
            Err(why) => return Err(why.into()),
        }
        Ok(())
    }

    /// Makes sure that the tree knows what the store holds. Every repair does this, also one that brings nothing new:
    /// else a tree that a fault left behind its data would have the same keys repaired for ever.
    pub(super) fn rehash(&mut self, key: &DataKey, encoded: &Bytes) -> Result<StateHash, OpError> {
        let hash = StateHash::of(key.user_key(), encoded);
        let q = self.partitions()?;
        let partition = key.position().partition(q);
        let before = self.summary(partition)?;
        let mut summary = before;
        self.note_leaf(partition, &mut summary, key.position(), Some(hash), true)?;
        if summary != before {
            self.set_summary(partition, summary);
        }
        Ok(hash)
    }

    /// The partition's tree as the batch sees it.
    pub(super) fn tree(
        &mut self,
        partition: Partition,
        q: Partitions,
    ) -> Tree<PartitionNodes<&mut Overlay<'a>>> {
        Tree::new(Prefix::root(partition, q), PartitionNodes { partition, rows: &mut self.rows })
    }
}

/// The Merkle nodes of one partition, wherever its rows are read from.
#[derive(Debug)]
pub(super) struct PartitionNodes<R> {
    pub(super) partition: Partition,
    pub(super) rows: R,
}

impl PartitionNodes<()> {
    fn read(read: &dyn Read, partition: Partition, prefix: Prefix) -> Result<Option<Node>, StoreError> {
        let row = read.get(Space::Merkle, &merkle_key(partition, prefix))?;
        row.map(|row| Node::decode(prefix, &row)).transpose().map_err(|_| StoreError::Tree(partition))
    }
}

impl Nodes for PartitionNodes<&dyn Read> {
    type Error = StoreError;

    fn get(&self, prefix: Prefix) -> Result<Option<Node>, StoreError> {
        PartitionNodes::read(self.rows, self.partition, prefix)
    }

    fn broken(&self, _: Prefix) -> StoreError {
        StoreError::Tree(self.partition)
    }
}

impl Nodes for PartitionNodes<&mut Overlay<'_>> {
    type Error = StoreError;

    fn get(&self, prefix: Prefix) -> Result<Option<Node>, StoreError> {
        PartitionNodes::read(&*self.rows, self.partition, prefix)
    }

    fn broken(&self, _: Prefix) -> StoreError {
        StoreError::Tree(self.partition)
    }
}

impl NodesMut for PartitionNodes<&mut Overlay<'_>> {
    fn put(&mut self, prefix: Prefix, node: &Node) -> Result<(), StoreError> {
        let (key, node) = (merkle_key(self.partition, prefix), Bytes::from(node.encode()));
        // A path that came out as it was makes no rows to write.
        if self.rows.get(Space::Merkle, &key)?.is_none_or(|stored| stored != node) {
            self.rows.put(Space::Merkle, key.into(), node);
        }
        Ok(())
    }

    fn remove(&mut self, prefix: Prefix) -> Result<(), StoreError> {
        self.rows.remove(Space::Merkle, merkle_key(self.partition, prefix).into());
        Ok(())
    }
}
