//! What one key must still show, seen from its single writer, and from a verifier.
//!
//! The rule: each acknowledged write is among the surviving versions, or one of those was written with a context that
//! covered it. A version says itself which acknowledged writes its context covered ([`Mark::covers`]), and the writer
//! only says so when it knows: from the answer to the covered write, or from a read that showed it.
//!
//! [`Mark::covers`]: crate::value::Mark::covers

use dynamo_client::Context;

use crate::value::Mark;

/// The acknowledged writes that the surviving versions neither are nor cover.
pub fn missing(acknowledged: &[u64], survivors: &[Mark]) -> Vec<u64> {
    let covered = survivors.iter().map(|s| s.covers).max().unwrap_or(0);
    let shown = |sequence: u64| sequence <= covered || survivors.iter().any(|s| s.sequence == sequence);
    acknowledged.iter().copied().filter(|&sequence| !shown(sequence)).collect()
}

/// What the next write of a key is sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Of this write.
    pub sequence: u64,
    /// What its context is known to cover.
    pub covers: u64,
    /// The context.
    pub context: Context,
}

/// One key, as its writer knows it.
#[derive(Debug, Clone, Default)]
pub struct History {
    attempts: u64,
    /// The acknowledged writes that no later acknowledged one covers, in order.
    standing: Vec<u64>,
    context: Context,
    covers: u64,
    unsure: bool,
}

impl History {
    /// Whether any write of it was acknowledged.
    pub const fn exists(&self) -> bool {
        !self.standing.is_empty()
    }

    /// Whether the next write should be preceded by a read: other versions may stand beside what was last written.
    pub const fn unsure(&self) -> bool {
        self.unsure
    }

    /// Begins a write. Its sequence is used up, whatever becomes of it.
    pub fn attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt { sequence: self.attempts, covers: self.covers, context: self.context.clone() }
    }

    /// The write was acknowledged; `context` is there if it is the only version left.
    pub fn acknowledged(&mut self, attempt: &Attempt, context: Option<Context>) {
        self.standing.retain(|&sequence| sequence > attempt.covers);
        let alone = self.standing.is_empty();
        self.standing.push(attempt.sequence);
        match context {
            Some(context) => {
                self.context = context;
                // With others standing, the new context is known to cover no more than what it was made from.
                self.covers = if alone { attempt.sequence } else { attempt.covers };
                self.unsure = !alone;
            }
            None => self.unsure = true,
        }
    }

    /// The write was not acknowledged: it may appear at any time, or never.
    pub const fn failed(&mut self) {
        self.unsure = true;
    }

    /// A read returned these versions, and `context` covers them. Returns whether an acknowledged write was missing:
    /// a read may be behind while members come and go.
    pub fn read(&mut self, survivors: &[Mark], context: Context) -> bool {
        let missing = missing(&self.standing, survivors);
        let covered = survivors.iter().map(|s| s.covers).max().unwrap_or(0);
        if missing.is_empty() {
            self.covers = covered.max(self.standing.last().copied().unwrap_or(0));
            self.context = context;
            self.unsure = false;
        } else if covered >= self.covers {
            self.covers = covered;
            self.context = context;
        }
        !missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(sequence: u64, covers: u64) -> Mark {
        Mark { writer: 0, index: 0, sequence, covers }
    }

    fn context(byte: u8) -> Context {
        Context(vec![byte].into())
    }

    #[test]
    fn a_write_is_found_as_a_version_or_as_covered_by_one() {
        assert_eq!(missing(&[1, 2, 4], &[mark(4, 2)]), [0u64; 0]);
        assert_eq!(
            missing(&[1, 2, 4], &[mark(5, 2)]),
            [4],
            "a later write that had not seen it does not replace it"
        );
        assert_eq!(missing(&[1, 2, 4], &[mark(5, 2), mark(4, 2)]), [0u64; 0]);
        assert_eq!(missing(&[1, 2], &[]), [1, 2]);
        assert_eq!(missing(&[], &[]), [0u64; 0]);
    }

    #[test]
    fn writes_in_a_row_cover_each_other() {
        let mut history = History::default();
        for n in 1..=3 {
            let attempt = history.attempt();
            assert_eq!((attempt.sequence, attempt.covers), (n, n - 1));
            history.acknowledged(&attempt, Some(context(1)));
            assert!(!history.unsure());
        }
        assert_eq!(history.standing, [3]);
    }

    #[test]
    fn after_a_failure_nothing_more_is_claimed_than_is_known() {
        let mut history = History::default();
        let first = history.attempt();
        history.acknowledged(&first, Some(context(1)));
        history.attempt();
        history.failed();
        assert!(history.unsure());
        let third = history.attempt();
        assert_eq!((third.sequence, third.covers), (3, 1));
        history.acknowledged(&third, None);
        let fourth = history.attempt();
        assert_eq!(
            fourth.covers, 1,
            "the answer had no context: the third is not covered by what is sent next"
        );
        history.acknowledged(&fourth, Some(context(2)));
        assert_eq!(history.standing, [3, 4]);
        assert_eq!(history.attempt().covers, 1, "the third stands beside it, perhaps on other members only");
    }

    #[test]
    fn a_read_that_is_behind_is_told_and_not_built_upon() {
        let mut history = History::default();
        for _ in 0..2 {
            let attempt = history.attempt();
            history.acknowledged(&attempt, Some(context(1)));
        }
        assert!(history.read(&[mark(1, 0)], Context::default()));
        assert_eq!(history.attempt().covers, 2, "what the own writes said is better");
        assert!(!history.read(&[mark(2, 1)], Context::default()));
        assert!(history.read(&[], Context::default()));
    }

    /// A key's versions as the store keeps them: a put removes those its context covers.
    #[derive(Default, Clone)]
    struct Store(Vec<Mark>, u64);

    proptest! {
        /// Whatever fails, and whatever context is withheld, a store that keeps its promise is never accused.
        #[test]
        fn a_right_store_is_never_accused(steps in prop::collection::vec((0u8..4, any::<bool>()), 1..60)) {
            let mut history = History::default();
            let mut store = Store::default();
            let mut acknowledged = Vec::new();
            // Contexts name the sequences they cover, so that the model can apply them.
            let seen = |store: &Store| Context(store.0.iter().flat_map(|m| m.sequence.to_be_bytes()).collect());
            for (step, applied) in steps {
                if step == 3 {
                    let survivors = store.0.clone();
                    prop_assert!(!history.read(&survivors, seen(&store)));
                    continue;
                }
                let attempt = history.attempt();
                if step < 2 || applied {
                    let covered: Vec<u64> = attempt.context.0.chunks_exact(8)
                        .map(|c| u64::from_be_bytes(c.try_into().unwrap())).collect();
                    store.0.retain(|m| !covered.contains(&m.sequence));
                    store.0.push(mark(attempt.sequence, attempt.covers));
                    store.1 += 1;
                }
                if step < 2 {
                    acknowledged.push(attempt.sequence);
                    let context = (store.0.len() == 1).then(|| seen(&store));
                    history.acknowledged(&attempt, context);
                } else {
                    history.failed();
                }
                prop_assert_eq!(missing(&acknowledged, &store.0), Vec::<u64>::new());
            }
        }
    }
}
