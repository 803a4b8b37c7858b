//! An observed-remove set: a value that merges without a conflict (Shapiro et al., "Conflict-free Replicated Data Types",
//! SSS 2011, section 3.3.5).
//!
//! Every add carries a tag of its own. A remove takes the tags that its writer has seen, and they never come back; so an
//! item that is removed in one version and stands untouched in another is gone after the merge, where a union would
//! bring it back, and an add that the remove has not seen stays. Removed tags are kept for ever, 8 bytes each, since a
//! version that was written without knowing of the remove may still turn up.
//!
//! ```
//! use dynamo_client::orset::OrSet;
//!
//! let mut cart = OrSet::new();
//! cart.add("milk");
//! let mut phone = cart.clone();
//! phone.remove(b"milk");
//! let mut laptop = cart.clone();
//! laptop.add("eggs");
//!
//! let merged = phone.merge(&laptop);
//! assert!(merged.contains(b"eggs") && !merged.contains(b"milk"));
//! assert_eq!(OrSet::decode(&merged.encode()), Ok(merged));
//! ```
//!
//! The stored format; one set has one encoding:
//! ```text
//! version u8 = 1
//! items varint     then each: length varint, bytes, tags varint, each tag u64 BE     sorted
//! removed varint   then each tag u64 BE                                              sorted
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;

/// The name of one add. Random: two adds to one set share one with a chance of one in 10^13 at a thousand adds.
type Tag = u64;

/// Why bytes are no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSet {
    /// A format of a later release, or another kind of value. Read it with what wrote it.
    #[error(
        "the value is no observed-remove set that this release knows: its first byte is {0}, not {VERSION}"
    )]
    Version(u8),
    /// They are cut off, or were changed.
    #[error("the value is a damaged observed-remove set: {0}")]
    Damaged(&'static str),
}

/// The set. See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrSet {
    /// Items with the tags of the adds that stand; none without a tag.
    items: BTreeMap<Bytes, BTreeSet<Tag>>,
    removed: BTreeSet<Tag>,
}

impl OrSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { items: BTreeMap::new(), removed: BTreeSet::new() }
    }

    /// Adds an item; it stays whatever removes have not seen this add.
    pub fn add(&mut self, item: impl Into<Bytes>) {
        self.add_tagged(item.into(), rand::random());
    }

    fn add_tagged(&mut self, item: Bytes, tag: Tag) {
        if !self.removed.contains(&tag) {
            self.items.entry(item).or_default().insert(tag);
        }
    }

    /// Removes an item: all its adds that this set has seen. False if it is not in the set.
    pub fn remove(&mut self, item: &[u8]) -> bool {
        let tags = self.items.remove(item);
        let found = tags.is_some();
        self.removed.extend(tags.into_iter().flatten());
        found
    }

    /// Whether the item is in the set.
    pub fn contains(&self, item: &[u8]) -> bool {
        self.items.contains_key(item)
    }

    /// The items, sorted.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        self.items.keys()
    }

    /// How many removed tags are kept.
    pub fn removed(&self) -> usize {
        self.removed.len()
    }

    /// What both sets say together. Commutative, associative and idempotent.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let mut merged = self.clone();
        merged.removed.extend(&other.removed);
        for (item, tags) in &other.items {
            merged.items.entry(item.clone()).or_default().extend(tags);
        }
        let removed = &merged.removed;
        merged.items.retain(|_, tags| {
            tags.retain(|tag| !removed.contains(tag));
            !tags.is_empty()
        });
        merged
    }

    /// All versions of a value as one set.
    pub fn of_siblings<'a>(values: impl IntoIterator<Item = &'a Bytes>) -> Result<Self, NoSet> {
        values.into_iter().try_fold(Self::new(), |set, value| Ok(set.merge(&Self::decode(value)?)))
    }

    /// As it is stored.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        put_varint(&mut out, self.items.len());
        for (item, tags) in &self.items {
            put_varint(&mut out, item.len());
            out.put_slice(item);
            put_tags(&mut out, tags);
        }
        put_tags(&mut out, &self.removed);
        out.freeze()
    }

    /// From what is stored. No bytes at all are the empty set.
    pub fn decode(bytes: &Bytes) -> Result<Self, NoSet> {
        let Some(&version) = bytes.first() else { return Ok(Self::new()) };
        if version != VERSION {
            return Err(NoSet::Version(version));
        }
        let mut input = Input { bytes, at: 1 };
        let mut items: BTreeMap<Bytes, BTreeSet<Tag>> = BTreeMap::new();
        for _ in 0..input.count(3)? {
            let length = input.count(1)?;
            let item = input.take(length)?;
            let tags = input.tags()?;
            if tags.is_empty() || items.last_key_value().is_some_and(|(last, _)| *last >= item) {
                return Err(NoSet::Damaged("items out of order, or one without a tag"));
            }
            items.insert(item, tags);
        }
        let removed = input.tags()?;
        if input.left() > 0 {
            return Err(NoSet::Damaged("bytes follow its end"));
        }
        if items.values().flatten().any(|tag| removed.contains(tag)) {
            return Err(NoSet::Damaged("an add that stands and is removed"));
        }
        Ok(Self { items, removed })
    }
}

fn put_varint(out: &mut BytesMut, n: usize) {
    let mut n = n;
    while n >= 0x80 {
        // The low seven bits, and a sign that more follow.
        out.put_u8(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    out.put_u8(n.to_le_bytes()[0]);
}

fn put_tags(out: &mut BytesMut, tags: &BTreeSet<Tag>) {
    put_varint(out, tags.len());
    for tag in tags {
        out.put_u64(*tag);
    }
}

struct Input<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Input<'_> {
    const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, length: usize) -> Result<Bytes, NoSet> {
        if length > self.left() {
            return Err(NoSet::Damaged("it ends in the middle"));
        }
        let taken = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Ok(taken)
    }

    /// A count of things of at least `least` bytes each, so that no count makes room for more than there is.
    fn count(&mut self, least: usize) -> Result<usize, NoSet> {
        let mut n = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = self.take(1)?[0];
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(NoSet::Damaged("a number is not in its shortest form"));
                }
                let n = usize::try_from(n).map_err(|_| NoSet::Damaged("a count beyond memory"))?;
                let fits = n.checked_mul(least).is_some_and(|bytes| bytes <= self.left());
                return if fits { Ok(n) } else { Err(NoSet::Damaged("it ends in the middle")) };
            }
        }
        Err(NoSet::Damaged("a number that is too long"))
    }

    fn tags(&mut self) -> Result<BTreeSet<Tag>, NoSet> {
        let mut tags = BTreeSet::new();
        for _ in 0..self.count(8)? {
            let mut tag = [0; 8];
            tag.copy_from_slice(&self.take(8)?);
            let tag = Tag::from_be_bytes(tag);
            if tags.last().is_some_and(|last| *last >= tag) {
                return Err(NoSet::Damaged("tags out of order"));
            }
            tags.insert(tag);
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A replica of a set: what it does to its copy.
    #[derive(Debug, Clone)]
    enum Step {
        Add(u8),
        Remove(u8),
        MergeInto(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
        let step = prop_oneof![
            (0u8..4).prop_map(Step::Add),
            (0u8..4).prop_map(Step::Remove),
            (0usize..3).prop_map(Step::MergeInto),
        ];
        prop::collection::vec((0usize..3, step), 0..40)
    }

    /// Three copies after a history, as they come about: no tag is ever given twice.
    fn copies(steps: &[(usize, Step)]) -> [OrSet; 3] {
        let mut copies: [OrSet; 3] = Default::default();
        for ((at, step), tag) in steps.iter().zip(1..) {
            match step {
                Step::Add(item) => copies[*at].add_tagged(Bytes::from(vec![*item]), tag),
                Step::Remove(item) => drop(copies[*at].remove(&[*item])),
                Step::MergeInto(other) => copies[*other] = copies[*other].merge(&copies[*at]),
            }
        }
        copies
    }

    proptest! {
        #[test]
        fn merge_is_commutative_associative_and_idempotent(steps in steps()) {
            let [a, b, c] = copies(&steps);
            prop_assert_eq!(a.merge(&b), b.merge(&a));
            prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
            prop_assert_eq!(a.merge(&a), a.clone());
            prop_assert_eq!(a.merge(&OrSet::new()), a);
        }

        #[test]
        fn an_add_wins_over_a_remove_that_has_not_seen_it(steps in steps(), item in 0u8..4) {
            let [mut a, mut b, _] = copies(&steps);
            a.add_tagged(Bytes::from(vec![item]), 1_000_000);
            b.remove(&[item]);
            prop_assert!(a.merge(&b).contains(&[item]));
        }

        #[test]
        fn what_was_seen_and_removed_does_not_come_back(steps in steps(), item in 0u8..4) {
            let [a, b, _] = copies(&steps);
            let mut all = a.merge(&b);
            all.remove(&[item]);
            prop_assert!(!all.merge(&a).merge(&b).contains(&[item]));
        }

        #[test]
        fn a_set_survives_being_stored_and_has_one_form(steps in steps()) {
            let [a, _, _] = copies(&steps);
            let stored = a.encode();
            prop_assert_eq!(OrSet::decode(&stored), Ok(a));
            for cut in 1..stored.len() {
                prop_assert!(OrSet::decode(&stored.slice(..cut)).is_err());
            }
        }

        #[test]
        fn bytes_that_are_taken_are_the_one_form_of_a_set_and_none_make_it_panic(bytes: Vec<u8>) {
            for stored in [Bytes::from(bytes.clone()), [&[VERSION][..], &bytes].concat().into()] {
                if let Ok(set) = OrSet::decode(&stored)
                    && !stored.is_empty()
                {
                    prop_assert_eq!(set.encode(), stored);
                }
            }
        }
    }

    #[test]
    fn the_stored_format_is_the_one_that_is_described() {
        let mut set = OrSet::new();
        set.add_tagged(Bytes::from_static(b"b"), 7);
        set.add_tagged(Bytes::from_static(b"a"), 9);
        set.remove(b"a");
        let described = [&[1, 1, 1, b'b', 1][..], &7u64.to_be_bytes(), &[1], &9u64.to_be_bytes()].concat();
        assert_eq!(set.encode(), described);
        assert_eq!(OrSet::decode(&Bytes::from_static(&[2])), Err(NoSet::Version(2)));
    }
}
