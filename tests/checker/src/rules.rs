//! The promises (docs/correctness.md), each held against the history.

use std::collections::BTreeSet;

use crate::cover::Cover;
use crate::history::{End, History, Op, OpId, Outcome, Value};

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
    /// A strict read returns a value that a strict write replaced which was acknowledged before it began.
    #[error(
        "replaced: strict read {read} of key {key} began after strict write {by} was acknowledged, and returns the value of write {write}, which that one had replaced"
    )]
    Replaced {
        /// The read.
        read: OpId,
        /// Whose value.
        write: OpId,
        /// What had replaced it.
        by: OpId,
        /// The key.
        key: u32,
    },
    /// A value is returned beside one that had replaced it.
    #[error(
        "beside: {} of key {key} returned the value of write {write} beside that of write {by}, which had replaced it",
        reader(*read)
    )]
    Beside {
        /// The read; none if it was at the end.
        read: Option<OpId>,
        /// Whose value.
        write: OpId,
        /// What had replaced it.
        by: OpId,
        /// The key.
        key: u32,
    },
    /// A read does not know a write that its answer says it covers.
    #[error("uncovered: read {read} of key {key} says that it covers write {write}, and knows nothing of it")]
    Uncovered {
        /// The read.
        read: OpId,
        /// The write.
        write: OpId,
        /// The key.
        key: u32,
    },
    /// A request was answered though fewer members counted than it asked for.
    #[error("short: request {op} of key {key} asked for {quorum} members and was answered with {answered}")]
    Short {
        /// The request.
        op: OpId,
        /// The key.
        key: u32,
        /// What it asked for.
        quorum: u32,
        /// What it was answered with.
        answered: u32,
    },
    /// A read returned what nobody wrote, or what was refused.
    #[error("from nowhere: {} of key {key} returned value {value}, which nobody wrote", reader(*read))]
    FromNowhere {
        /// The read; none if it was at the end.
        read: Option<OpId>,
        /// The key.
        key: u32,
        /// The value.
        value: u64,
    },
    /// The replicas are not alike.
    #[error("apart: {0}")]
    Apart(String),
}

fn reader(read: Option<OpId>) -> String {
    read.map_or_else(|| "the read at the end".to_owned(), |read| format!("read {read}"))
}

/// Everything that the history breaks.
pub fn check(history: &History) -> Vec<Violation> {
    let cover = Cover::of(history);
    let mut broken = nowhere(history, &cover);
    broken.extend(beside(history, &cover));
    broken.extend(uncovered(history, &cover));
    broken.extend(short(history));
    broken.extend(strict(history, &cover));
    if let Some(end) = &history.end {
        broken.extend(lost(history, end, &cover));
        broken.extend(came_back(history, end, &cover));
        broken.extend(end.disagreements.iter().cloned().map(Violation::Apart));
    }
    broken
}

fn acknowledged(history: &History) -> impl Iterator<Item = (OpId, &Op)> {
    history.ops.iter().enumerate().filter(|(_, op)| op.outcome == Outcome::Acknowledged)
}

/// Every answer of values: the reads, and the end.
fn answers(history: &History) -> impl Iterator<Item = (Option<OpId>, u32, &BTreeSet<Value>)> {
    let reads = history.ops.iter().enumerate();
    let reads = reads.filter_map(|(id, op)| Some((Some(id), op.key, op.read()?)));
    let end = history.end.iter().flat_map(|end| &end.values);
    reads.chain(end.map(|(key, values)| (None, *key, values)))
}

fn lost(history: &History, end: &End, cover: &Cover<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (&key, values) in &end.values {
        let covered = cover.may_be_covered(key, values, u64::MAX);
        let missing = acknowledged(history).filter(|(id, op)| op.key == key && !covered.contains(id));
        broken.extend(missing.map(|(write, _)| Violation::Lost { write, key }));
    }
    broken
}

/// What strict reads know of the strict writes before them, where the members that they ask are so many that one is among
/// those that have the write. Other requests change nothing of it: they may add to what a strict read returns, never
/// hide a write from it.
fn strict(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (read, op) in history.ops.iter().enumerate().filter(|(_, op)| op.terms.strict) {
        let (Some(values), key) = (op.read(), op.key) else { continue };
        let (covered, once) = (cover.may_be_covered(key, values, op.ended), cover.once(values));
        let before = acknowledged(history).filter(|(_, write)| {
            write.terms.strict
                && write.key == key
                && write.ended < op.begun
                && op.promised() + write.promised() > history.n
        });
        for (write, _) in before {
            if !covered.contains(&write) {
                broken.push(Violation::Stale { read, write, key });
            }
            let gone = cover.replaced(write).intersection(&once);
            broken.extend(gone.map(|&of| Violation::Replaced { read, write: of, by: write, key }));
        }
    }
    broken
}

fn came_back(history: &History, end: &End, cover: &Cover<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (&key, values) in &end.values {
        let standing = cover.once(values);
        for (by, _) in acknowledged(history).filter(|(_, op)| op.key == key) {
            let back = cover.replaced(by).intersection(&standing);
            broken.extend(back.map(|&write| Violation::CameBack { write, by, key }));
        }
    }
    broken
}

fn beside(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (read, key, values) in answers(history) {
        let once = cover.once(values);
        for by in values.iter().filter_map(|value| cover.writer(*value)) {
            let both = cover.replaced(by).intersection(&once);
            broken.extend(both.map(|&write| Violation::Beside { read, write, by, key }));
        }
    }
    broken
}

fn uncovered(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let of = |(read, op): (OpId, &Op)| {
        let (values, write, key) = (op.read()?, op.covers?, op.key);
        let known = cover.may_be_covered(key, values, op.ended).contains(&write);
        (!known).then_some(Violation::Uncovered { read, write, key })
    };
    history.ops.iter().enumerate().filter_map(of).collect()
}

fn short(history: &History) -> Vec<Violation> {
    let of = |(op, request): (OpId, &Op)| {
        let (key, quorum, answered) = (request.key, request.terms.quorum, request.answered);
        let is_answer = matches!(request.outcome, Outcome::Read(_) | Outcome::Acknowledged);
        let fewer = is_answer && !request.terms.partial && answered < quorum;
        fewer.then_some(Violation::Short { op, key, quorum, answered })
    };
    history.ops.iter().enumerate().filter_map(of).collect()
}

fn nowhere(history: &History, cover: &Cover<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (read, key, values) in answers(history) {
        for &value in values {
            let written = cover.writer(value).map(|id| &history.ops[id]);
            if !written.is_some_and(|op| op.key == key && op.may_write()) {
                broken.push(Violation::FromNowhere { read, key, value });
            }
        }
    }
    broken
}
