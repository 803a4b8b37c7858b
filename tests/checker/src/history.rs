//! What clients saw of a run, and how it ended.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A value, by a number that no other write of the history carries.
pub type Value = u64;

/// A request, by its place in [`History::ops`].
pub type OpId = usize;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A read.
    Get,
    /// A write of a value; with the context that the answer to `seen` carried, or with none.
    Put {
        /// What is written.
        value: Value,
        /// The read, or the write, whose answer's context it carries.
        seen: Option<OpId>,
    },
    /// A delete; likewise.
    Delete {
        /// The read, or the write, whose answer's context it carries.
        seen: Option<OpId>,
    },
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// What a request asked to be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Only the key's own members count.
    pub strict: bool,
    /// r of a read, w of a write: the request's own, or the cluster's.
    pub quorum: u32,
    /// A read that takes what was found with fewer.
    pub partial: bool,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The key.
    pub key: u32,
    /// What was asked.
    pub request: Request,
    /// What was to be promised with it.
    pub terms: Terms,
    /// It may have been carried out more than once by coordinators that did not know of each other.
    pub repeated: bool,
    /// When the client began it. Times only order what happened.
    pub begun: u64,
    /// When it ended, if it did.
    pub ended: u64,
    /// What the client was told.
    pub outcome: Outcome,
    /// Distinct members that the answer counts; 0 if there was none.
    pub answered: u32,
    /// The write that a read had to cover, and that its answer says it covers.
    pub covers: Option<OpId>,
}

impl Op {
    /// One that has begun, and of which nothing more is known.
    pub const fn begun(key: u32, request: Request, terms: Terms, begun: u64) -> Self {
        let (ended, outcome) = (u64::MAX, Outcome::Unknown);
        Self { key, request, terms, repeated: false, begun, ended, outcome, answered: 0, covers: None }
    }

    /// The request whose answer's context a write carries.
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

    /// Members that the answer promises: of a read that takes fewer, those that there were.
    pub fn promised(&self) -> u32 {
        if self.terms.partial { self.terms.quorum.min(self.answered) } else { self.terms.quorum }
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
    /// Members that hold a key.
    pub n: u32,
    /// All requests, in the order in which they began.
    pub ops: Vec<Op>,
    /// How it ended; of a run that died nobody knows.
    pub end: Option<End>,
}
