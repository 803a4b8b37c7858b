//! The promises (docs/correctness.md), each held against the history.

use std::collections::BTreeSet;

use crate::cover::Cover;
use crate::history::{History, Op, OpId, Outcome};

/// A promise that a history breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An acknowledged write is neither returned nor covered by what is, once all has healed.
    #[error(
        "lost: write {write} of key {key} was acknowledged and is neither returned at the end nor covered by what is"
    )]
    Lost {
        /// The write.
        write: OpId,
        /// Its key.
        key: u32,
    },
    /// A strict read does not know a strict write that was acknowledged before it began.
    #[error(
        "stale: strict read {read} of key {key} began after strict write {write} was acknowledged, and knows nothing of it"
    )]
    Stale {
        /// The read.
        read: OpId,
        /// The write.
        write: OpId,
        /// The key.
        key: u32,
    },
    /// A value stands although an acknowledged write replaced it.
    #[error(
        "came back: the value of write {write} of key {key} stands at the end, and write {by} had replaced it"
    )]
    CameBack {
        /// Whose value.
        write: OpId,
        /// What had replaced it.
        by: OpId,
        /// The key.
        key: u32,
    },
    /// A read returned what nobody wrote, or what was refused.
    #[error("from nowhere: read {read} of key {key} returned value {value}, which nobody wrote")]
    FromNowhere {
        /// The read; the number of requests if it was the last one.
        read: OpId,
        /// The key.
        key: u32,
        /// The value.
        value: u64,
    },
    /// The replicas are not alike.
    #[error("apart: {0}")]
    Apart(String),
}

/// Everything that the history breaks.
pub fn check(history: &History) -> Vec<Violation> {
    let cover = Cover::of(history);
    let mut broken = nowhere(history, &cover);
    broken.extend(lost(history, &cover));
    broken.extend(stale(history, &cover));
    broken.extend(came_back(history, &cover));
    broken.extend(history.end.disagreements.iter().cloned().map(Violation::Apart));
    broken
}

fn acknowledged(history: &History) -> impl Iterator<Item = (OpId, &Op)> {
    history.ops.iter().enumerate().filter(|(_, op)| op.outcome == Outcome::Acknowledged)
}

fn lost(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let none = BTreeSet::new();
    let mut broken = Vec::new();
    for (key, values) in
        keys(history).into_iter().map(|key| (key, history.end.values.get(&key).unwrap_or(&none)))
    {
        let covered = cover.may_be_covered(key, values, u64::MAX);
        let missing = acknowledged(history).filter(|(id, op)| op.key == key && !covered.contains(id));
        broken.extend(missing.map(|(write, _)| Violation::Lost { write, key }));
    }
    broken
}

fn stale(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    // Requests that are not strict change nothing of it: they may add to what a strict read returns, never hide a strict
    // write from it.
    for (read, op) in history.ops.iter().enumerate().filter(|(_, op)| op.strict) {
        let Some(values) = op.read() else { continue };
        let covered = cover.may_be_covered(op.key, values, op.ended);
        let before = acknowledged(history)
            .filter(|(_, write)| write.strict && write.key == op.key && write.ended < op.begun);
        let unknown = before.filter(|(id, _)| !covered.contains(id));
        broken.extend(unknown.map(|(write, _)| Violation::Stale { read, write, key: op.key }));
    }
    broken
}

/// A write that was repeated may have made a second version that its replacement did not cover.
fn came_back(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (key, values) in &history.end.values {
        let standing = values.iter().filter_map(|value| cover.writer(*value));
        let standing: BTreeSet<OpId> = standing.filter(|id| !history.ops[*id].repeated).collect();
        for (by, op) in acknowledged(history).filter(|(_, op)| op.key == *key) {
            let back = cover.replaced(by).iter().filter(|id| standing.contains(id));
            broken.extend(back.map(|write| Violation::CameBack { write: *write, by, key: op.key }));
        }
    }
    broken
}

fn nowhere(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let of_reads = history.ops.iter().enumerate().filter_map(|(id, op)| Some((id, op.key, op.read()?)));
    let at_the_end = history.end.values.iter().map(|(key, values)| (history.ops.len(), *key, values));
    let mut broken = Vec::new();
    for (read, key, values) in of_reads.chain(at_the_end) {
        for value in values {
            let written = cover.writer(*value).map(|id| &history.ops[id]);
            if !written.is_some_and(|op| op.key == key && op.may_write()) {
                broken.push(Violation::FromNowhere { read, key, value: *value });
            }
        }
    }
    broken
}

fn keys(history: &History) -> BTreeSet<u32> {
    history.ops.iter().map(|op| op.key).collect()
}
