//! What is stored, with the changes of one batch on top: reads see both, and the last operation can be undone.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::error::StoreError;
use super::{Limit, Read, Row, Space, WriteBatch};

/// Changes of one space: a new value, or `None` for removed.
type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// What a key's change was before: not changed at all, or changed to this.
type Undo = (Space, Bytes, Option<Option<Bytes>>);

/// A batch in the making over a store.
pub struct Overlay<'a> {
    below: &'a dyn Read,
    changes: [Changes; Space::COUNT],
    undo: Vec<Undo>,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// No changes yet.
    pub fn new(below: &'a dyn Read) -> Self {
        Self { below, changes: Default::default(), undo: Vec::new() }
    }

    /// Sets a row.
    pub fn put(&mut self, space: Space, key: Bytes, value: Bytes) {
        self.change(space, key, Some(value));
    }

    /// Removes a row.
    pub fn remove(&mut self, space: Space, key: Bytes) {
        self.change(space, key, None);
    }

    fn change(&mut self, space: Space, key: Bytes, to: Option<Bytes>) {
        let before = self.changes[space.index()].insert(key.clone(), to);
        self.undo.push((space, key, before));
    }

    /// Keeps all changes so far, whatever comes.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Takes back all changes since the last [`Overlay::keep`].
    pub fn roll_back(&mut self) {
        while let Some((space, key, before)) = self.undo.pop() {
            match before {
                Some(change) => self.changes[space.index()].insert(key, change),
                None => self.changes[space.index()].remove(&key),
            };
        }
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(Changes::is_empty)
    }

    /// The changes, to be written together.
    pub fn into_batch(self) -> WriteBatch {
        let spaces = Space::ALL.into_iter().zip(self.changes);
        let rows = spaces.flat_map(|(space, changes)| changes.into_iter().map(move |(k, v)| (space, k, v)));
        WriteBatch { rows: rows.collect(), reserve: false }
    }
}

impl Read for Overlay<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.changes[space.index()].get(key) {
            Some(change) => Ok(change.clone()),
            None => self.below.get(space, key),
        }
    }

    fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError> {
        let changes = &self.changes[space.index()];
        if is_empty(from, to) || changes.range::<[u8], _>((from, to)).next().is_none() {
            return self.below.range(space, from, to, limit);
        }
        // Removed rows make the stored ones fewer than they look, so read on until the limit is reached.
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let mut from = from.map(Bytes::copy_from_slice);
        loop {
            let start = from.as_ref().map(|key| &key[..]);
            if is_empty(start, to) {
                return Ok(rows);
            }
            let stored = self.below.range(space, start, to, limit)?;
            let whole = !limit.reached(stored.len(), stored.iter().map(|(k, v)| k.len() + v.len()).sum());
            // Changes after the last stored row that was read belong to the next turn.
            let last = stored.last().map(|(key, _)| key.clone());
            let end = match &last {
                Some(last) if !whole => Bound::Included(&last[..]),
                _ => to,
            };
            let mut merged: BTreeMap<Bytes, Option<Bytes>> =
                stored.into_iter().map(|(k, v)| (k, Some(v))).collect();
            merged.extend(changes.range::<[u8], _>((start, end)).map(|(k, v)| (k.clone(), v.clone())));
            for (key, value) in merged {
                let Some(value) = value else { continue };
                bytes += key.len() + value.len();
                rows.push((key, value));
                if limit.reached(rows.len(), bytes) {
                    return Ok(rows);
                }
            }
            match last {
                Some(last) if !whole => from = Bound::Excluded(last),
                _ => return Ok(rows),
            }
        }
    }
}

/// Whether no key can lie between these. `BTreeMap` panics on ranges that are the wrong way round.
pub(crate) fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(a), Bound::Included(b)) => a > b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a >= b,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{MemoryStore, Store};

    fn changes() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
        prop::collection::vec((0u8..12, prop::option::weighted(0.6, any::<u8>())), 0..12)
    }

    fn bounds() -> impl Strategy<Value = Bound<Vec<u8>>> {
        prop_oneof![
            Just(Bound::Unbounded),
            (0u8..12).prop_map(|key| Bound::Included(vec![key])),
            (0u8..12).prop_map(|key| Bound::Excluded(vec![key])),
        ]
    }

    fn rows(changes: &[(u8, Option<u8>)]) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        changes
            .iter()
            .map(|(key, value)| (Bytes::from(vec![*key]), value.map(|value| Bytes::from(vec![value]))))
    }

    fn change(overlay: &mut Overlay<'_>, changes: &[(u8, Option<u8>)]) {
        for (key, value) in rows(changes) {
            overlay.change(Space::Data, key, value);
        }
    }

    proptest! {
        #[test]
        fn it_reads_as_if_it_were_written(
            stored in changes(), kept in changes(), undone in changes(),
            from in bounds(), to in bounds(), rows_limit in 1usize..8, bytes in 1usize..20,
        ) {
            let (below, written) = (MemoryStore::new(), MemoryStore::new());
            for (store, all) in [(&below, &[&stored][..]), (&written, &[&stored, &kept])] {
                for (key, value) in all.iter().flat_map(|changes| rows(changes)) {
                    store.write(WriteBatch { rows: vec![(Space::Data, key, value)], reserve: false }).unwrap();
                }
            }
            let mut overlay = Overlay::new(&below);
            change(&mut overlay, &kept);
            overlay.keep();
            change(&mut overlay, &undone);
            overlay.roll_back();
            let (from, to) = (from.as_ref().map(|key| &key[..]), to.as_ref().map(|key| &key[..]));
            let limit = Limit { rows: rows_limit, bytes };
            prop_assert_eq!(overlay.range(Space::Data, from, to, limit), written.range(Space::Data, from, to, limit));
            for key in 0..12 {
                prop_assert_eq!(overlay.get(Space::Data, &[key]), written.get(Space::Data, &[key]));
            }
            below.write(overlay.into_batch()).unwrap();
            let all = |store: &MemoryStore| store.range(Space::Data, Bound::Unbounded, Bound::Unbounded, Limit::rows(99));
            prop_assert_eq!(all(&below), all(&written));
        }
    }
}
