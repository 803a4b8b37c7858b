//! What clients saw of a run, and how it ended.

use std::collections::{BTreeMap, BTreeSet};

/// A value, by a number that no other write of the history carries.
pub type Value = u64;

/// A request, by its place in [`History::ops`].
pub type OpId = usize;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A read.
    Get,
    /// A write of a value; with the context that the read `seen` returned, or with none.
    Put {
        /// What is written.
        value: Value,
        /// The read whose context it carries.
        seen: Option<OpId>,
    },
    /// A delete; likewise.
    Delete {
        /// The read whose context it carries.
        seen: Option<OpId>,
    },
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A read: the values that stand.
    Read(BTreeSet<Value>),
    /// A write was acknowledged.
    Acknowledged,
    /// Nobody knows: a write may appear at any time, or never.
    Unknown,
    /// Nothing was begun.
    Refused,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The key.
    pub key: u32,
    /// What was asked.
    pub request: Request,
    /// Only the key's own members counted, and their answers were enough: `w` of them, or `r`, with r + w > n.
    pub strict: bool,
    /// It may have been carried out more than once by coordinators that did not know of each other.
    pub repeated: bool,
    /// When the client began it. Times only order what happened.
    pub begun: u64,
    /// When it ended, if it did.
    pub ended: u64,
    /// What the client was told.
    pub outcome: Outcome,
}

impl Op {
    /// The read whose context a write carries.
    pub const fn seen(&self) -> Option<OpId> {
        match self.request {
            Request::Get => None,
            Request::Put { seen, .. } | Request::Delete { seen } => seen,
        }
    }

    /// Whether it writes, and may have taken effect.
    pub fn may_write(&self) -> bool {
        !matches!(self.request, Request::Get) && self.outcome != Outcome::Refused
    }

    /// The value that it puts.
    pub const fn puts(&self) -> Option<Value> {
        match self.request {
            Request::Put { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The values that it read.
    pub const fn read(&self) -> Option<&BTreeSet<Value>> {
        match &self.outcome {
            Outcome::Read(values) => Some(values),
            _ => None,
        }
    }
}

/// What stood when every fault had healed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// What every key's replicas answered together.
    pub values: BTreeMap<u32, BTreeSet<Value>>,
    /// What did not agree within the bound: roots that differ, hints that are left.
    pub disagreements: Vec<String>,
}

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// All requests, in the order in which they began.
    pub ops: Vec<Op>,
    /// How it ended.
    pub end: End,
}
