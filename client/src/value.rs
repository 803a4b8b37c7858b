//! What a key holds, as a client sees it.

use bytes::Bytes;

/// Which versions of a key its bearer has seen: opaque, and bound to the key. Empty for one that has seen none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Context(pub Bytes);

impl Context {
    /// Whether it has seen nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a read has to cover: a context of the key, or the mark of one write to it. Opaque, and bound to the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seen(pub Bytes);

impl From<Context> for Seen {
    fn from(context: Context) -> Self {
        Self(context.0)
    }
}

/// One version of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// What was written.
    pub value: Bytes,
    /// The coordinator's wall clock at the write, ms since the epoch. For resolvers and people; the store never orders
    /// by it.
    pub written_at_ms: u64,
    /// From this wall clock on, ms since the epoch, it reads as absent; absent if it lasts.
    pub expires_at_ms: Option<u64>,
}

/// The answer to a read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    /// All versions that survive. None: the key does not exist. Several: writes were concurrent, and the caller
    /// decides (see [`resolve`](crate::resolve)).
    pub siblings: Vec<Sibling>,
    /// To be passed to the next write of this key: that one then replaces exactly what was read here.
    pub context: Context,
    /// Distinct members whose answer is in this one.
    pub answered: u32,
    /// A stand-in's answer was counted.
    pub sloppy: bool,
    /// Not all that was asked for by `at_least` is covered. Only where `allow_partial` was set.
    pub behind: bool,
    /// Epoch of the layout that served.
    pub epoch: u64,
    /// Deletes among the concurrent versions; the context covers them.
    pub tombstones: u32,
    /// Values past their time to live; not among the versions, covered by the context.
    pub expired: u32,
}

impl Value {
    /// Whether the key holds no value.
    pub const fn is_absent(&self) -> bool {
        self.siblings.is_empty()
    }

    /// The value, if there is exactly one.
    pub fn single(&self) -> Option<&Bytes> {
        match self.siblings.as_slice() {
            [one] => Some(&one.value),
            _ => None,
        }
    }
}

/// The answer to a put or a delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Names this write alone, for reads that have to cover it ([`ReadOptions::at_least`](crate::ReadOptions)); absent
    /// if the node no longer knows which version it made.
    pub seen: Option<Seen>,
    /// Covers this write. Absent if other versions survive beside it: read before the next write.
    pub context: Option<Context>,
    /// Distinct members that had it durably when the answer was sent.
    pub answered: u32,
    /// A stand-in was counted.
    pub sloppy: bool,
    /// Epoch of the layout that served.
    pub epoch: u64,
    /// Versions that the key holds now at the coordinator; 1 where there is no conflict.
    pub siblings: u32,
}
