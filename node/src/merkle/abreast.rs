//! The descents of many partitions side by side, whose questions share messages: after the loss of a disk all partitions
//! differ, and after a short absence many do by a key or two. Pure.
//!
//! They share one bound of prefixes: while the first partitions differ by so much that they use it up, the next ones
//! wait, so what is held stays bounded, and partitions that differ little cost few round trips together.

use std::collections::BTreeMap;

use dynamo_ring::Partition;

use super::compare::{Descent, DescentError, Difference, Question};
use super::node::Node;

/// Descents through the tries of some partitions; see the module.
#[derive(Debug)]
pub struct Descents {
    trees: BTreeMap<Partition, Descent>,
    batch: usize,
}

impl Descents {
    /// No descents yet; their questions together will ask for at most `batch` prefixes at a time.
    pub const fn new(batch: usize) -> Self {
        Self { trees: BTreeMap::new(), batch }
    }

    /// One partition more.
    pub fn add(&mut self, partition: Partition, descent: Descent) {
        self.trees.insert(partition, descent);
    }

    /// Gives one up: it is not held here or there.
    pub fn give_up(&mut self, partition: Partition) {
        self.trees.remove(&partition);
    }

    /// Whether there is still something to be asked about a partition.
    pub fn is_open(&self, partition: Partition) -> bool {
        self.trees.get(&partition).is_some_and(|descent| !descent.is_done())
    }

    /// What to look at next, by partition; nothing when all differences have been given out. What was asked before and
    /// not answered is asked again.
    pub fn questions(&mut self) -> Vec<(Partition, Question)> {
        self.trees.retain(|_, descent| !descent.is_done());
        let (mut questions, mut left) = (Vec::new(), self.batch);
        for (partition, descent) in &mut self.trees {
            if left == 0 {
                break;
            }
            if let Some(question) = descent.question(left) {
                left = left.saturating_sub(question.read.len());
                questions.push((*partition, question));
            }
        }
        questions
    }

    /// Takes both sides' nodes of one partition, in the order of its last question, and returns its keys that differ.
    pub fn answer(
        &mut self,
        partition: Partition,
        ours: &[Node],
        theirs: &[Node],
    ) -> Result<Vec<Difference>, DescentError> {
        self.trees.get_mut(&partition).ok_or(DescentError::Unasked)?.answer(ours, theirs)
    }
}
