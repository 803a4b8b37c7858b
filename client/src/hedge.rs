//! Whether a slow read is asked of a second coordinator too, and after how long.
//!
//! The wait is the 95th percentile of the reads of late: one in twenty is slower than that, and of those the second
//! answer is likely there first (Dean and Barroso, "The Tail at Scale", CACM 2013). A budget keeps hedges to a
//! twentieth of the reads whatever happens: of a store that is slow as a whole, nobody gains by asking it twice.

use std::time::Duration;

/// Reads that the percentile is taken of.
const WINDOW: usize = 512;
/// Reads after which a percentile means something.
const FEWEST: usize = 64;
/// The percentile is taken anew after so many reads.
const RENEWED: usize = 16;
/// A hedge for so many reads.
const READS_A_HEDGE: u32 = 20;
/// Hedges that may be saved up.
const SAVED: u32 = 10;
/// No hedge comes sooner: below it the network's own jitter is all that there is to see.
const LEAST: Duration = Duration::from_millis(1);

/// What is known of the reads of late.
#[derive(Debug, Default)]
pub struct Hedging {
    /// The last reads, in a ring.
    latencies: Vec<Duration>,
    next: usize,
    since_renewal: usize,
    delay: Option<Duration>,
    /// In twentieths of a hedge.
    budget: u32,
}

impl Hedging {
    /// A read was answered, `took` after it was first asked; with it comes a part of a hedge.
    pub fn answered(&mut self, took: Duration) {
        self.budget = self.budget.saturating_add(1).min(SAVED * READS_A_HEDGE);
        if self.latencies.len() < WINDOW {
            self.latencies.push(took);
        } else {
            self.latencies[self.next] = took;
        }
        self.next = (self.next + 1) % WINDOW;
        self.since_renewal += 1;
        if self.latencies.len() >= FEWEST && (self.delay.is_none() || self.since_renewal >= RENEWED) {
            self.since_renewal = 0;
            self.delay = Some(percentile_95(&self.latencies).max(LEAST));
        }
    }

    /// How long a read waits before a second coordinator is asked; never before enough is known.
    pub const fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// Takes a hedge from the budget; false if there is none.
    pub const fn take(&mut self) -> bool {
        let enough = self.budget >= READS_A_HEDGE;
        if enough {
            self.budget -= READS_A_HEDGE;
        }
        enough
    }
}

/// Of at least one.
fn percentile_95(latencies: &[Duration]) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() * 95 / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn nothing_is_hedged_before_enough_is_known() {
        let mut hedging = Hedging::default();
        for _ in 0..FEWEST - 1 {
            hedging.answered(ms(5));
            assert_eq!(hedging.delay(), None);
        }
        hedging.answered(ms(5));
        assert_eq!(hedging.delay(), Some(ms(5)));
    }

    #[test]
    fn the_wait_is_the_95th_percentile_of_the_last_reads() {
        let mut hedging = Hedging::default();
        for i in 0..WINDOW as u64 {
            hedging.answered(ms(i % 100));
        }
        let delay = hedging.delay().unwrap();
        assert!((ms(93)..=ms(96)).contains(&delay), "{delay:?}");
        // A store that became slow is not measured by what it was.
        for _ in 0..WINDOW {
            hedging.answered(ms(300));
        }
        assert_eq!(hedging.delay(), Some(ms(300)));
        for _ in 0..WINDOW {
            hedging.answered(Duration::ZERO);
        }
        assert_eq!(hedging.delay(), Some(LEAST));
    }

    #[test]
    fn hedges_are_a_twentieth_of_the_reads_and_few_are_saved_up() {
        let mut hedging = Hedging::default();
        assert!(!hedging.take());
        let mut hedges = 0;
        for _ in 0..10_000 {
            hedging.answered(ms(5));
            hedges += u32::from(hedging.take());
        }
        assert_eq!(hedges, 10_000 / READS_A_HEDGE);
        for _ in 0..10_000 {
            hedging.answered(ms(5));
        }
        let burst = (0..100).filter(|_| hedging.take()).count();
        assert_eq!(burst, SAVED as usize);
    }
}
