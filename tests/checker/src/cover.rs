//! Which writes a write replaced.
//!
//! A write replaces what the context that it carries covers: everything that the read had seen which gave the context.
//! What a read had seen for certain is what it returned, and what those values' own writes had seen. What it may have seen
//! besides is every delete that had begun before it ended, and what that covers: a tombstone is not shown.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, Op, OpId, Request, Value};

/// The writes that each write replaced.
#[derive(Debug)]
pub struct Cover<'a> {
    history: &'a History,
    /// Who put a value.
    writer: BTreeMap<Value, OpId>,
    /// Deletes of each key.
    deletes: BTreeMap<u32, Vec<OpId>>,
    /// What each write replaced for certain.
    certain: Vec<BTreeSet<OpId>>,
}

impl<'a> Cover<'a> {
    /// Of a history. Reads come before the writes that carry their contexts.
    pub fn of(history: &'a History) -> Self {
        let mut writer = BTreeMap::new();
        let mut deletes: BTreeMap<u32, Vec<OpId>> = BTreeMap::new();
        for (id, op) in history.ops.iter().enumerate() {
            match &op.request {
                Request::Put { value, .. } => {
                    writer.insert(*value, id);
                }
                Request::Delete { .. } => deletes.entry(op.key).or_default().push(id),
                Request::Get => {}
            }
        }
        let mut cover = Self { history, writer, deletes, certain: Vec::new() };
        for op in &history.ops {
            let replaced = op.seen().map(|read| cover.seen_for_certain(read)).unwrap_or_default();
            cover.certain.push(replaced);
        }
        cover
    }

    /// Who put a value.
    pub fn writer(&self, value: Value) -> Option<OpId> {
        self.writer.get(&value).copied()
    }

    /// What `write` replaced for certain, if it took effect.
    pub fn replaced(&self, write: OpId) -> &BTreeSet<OpId> {
        &self.certain[write]
    }

    /// The writes that a read had seen for certain.
    fn seen_for_certain(&self, read: OpId) -> BTreeSet<OpId> {
        let values = self.history.ops.get(read).and_then(Op::read).into_iter().flatten();
        let mut seen = BTreeSet::new();
        for writer in values.filter_map(|value| self.writer(*value)) {
            seen.insert(writer);
            seen.extend(self.certain.get(writer).into_iter().flatten());
        }
        seen
    }

    /// Every write that may be covered where these values stand, as seen by a request that ended at `ended`.
    pub fn may_be_covered(&self, key: u32, values: &BTreeSet<Value>, ended: u64) -> BTreeSet<OpId> {
        let deletes = self.deletes.get(&key).into_iter().flatten().copied();
        let deletes = deletes.filter(|id| self.op(*id).begun <= ended && self.op(*id).may_write());
        let mut to_do: Vec<OpId> =
            values.iter().filter_map(|value| self.writer(*value)).chain(deletes).collect();
        let mut covered = BTreeSet::new();
        while let Some(id) = to_do.pop() {
            if !covered.insert(id) {
                continue;
            }
            let Some(read) = self.op(id).seen() else { continue };
            let read = self.op(read);
            let returned = read.read().into_iter().flatten().filter_map(|value| self.writer(*value));
            to_do.extend(returned);
        }
        covered
    }

    fn op(&self, id: OpId) -> &Op {
        &self.history.ops[id]
    }
}
