//! How unlikely it is that a member that has not been heard of for so long still lives. Pure.
//!
//! The phi-accrual failure detector (Hayashibara, Défago, Yared, Katayama: The φ Accrual Failure Detector, SRDS 2004):
//! phi is -log10 of the chance that a sign of life comes even later than now, were the times between them spread
//! normally as they were of late. The opinion is this node's own; it never goes over the wire.

use std::collections::VecDeque;
use std::time::Duration;

/// Times between signs of life that are remembered of each member.
const WINDOW: usize = 64;
/// As if these had been seen before the first: of a new member one knows little.
const FIRST: [f64; 2] = [1.0, 3.0];
/// Spread, in seconds, that is taken at least: very even times would make a little delay a sign of death.
const LEAST_SPREAD: f64 = 0.5;
/// Seconds by which a sign may be late without any suspicion. By way of others news is late by whole rounds, more often
/// than a normal spread has it.
const TOLERATED: f64 = 3.0;
/// Seconds after which a member was away rather than late: such a time says nothing of how often it is heard of.
const AWAY: f64 = 10.0;

/// What is remembered of one member's signs of life.
#[derive(Debug, Clone)]
pub struct Detector {
    /// Seconds between signs.
    window: VecDeque<f64>,
    last: Duration,
}

impl Detector {
    /// Of a member that is heard of, or named, for the first time.
    pub fn new(now: Duration) -> Self {
        Self { window: VecDeque::from(FIRST), last: now }
    }

    /// A sign of life.
    pub fn heard(&mut self, now: Duration) {
        let time = self.silent(now).as_secs_f64();
        self.last = now;
        if time > AWAY {
            return;
        }
        if self.window.len() >= WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(time);
    }

    /// As if there had been a sign just now: this node itself stood still, and heard nobody.
    pub fn forgive(&mut self, now: Duration) {
        self.last = now;
    }

    /// Since the last sign.
    pub fn silent(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last)
    }

    /// How unlikely it is that it lives: 1 is a chance of one in ten, 8 one in a hundred million.
    pub fn phi(&self, now: Duration) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a few dozen")]
        let count = self.window.len() as f64;
        let mean = self.window.iter().sum::<f64>() / count;
        let spread = self.window.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / count;
        let late = self.silent(now).as_secs_f64() - mean - TOLERATED;
        let y = late / spread.sqrt().max(LEAST_SPREAD);
        // The logistic function for the normal distribution's tail, as other systems that use this detector have it. Far
        // out the chance is too small for a number: there its logarithm is reckoned.
        let power = y * (1.597_6 + 0.070_566 * y * y);
        if power > 30.0 {
            power / std::f64::consts::LN_10
        } else {
            power.exp().ln_1p() / std::f64::consts::LN_10
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn steady(every: u64, times: u64) -> Detector {
        let mut detector = Detector::new(at(0));
        (1..=times).for_each(|n| detector.heard(at(n * every)));
        detector
    }

    #[test]
    fn silence_makes_phi_rise_without_end_and_a_sign_ends_it() {
        let mut detector = steady(1000, 100);
        let phis: Vec<f64> = (0..600).map(|n| detector.phi(at(100_000 + n * 100))).collect();
        assert!(phis.is_sorted() && phis.iter().all(|phi| phi.is_finite()), "{phis:?}");
        assert!(phis[0] < 0.1 && phis[20] < 0.1, "a beat or two that is missing means nothing");
        let first = phis.iter().position(|phi| *phi >= 8.0).unwrap();
        assert!((50..100).contains(&first), "suspected after some seconds: {first}");
        assert!(phis[599] > 1000.0);
        detector.heard(at(160_000));
        assert!(detector.phi(at(160_000)) < 0.1);
    }

    #[test]
    fn who_is_seldom_heard_of_is_given_more_time() {
        let silent = |every: u64| {
            let detector = steady(every, 100);
            (0..1000).find(|n| detector.phi(at(100 * every + n * 100)) >= 8.0).unwrap()
        };
        assert!(silent(4000) > silent(1000));
    }

    #[test]
    fn the_window_is_bounded_and_old_times_are_forgotten() {
        let mut detector = steady(9000, 10);
        (1..=200).for_each(|n| detector.heard(at(90_000 + n * 1000)));
        assert_eq!(detector.window.len(), WINDOW);
        assert!(detector.phi(at(290_000 + 10_000)) >= 8.0);
        detector.heard(at(600_000));
        assert!(detector.phi(at(600_000 + 10_000)) >= 8.0, "that it was away for minutes is no measure");
    }

    #[test]
    fn of_a_new_member_little_is_known() {
        let detector = Detector::new(at(0));
        assert!(detector.phi(at(5000)) < 1.0 && detector.phi(at(20_000)) > 8.0);
        let mut detector = steady(1000, 10);
        detector.forgive(at(100_000));
        assert!(detector.phi(at(101_000)) < 1.0);
        assert_eq!(detector.silent(at(101_000)), at(1000));
    }
}
