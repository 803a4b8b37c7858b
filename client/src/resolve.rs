//! What to do with siblings: a function from all versions to the ones to go on with.
//!
//! Only the application knows what two concurrent carts have in common. These two are for those for whom it does not
//! matter; a union of what the values hold is the application's own [`Resolve`].

use crate::value::Sibling;

/// Chooses, or makes, what stands for all siblings.
pub trait Resolve {
    /// Called with at least one sibling. The result is written back by the caller with the context of the read, which
    /// replaces all of them.
    fn resolve(&self, siblings: Vec<Sibling>) -> Vec<Sibling>;
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
}
