//! What a replica of one key holds, with the whole past written out: every version that it has seen, and those that stand.

use std::collections::BTreeSet;

/// A version, by a number of its own.
pub(crate) type Dot = usize;

/// One copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) seen: BTreeSet<Dot>,
    pub(crate) standing: BTreeSet<Dot>,
}

impl State {
    /// A write by someone who had seen `context`.
    pub(crate) fn write(&mut self, dot: Dot, context: &BTreeSet<Dot>) {
        self.standing.retain(|one| !context.contains(one));
        self.standing.insert(dot);
        self.seen.extend(context);
        self.seen.insert(dot);
    }

    /// Keeps what both have, or what one has and the other has not seen.
    pub(crate) fn merge(&mut self, other: &Self) {
        let stays = |dot: &Dot, there: &Self| there.standing.contains(dot) || !there.seen.contains(dot);
        let mine = self.standing.iter().filter(|dot| stays(dot, other));
        let theirs = other.standing.iter().filter(|dot| stays(dot, self));
        self.standing = mine.chain(theirs).copied().collect();
        self.seen.extend(&other.seen);
    }

    /// Versions that were seen and do not stand.
    pub(crate) fn covered(&self) -> Vec<Dot> {
        self.seen.difference(&self.standing).copied().collect()
    }
}
