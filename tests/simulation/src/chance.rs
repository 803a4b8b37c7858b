//! What the seed decides: one sequence of numbers, drawn in the order in which things happen.

use std::time::Duration;

use dynamo_node::entropy::Entropy;

/// A source of chance. Clones draw from one sequence.
#[derive(Debug, Clone)]
pub struct Chance(pub Entropy);

impl Chance {
    /// The sequence of a seed.
    pub fn of(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    /// True once in `n` times.
    pub fn one_in(&self, n: usize) -> bool {
        self.0.below(n) == 0
    }

    /// A time of at least `from` and less than `to`, in microseconds.
    pub fn micros(&self, from: u64, to: u64) -> Duration {
        let span = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        Duration::from_micros(from + self.0.below(span) as u64)
    }

    /// One of these; nothing if there is none.
    pub fn pick<T: Clone>(&self, from: &[T]) -> Option<T> {
        from.get(self.0.below(from.len())).cloned()
    }
}
