//! How fast something goes, from samples: bytes and when they came. Pure: the caller brings the time.

use std::collections::VecDeque;
use std::time::Duration;

/// Bytes are counted by the second.
const SLOT: Duration = Duration::from_secs(1);
/// Seconds that the present rate is taken over.
const SLOTS: u64 = 10;

/// Counts bytes as they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    begun: Duration,
    /// The last seconds in which anything came, and how much.
    slots: VecDeque<(u64, u64)>,
    /// All bytes, and in how many seconds they came.
    total: (u64, u64),
}

impl Default for Rate {
    fn default() -> Self {
        Self::begun(Duration::ZERO)
    }
}

impl Rate {
    /// Nothing has come before `now`.
    pub const fn begun(now: Duration) -> Self {
        Self { begun: now, slots: VecDeque::new(), total: (0, 0) }
    }

    /// So many bytes came at `now`. Samples come in the order of their times.
    pub fn add(&mut self, bytes: u64, now: Duration) {
        if bytes == 0 {
            return;
        }
        let here = slot(now);
        self.total.0 = self.total.0.saturating_add(bytes);
        match self.slots.back_mut() {
            Some((last, sum)) if *last >= here => *sum = sum.saturating_add(bytes),
            _ => {
                self.slots.push_back((here, bytes));
                self.total.1 += 1;
            }
        }
        let first = first(here);
        while self.slots.front().is_some_and(|(slot, _)| *slot < first) {
            self.slots.pop_front();
        }
    }

    /// Bytes a second over the last ten seconds, or since it began. `None` within the first second: too early to say.
    pub fn at(&self, now: Duration) -> Option<u64> {
        let first = first(slot(now));
        let from = self.begun.max(Duration::from_secs(first));
        let over = now.checked_sub(from).filter(|over| *over >= SLOT)?;
        let bytes: u128 =
            self.slots.iter().filter(|(slot, _)| *slot >= first).map(|(_, sum)| u128::from(*sum)).sum();
        u64::try_from(bytes * 1000 / over.as_millis().max(1)).ok()
    }

    /// Bytes a second over those seconds in which anything came. `None` if nothing did.
    pub const fn mean(&self) -> Option<u64> {
        self.total.0.checked_div(self.total.1)
    }
}

/// How long so many bytes take at this rate. `None` if it is not known, or nothing comes.
pub fn left(bytes: u64, per_second: Option<u64>) -> Option<Duration> {
    let ms = (u128::from(bytes) * 1000).checked_div(per_second?.into())?;
    Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
}

const fn slot(now: Duration) -> u64 {
    now.as_secs()
}

/// The first second that counts.
const fn first(here: u64) -> u64 {
    here.saturating_sub(SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_unknown_at_first_right_from_then_on_and_zero_when_nothing_comes() {
        let mut rate = Rate::begun(s(7));
        rate.add(500, Duration::from_millis(7500));
        assert_eq!(rate.at(Duration::from_millis(7999)), None, "half a second says nothing");
        rate.add(500, s(8));
        assert_eq!(rate.at(s(8)), Some(1000), "from the first second on, and not a tenth of it");
        for second in 9..60 {
            rate.add(1000, s(second));
            assert!(rate.slots.len() <= 10, "only what counts is kept");
        }
        assert_eq!(rate.at(Duration::from_millis(59_999)), Some(1000));
        assert_eq!(rate.at(s(64)), Some(5000 / 9), "half of them without anything");
        assert_eq!(rate.at(s(69)), Some(0), "that nothing comes is known");
        assert_eq!(rate.mean(), Some(52_000 / 53), "pauses are no part of it");
        assert_eq!(Rate::begun(s(0)).mean(), None);
    }

    #[test]
    fn a_change_of_speed_shows_within_the_window() {
        let mut rate = Rate::begun(s(0));
        (0..30).for_each(|second| rate.add(100, s(second)));
        (30..40).for_each(|second| rate.add(900, s(second)));
        assert_eq!(rate.at(Duration::from_millis(39_999)), Some(9000 * 1000 / 9999));
    }

    #[test]
    fn what_is_left_is_unknown_where_the_rate_is() {
        assert_eq!(left(3000, Some(2000)), Some(Duration::from_millis(1500)));
        assert_eq!(left(0, Some(1)), Some(Duration::ZERO));
        assert_eq!([left(1, None), left(1, Some(0))], [None, None]);
        assert_eq!(left(u64::MAX, Some(1)), Some(Duration::from_millis(u64::MAX)));
    }
}
