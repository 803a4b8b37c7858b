//! What has been seen: for every writer, all its events up to a counter.

use std::cmp::Ordering;

use super::actor::{Dot, Writer};

/// A version vector. It has no gaps: an entry `(writer, n)` covers the writer's dots 1 to n.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct VersionVector {
    /// Sorted by writer, each once, no counter zero: equal vectors are equal bytes.
    entries: Vec<(Writer, u64)>,
}

impl VersionVector {
    /// The vector that has seen nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many writers it names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries, sorted by writer.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Writer, u64)> + '_ {
        self.entries.iter().copied()
    }

    /// The last event seen of `writer`; zero if none.
    pub fn counter(&self, writer: Writer) -> u64 {
        self.find(writer).map_or(0, |at| self.entries[at].1)
    }

    /// Whether the write event has been seen.
    pub fn covers(&self, dot: Dot) -> bool {
        dot.counter <= self.counter(dot.writer)
    }

    /// Notes that all of the dot's writer up to the dot has been seen.
    pub fn extend(&mut self, dot: Dot) {
        if dot.counter == 0 {
            return;
        }
        match self.find(dot.writer) {
            Ok(at) => self.entries[at].1 = self.entries[at].1.max(dot.counter),
            Err(at) => self.entries.insert(at, (dot.writer, dot.counter)),
        }
    }

    /// Joins `other` into this: what either has seen.
    pub fn merge(&mut self, other: &Self) {
        for (writer, counter) in other.iter() {
            self.extend(Dot { writer, counter });
        }
    }

    /// Whether this has seen everything that `other` has.
    pub fn descends(&self, other: &Self) -> bool {
        other.iter().all(|(writer, counter)| self.counter(writer) >= counter)
    }

    /// How the two stand to each other; `None` if each has seen what the other has not.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.descends(other), other.descends(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }

    fn find(&self, writer: Writer) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&writer, |entry| entry.0)
    }
}

impl FromIterator<(Writer, u64)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (Writer, u64)>>(entries: I) -> Self {
        let mut vector = Self::new();
        for (writer, counter) in entries {
            vector.extend(Dot { writer, counter });
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::testing::vectors;

    proptest! {
        #[test]
        fn a_join_is_the_least_that_descends_both(a in vectors(), b in vectors(), c in vectors()) {
            let mut joined = a.clone();
            joined.merge(&b);
            prop_assert!(joined.descends(&a) && joined.descends(&b));
            prop_assert_eq!(c.descends(&joined), c.descends(&a) && c.descends(&b));
            let mut other_way = b.clone();
            other_way.merge(&a);
            prop_assert_eq!(joined, other_way);
        }

        #[test]
        fn compare_agrees_with_equality(a in vectors(), b in vectors()) {
            prop_assert_eq!(a.compare(&b) == Some(Ordering::Equal), a == b);
            prop_assert_eq!(a.compare(&b), b.compare(&a).map(Ordering::reverse));
        }
    }
}
