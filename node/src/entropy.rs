//! Randomness, as a thing that is handed in: ids, waits and choices draw from it, and a simulation brings a seeded one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A source of random numbers. Cheap to clone; clones draw from one sequence.
#[derive(Debug, Clone)]
pub struct Entropy {
    rng: Arc<Mutex<StdRng>>,
    /// What forks begin from, and how many there were.
    seed: u64,
    forks: Arc<AtomicU64>,
}

impl Entropy {
    /// From the operating system: what two nodes draw is never alike.
    pub fn from_os() -> Self {
        Self::of(rand::make_rng(), rand::random())
    }

    /// The same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self::of(StdRng::seed_from_u64(seed), seed)
    }

    fn of(rng: StdRng, seed: u64) -> Self {
        Self { rng: Arc::new(Mutex::new(rng)), seed, forks: Arc::default() }
    }

    /// A sequence of its own, another one each time, which takes nothing from this one: what draws from it leaves all
    /// other draws as they were. For choices and waits; it is no better than 64 bits.
    #[must_use]
    pub fn fork(&self) -> Self {
        let nth = self.forks.fetch_add(1, Ordering::Relaxed) + 1;
        Self::seeded(self.seed.rotate_left(32) ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next value, of any type that has an even distribution.
    pub fn draw<T>(&self) -> T
    where
        StandardUniform: Distribution<T>,
    {
        // Nothing panics while it draws, so a poisoned lock guards a whole generator.
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&self, n: usize) -> usize {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
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

    #[test]
    fn forks_differ_and_take_nothing_from_what_they_were_forked_from() {
        let (one, same) = (Entropy::seeded(7), Entropy::seeded(7));
        let two = |entropy: &Entropy| -> [u64; 2] { [entropy.fork().draw(), entropy.fork().draw()] };
        let drawn = two(&one);
        assert_ne!(drawn[0], drawn[1]);
        assert_eq!(one.draw::<u64>(), same.draw::<u64>());
        assert_eq!(drawn, two(&same));
        assert_ne!(drawn, two(&Entropy::seeded(8)));
    }
}
