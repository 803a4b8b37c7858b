//! The descent of two replicas through their tries: which prefixes to look at next, and which keys differ.
//!
//! Pure: the driver brings both sides' nodes. Both tries may change under the descent. That costs at most a repair of
//! what was equal after all; nothing that differed when it began and still does is missed, because a prefix is left out
//! only where both sides were seen equal.
//!
//! Depth first, a batch at a time: what it holds is bounded by the batch and the depth, whatever the difference.

use std::collections::VecDeque;

use dynamo_ring::Position;

use super::node::{MerkleHash, Node, Slot};
use super::prefix::Prefix;
use crate::version::StateHash;

/// A key whose versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Only the other replica has it.
    TheirsOnly(Position, StateHash),
    /// Only this replica has it.
    OursOnly(Position, StateHash),
    /// Both have it, with different versions.
    Both(Position),
}

impl Difference {
    /// Where the key lies.
    pub const fn position(&self) -> Position {
        match self {
            Self::TheirsOnly(position, _) | Self::OursOnly(position, _) | Self::Both(position) => *position,
        }
    }
}

/// What the descent wants to see next. Answer with [`Descent::answer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Ask the other replica what lies under these, in this order ([`Tree::at`](super::Tree::at) there).
    pub ask: Vec<Prefix>,
    /// Look up what lies under these here, in this order.
    pub read: Vec<Prefix>,
}

/// The other side's answer made no sense. End the exchange; it is tried again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescentError {
    /// Not one node for each prefix that was asked for.
    #[error("asked for {asked} merkle nodes and got {got}")]
    Count {
        /// Prefixes asked for or to be read.
        asked: usize,
        /// Nodes in the answer.
        got: usize,
    },
    /// Nothing was asked.
    #[error("merkle nodes came that nobody asked for")]
    Unasked,
}

/// A prefix that is known to differ.
#[derive(Debug, Clone, Copy)]
struct Pending {
    prefix: Prefix,
    /// What the other side has under it, where that is known already: at most one key.
    theirs: Option<Node>,
}

/// The descent; see the module.
#[derive(Debug)]
pub struct Descent {
    /// The next on top.
    stack: Vec<Pending>,
    asked: VecDeque<Pending>,
}

impl Descent {
    /// A descent through the trie at `root`, from both sides' root hashes.
    pub fn new(root: Prefix, ours: MerkleHash, theirs: MerkleHash) -> Self {
        let mut stack = Vec::new();
        if ours != theirs {
            let theirs = (theirs == MerkleHash::EMPTY).then(Node::default);
            stack.push(Pending { prefix: root, theirs });
        }
        Self { stack, asked: VecDeque::new() }
    }

    /// What to look at next, at most `batch` prefixes; `None` when all differences have been given out. Asked again
    /// before an answer came (it was lost), it asks the same. A batch of 32 keeps a request and its answer below 20 KiB.
    pub fn question(&mut self, batch: usize) -> Option<Question> {
        if self.asked.is_empty() {
            let next = self.stack.len().saturating_sub(batch.max(1));
            self.asked.extend(self.stack.drain(next..).rev());
        }
        if self.asked.is_empty() {
            return None;
        }
        let unknown = self.asked.iter().filter(|pending| pending.theirs.is_none());
        Some(Question {
            ask: unknown.map(|pending| pending.prefix).collect(),
            read: self.asked.iter().map(|pending| pending.prefix).collect(),
        })
    }

    /// Takes both sides' nodes, in the order of the last question, and returns the keys that differ.
    pub fn answer(&mut self, ours: &[Node], theirs: &[Node]) -> Result<Vec<Difference>, DescentError> {
        if self.asked.is_empty() {
            return Err(DescentError::Unasked);
        }
        let unknown = self.asked.iter().filter(|pending| pending.theirs.is_none()).count();
        for (asked, got) in [(self.asked.len(), ours.len()), (unknown, theirs.len())] {
            if asked != got {
                return Err(DescentError::Count { asked, got });
            }
        }
        let mut theirs = theirs.iter();
        let mut found = Vec::new();
        let mut below = Vec::new();
        for (pending, ours) in self.asked.drain(..).zip(ours) {
            let Some(theirs) = pending.theirs.or_else(|| theirs.next().copied()) else { break };
            for digit in 0..16 {
                compare(pending.prefix, digit, ours.slot(digit), theirs.slot(digit), &mut found, &mut below);
            }
        }
        self.stack.extend(below.into_iter().rev());
        Ok(found)
    }

    /// Prefixes held at the moment.
    pub fn outstanding(&self) -> usize {
        self.stack.len() + self.asked.len()
    }

    /// Whether all differences have been given out.
    pub fn is_done(&self) -> bool {
        self.outstanding() == 0
    }
}

fn compare(
    prefix: Prefix,
    digit: u8,
    ours: Slot,
    theirs: Slot,
    found: &mut Vec<Difference>,
    below: &mut Vec<Pending>,
) {
    if ours == theirs {
        return;
    }
    match (ours, theirs) {
        (Slot::Inner(_), _) | (_, Slot::Inner(_)) => {
            // Only a broken peer has an inner slot at the last digit.
            let Some(child) = prefix.child(digit) else { return };
            let theirs = match theirs {
                Slot::Inner(_) => None,
                Slot::Leaf(position, hash) => Some(Node::with_leaf(child, position, hash)),
                Slot::Empty => Some(Node::default()),
            };
            below.push(Pending { prefix: child, theirs });
        }
        (Slot::Leaf(a, _), Slot::Leaf(b, _)) if a == b => found.push(Difference::Both(a)),
        (a, b) => {
            if let Slot::Leaf(position, hash) = a {
                found.push(Difference::OursOnly(position, hash));
            }
            if let Slot::Leaf(position, hash) = b {
                found.push(Difference::TheirsOnly(position, hash));
            }
        }
    }
}
