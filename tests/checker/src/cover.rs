//! Which writes a write replaced.
//!
//! A write replaces what the context that it carries covers: everything that the answer stood for which gave the context.
//! What a read had seen for certain is what it returned, and what those values' own writes had seen; what an answer to a
//! write had seen for certain is that write, and what it had seen. What either may have seen besides is deletes that had
//! begun before it ended, and what those cover: a tombstone is not shown.

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
    /// Of a history. Answers come before the writes that carry their contexts.
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
            let replaced = op.seen().map(|answer| cover.seen_for_certain(answer)).unwrap_or_default();
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

    /// The writes of these values that made one version each: a write that was repeated may have made a second one, which
    /// what replaced the first did not see.
    pub fn once(&self, values: &BTreeSet<Value>) -> BTreeSet<OpId> {
        self.writers(values).filter(|id| !self.op(*id).repeated).collect()
    }

    /// Every write that may be covered where these values stand, as seen by a request that ended at `ended`: what they had
    /// seen, and the same of each delete that may have been seen there. A delete that for certain had seen what stands has
    /// not been.
    pub fn may_be_covered(&self, key: u32, values: &BTreeSet<Value>, ended: u64) -> BTreeSet<OpId> {
        let standing = self.once(values);
        let deletes = self.deletes.get(&key).into_iter().flatten().copied();
        let deletes = deletes.filter(|id| {
            let op = self.op(*id);
            op.begun <= ended && op.may_write() && self.replaced(*id).is_disjoint(&standing)
        });
        let mut to_do: Vec<OpId> = self.writers(values).chain(deletes).collect();
        let mut covered = BTreeSet::new();
        while let Some(id) = to_do.pop() {
            if covered.insert(id)
                && let Some(answer) = self.op(id).seen()
            {
                to_do.extend(self.shown(answer));
            }
        }
        covered
    }

    /// The writes that the answer to a request had seen for certain.
    fn seen_for_certain(&self, answer: OpId) -> BTreeSet<OpId> {
        let mut seen = BTreeSet::new();
        for writer in self.shown(answer) {
            seen.insert(writer);
            seen.extend(self.certain.get(writer).into_iter().flatten());
        }
        seen
    }

    /// The writes whose versions an answer shows: those of the values that a read returned; a write itself.
    fn shown(&self, answer: OpId) -> Vec<OpId> {
        let op = self.op(answer);
        match &op.request {
            Request::Get => op.read().map(|values| self.writers(values).collect()).unwrap_or_default(),
            Request::Put { .. } | Request::Delete { .. } => vec![answer],
        }
    }

    fn writers<'b>(&'b self, values: &'b BTreeSet<Value>) -> impl Iterator<Item = OpId> + 'b {
        values.iter().filter_map(|value| self.writer(*value))
    }

    fn op(&self, id: OpId) -> &Op {
        &self.history.ops[id]
    }
}
