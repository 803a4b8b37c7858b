//! Randomness, as a thing that is handed in: ids, waits and choices draw from it, and a simulation brings a seeded one.

use std::sync::{Arc, Mutex, PoisonError};

use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A source of random numbers. Cheap to clone; clones draw from one sequence.
#[derive(Debug, Clone)]
pub struct Entropy(Arc<Mutex<StdRng>>);

impl Entropy {
    /// From the operating system: what two nodes draw is never alike.
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// The same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// The next value, of any type that has an even distribution.
    pub fn draw<T>(&self) -> T
    where
        StandardUniform: Distribution<T>,
    {
        // Nothing panics while it draws, so a poisoned lock guards a whole generator.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&self, n: usize) -> usize {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if n == 0 { 0 } else { rng.random_range(0..n) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_one_sequence_that_clones_share() {
        let (one, same) = (Entropy::seeded(7), Entropy::seeded(7));
        let first: [u64; 2] = [one.draw(), one.clone().draw()];
        assert_eq!(first, [same.draw::<u64>(), same.draw()]);
        assert_ne!(first[0], Entropy::seeded(8).draw::<u64>());
        assert!((0..100).all(|_| one.below(3) < 3));
        assert_eq!(one.below(0), 0);
    }
}
