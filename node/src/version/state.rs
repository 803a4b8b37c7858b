//! What a key holds, and how a put and a merge change it.

use bytes::Bytes;

use super::actor::Dot;
use super::vector::VersionVector;
use crate::planted::{self, Fault};

/// The client's name for one write, so that a retry of it is known again. 16 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub [u8; 16]);

/// One version that stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sibling {
    /// The write event that made it.
    pub dot: Dot,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The client's name for the write, if it gave one. The merge never looks at it.
    pub write_id: Option<WriteId>,
    /// The coordinator's wall clock at the write, ms since the epoch. Only for a resolver that wants the last writer;
    /// the store never orders by it.
    pub written_at_ms: u64,
    /// From this wall clock on, ms since the epoch, the value reads as absent. It stands until it is covered or reaped: a
    /// clock decides what is shown, never what is kept.
    pub expires_at_ms: Option<u64>,
}

impl Sibling {
    /// Whether it shows no value at this wall clock: a tombstone, or a value past its time to live.
    pub fn is_past(&self, now_ms: u64) -> bool {
        self.value.is_none() || self.expires_at_ms.is_some_and(|at| at <= now_ms)
    }
}

/// All that is known of a key: what has been seen, and what of it stands.
///
/// Every sibling's dot is covered by the context, and siblings are sorted by dot, each dot once: one state has one form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct State {
    context: VersionVector,
    siblings: Vec<Sibling>,
}

/// What an answer shows of a state; see [`State::view`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// Siblings with a value, in dot order, one for each write id.
    pub values: Vec<&'a Sibling>,
    /// Concurrent deletes among the siblings, one for each write id.
    pub tombstones: usize,
    /// Values past their time to live, which are not shown, one for each write id.
    pub expired: usize,
    /// Covers all of them, those that were folded into one too.
    pub context: &'a VersionVector,
}

impl State {
    /// The state of a key that was never written.
    pub const fn new() -> Self {
        Self { context: VersionVector::new(), siblings: Vec::new() }
    }

    /// A state of these parts, brought into its one form; the context is widened to cover every sibling.
    pub fn from_parts(mut context: VersionVector, mut siblings: Vec<Sibling>) -> Self {
        // The greater of two with one dot, so that the choice does not hang on the order.
        siblings.sort_unstable_by(|a, b| b.cmp(a));
        siblings.dedup_by_key(|sibling| sibling.dot);
        siblings.reverse();
        for sibling in &siblings {
            context.extend(sibling.dot);
        }
        Self { context, siblings }
    }

    /// Parts that are known to be in the one form.
    pub(super) const fn from_canonical(context: VersionVector, siblings: Vec<Sibling>) -> Self {
        Self { context, siblings }
    }

    /// What has been seen.
    pub const fn context(&self) -> &VersionVector {
        &self.context
    }

    /// What stands, tombstones included, in dot order.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }

    /// Whether the key was never written, as far as this state knows.
    pub fn is_empty(&self) -> bool {
        self.context.is_empty() && self.siblings.is_empty()
    }

    /// From which wall clock on nothing of it is shown: zero for one that holds only deletes, nothing for one with a
    /// value that lasts. From then on it may be reaped, on facts.
    pub fn passes_at_ms(&self) -> Option<u64> {
        let passes =
            |sibling: &Sibling| if sibling.value.is_some() { sibling.expires_at_ms } else { Some(0) };
        let all: Option<Vec<u64>> = self.siblings.iter().map(passes).collect();
        all?.into_iter().max()
    }

    /// The values that stand, in dot order.
    pub fn values(&self) -> impl Iterator<Item = &Bytes> {
        self.siblings.iter().filter_map(|sibling| sibling.value.as_ref())
    }

    /// Bytes of all values together. For limits; the stored form is larger by some 40 bytes a sibling.
    pub fn value_bytes(&self) -> usize {
        self.values().map(Bytes::len).sum()
    }

    /// The sibling that the write named `id` made, if it still stands.
    pub fn written_by(&self, id: WriteId) -> Option<&Sibling> {
        self.siblings.iter().find(|sibling| sibling.write_id == Some(id))
    }

    /// Applies a write: what its client had seen is discarded, the new version is added.
    ///
    /// The dot must be new: above everything of its writer that this state and the client's context have seen. Taking
    /// it so is the coordinator's part (see [`Put`](crate::store::Put)).
    pub fn put(&mut self, seen: &VersionVector, sibling: Sibling) {
        self.siblings.retain(|old| !seen.covers(old.dot) && old.dot != sibling.dot);
        self.context.merge(seen);
        self.context.extend(sibling.dot);
        let at = self.siblings.partition_point(|old| old.dot < sibling.dot);
        self.siblings.insert(at, sibling);
    }

    /// Joins two copies of a key: what both have stands, and what one has and the other has not seen.
    ///
    /// Commutative, associative and idempotent: a sibling stands if somebody has seen it and everybody who has keeps it.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let mut siblings = Vec::with_capacity(self.siblings.len().max(other.siblings.len()));
        let (mut ours, mut theirs) = (self.siblings.iter().peekable(), other.siblings.iter().peekable());
        loop {
            let (mine, yours) = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.dot == b.dot => (ours.next(), theirs.next()),
                (Some(a), Some(b)) if a.dot > b.dot => (None, theirs.next()),
                (Some(_), _) => (ours.next(), None),
                (None, Some(_)) => (None, theirs.next()),
                (None, None) => break,
            };
            match (mine, yours) {
                // One dot is one write, so the two are equal; should they ever not be, both replicas choose alike.
                (Some(a), Some(b)) => siblings.push(a.max(b).clone()),
                (Some(a), None) if !other.context.covers(a.dot) => siblings.push(a.clone()),
                (None, Some(b)) if !self.context.covers(b.dot) => siblings.push(b.clone()),
                _ => {}
            }
        }
        if planted::is(Fault::DropSibling) {
            siblings.truncate(1);
        }
        let mut context = self.context.clone();
        context.merge(&other.context);
        Self { context, siblings }
    }

    /// Whether all that `other` knows is known here: merging it would change nothing.
    ///
    /// This is what lets an old holder drop a copy, and a hint be counted as delivered.
    pub fn covers(&self, other: &Self) -> bool {
        self.context.descends(&other.context)
            && self.siblings.iter().all(|ours| {
                !other.context.covers(ours.dot)
                    || other
                        .siblings
                        .binary_search_by_key(&ours.dot, |s| s.dot)
                        .is_ok_and(|at| other.siblings[at] <= *ours)
            })
    }

    /// The same without the values, each of them empty: what is listed, and merged, where nobody asks for values. An
    /// outline of a merge is the merge of the outlines.
    #[must_use]
    pub fn outline(&self) -> Self {
        let bare = |sibling: &Sibling| Sibling {
            value: sibling.value.as_ref().map(|_| Bytes::new()),
            ..sibling.clone()
        };
        Self { context: self.context.clone(), siblings: self.siblings.iter().map(bare).collect() }
    }

    /// What an answer shows, times to live left aside; see [`State::view_at`].
    pub fn view(&self) -> View<'_> {
        self.view_at(0)
    }

    /// What an answer shows at this wall clock: no value that is past its time to live. Siblings that one write made twice
    /// (a retry that could not know its first attempt) are shown as one. The context covers all of them, so the next
    /// write settles them.
    pub fn view_at(&self, now_ms: u64) -> View<'_> {
        let mut shown: Vec<&Sibling> = Vec::with_capacity(self.siblings.len());
        for sibling in &self.siblings {
            let again = |seen: &&Sibling| {
                seen.write_id == sibling.write_id
                    && seen.value == sibling.value
                    && seen.is_past(now_ms) == sibling.is_past(now_ms)
            };
            if sibling.write_id.is_none() || !shown.iter().any(again) {
                shown.push(sibling);
            }
        }
        let all = shown.len();
        let tombstones = shown.iter().filter(|sibling| sibling.value.is_none()).count();
        shown.retain(|sibling| !sibling.is_past(now_ms));
        let expired = all - tombstones - shown.len();
        View { values: shown, tombstones, expired, context: &self.context }
    }
}
