//! What to do with siblings: a function from all versions to the ones to go on with.
//!
//! Only the application knows what two concurrent carts have in common: its own function from siblings to siblings is a
//! [`Resolve`] as well as those here.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::orset::OrSet;
use crate::value::Sibling;

/// Chooses, or makes, what stands for all siblings.
pub trait Resolve {
    /// Called with at least one sibling. The result is written back by the caller with the context of the read, which
    /// replaces all of them.
    fn resolve(&self, siblings: Vec<Sibling>) -> Vec<Sibling>;
}

impl<F: Fn(Vec<Sibling>) -> Vec<Sibling>> Resolve for F {
    fn resolve(&self, siblings: Vec<Sibling>) -> Vec<Sibling> {
        self(siblings)
    }
}

/// Leaves them as they are: the application sees the conflict.
#[derive(Debug, Clone, Copy, Default)]
pub struct TakeAll;

impl Resolve for TakeAll {
    fn resolve(&self, siblings: Vec<Sibling>) -> Vec<Sibling> {
        siblings
    }
}

/// Keeps the one with the latest wall clock of its coordinator, and of equal ones the greatest value, so that all
/// clients choose alike. The others are acknowledged writes that are thrown away.
#[derive(Debug, Clone, Copy, Default)]
pub struct LastWriter;

impl Resolve for LastWriter {
    fn resolve(&self, siblings: Vec<Sibling>) -> Vec<Sibling> {
        let last =
            siblings.into_iter().max_by(|a, b| (a.written_at_ms, &a.value).cmp(&(b.written_at_ms, &b.value)));
        last.into_iter().collect()
    }
}

/// Takes each value for a set and makes their union. No add is lost, but an item that one side has removed comes back
/// with the other side's: see [`ObservedRemove`] for a set in which it does not.
#[derive(Debug, Clone, Copy)]
pub struct Union {
    /// The items of a value.
    pub items: fn(&Bytes) -> Vec<Bytes>,
    /// The value of these items.
    pub value: fn(&BTreeSet<Bytes>) -> Bytes,
}

impl Union {
    /// Of values that hold one item a line.
    pub const LINES: Self = Self {
        items: |value| {
            value
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| value.slice_ref(line))
                .collect()
        },
        value: |items| {
            let mut value = Vec::new();
            for item in items {
                value.extend_from_slice(item);
                value.push(b'\n');
            }
            value.into()
        },
    };
}

impl Resolve for Union {
    fn resolve(&self, siblings: Vec<Sibling>) -> Vec<Sibling> {
        let items: BTreeSet<Bytes> =
            siblings.iter().flat_map(|sibling| (self.items)(&sibling.value)).collect();
        joined(&siblings, (self.value)(&items))
    }
}

/// Merges values that are [`OrSet`]s. Where one is none they are left as they are, since a guess would lose it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObservedRemove;

impl Resolve for ObservedRemove {
    fn resolve(&self, siblings: Vec<Sibling>) -> Vec<Sibling> {
        match OrSet::of_siblings(siblings.iter().map(|sibling| &sibling.value)) {
            Ok(set) => joined(&siblings, set.encode()),
            Err(_) => siblings,
        }
    }
}

/// One version in the place of these: as late as the latest, and as lasting as the most lasting.
fn joined(siblings: &[Sibling], value: Bytes) -> Vec<Sibling> {
    let Some(written_at_ms) = siblings.iter().map(|sibling| sibling.written_at_ms).max() else {
        return Vec::new();
    };
    let lasting = siblings.iter().any(|sibling| sibling.expires_at_ms.is_none());
    let latest = siblings.iter().filter_map(|sibling| sibling.expires_at_ms).max();
    vec![Sibling { value, written_at_ms, expires_at_ms: latest.filter(|_| !lasting) }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sibling(value: &'static str, written_at_ms: u64) -> Sibling {
        Sibling { value: value.into(), written_at_ms, expires_at_ms: None }
    }

    #[test]
    fn the_last_writer_is_the_same_whatever_the_order() {
        let (a, b, c) = (sibling("a", 7), sibling("b", 9), sibling("c", 9));
        for order in [[&a, &b, &c], [&c, &b, &a], [&b, &c, &a]] {
            let siblings = order.into_iter().cloned().collect();
            assert_eq!(LastWriter.resolve(siblings), std::slice::from_ref(&c));
        }
    }

    #[test]
    fn take_all_loses_none() {
        let all = vec![sibling("a", 7), sibling("b", 9)];
        assert_eq!(TakeAll.resolve(all.clone()), all);
    }

    #[test]
    fn a_union_has_every_item_and_one_form_whatever_the_order() {
        let (a, b) = (sibling("milk\neggs\n", 7), sibling("eggs\nbread\n", 9));
        for order in [vec![a.clone(), b.clone()], vec![b.clone(), a.clone()]] {
            assert_eq!(Union::LINES.resolve(order), [sibling("bread\neggs\nmilk\n", 9)]);
        }
        let short = Sibling { expires_at_ms: Some(99), ..a };
        assert_eq!(Union::LINES.resolve(vec![short.clone()])[0].expires_at_ms, Some(99));
        assert_eq!(Union::LINES.resolve(vec![short, b])[0].expires_at_ms, None, "one of them lasts");
    }

    #[test]
    fn an_observed_remove_holds_and_what_is_no_set_is_left_alone() {
        let mut set = OrSet::new();
        set.add("milk");
        let mut without = set.clone();
        without.remove(b"milk");
        let version = |set: &OrSet| Sibling { value: set.encode(), ..sibling("", 7) };
        let resolved = ObservedRemove.resolve(vec![version(&set), version(&without)]);
        assert_eq!(resolved, [version(&without)]);
        let odd = vec![version(&set), sibling("text", 9)];
        assert_eq!(ObservedRemove.resolve(odd.clone()), odd);
    }

    #[test]
    fn an_own_function_is_a_resolver() {
        let longest = |siblings: Vec<Sibling>| -> Vec<Sibling> {
            siblings.into_iter().max_by_key(|sibling| sibling.value.len()).into_iter().collect()
        };
        assert_eq!(longest.resolve(vec![sibling("a", 9), sibling("bb", 7)]), [sibling("bb", 7)]);
    }
}
