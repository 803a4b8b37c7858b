//! How much of its time work in the background may take, judged by what requests in the foreground feel. Pure: the caller
//! brings the time.
//!
//! Small increase, multiplicative decrease, as TCP does it: each window in which the slowest hundredth of the requests
//! took much longer than it takes unloaded halves the share; each other one adds an eighth of it, and one without any
//! request a sixteenth of all the time. The share never falls below a floor, so work in the background always gets on.
//! Work that begins beside requests begins with a sixteenth: what too much of it costs is found out by a small step, not by the first seconds of the requests.
//!
//! The goal is that the slowest hundredth takes no more than 1.5 times what it takes unloaded, all in all. So a window
//! counts as slow from 1.3 times on: the share goes to and fro around that, and what lies beyond it is one step of it.
//!
//! What requests take *unloaded* is learnt while the background rests, or works at the floor only: there its part in it is
//! too small to show, so what is felt there is the requests' own doing, and no reason to rest.

use std::time::Duration;

/// A part of the time, in 256ths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(256);
    /// The least that is ever left.
    pub const FLOOR: Self = Self(1);
    /// With what work begins beside requests.
    pub const START: Self = Self(16);
    /// How much it grows with each window in which nobody asked for anything.
    const STEP: u32 = 16;

    /// An eighth more: small beside what requests feel already.
    const fn more(self) -> Self {
        let eighth = self.0 / 8;
        self.plus(if eighth > 0 { eighth } else { 1 })
    }

    const fn plus(self, step: u32) -> Self {
        let more = self.0 + step;
        if more > Self::ALL.0 { Self::ALL } else { Self(more) }
    }

    const fn half(self) -> Self {
        let half = self.0 / 2;
        if half < Self::FLOOR.0 { Self::FLOOR } else { Self(half) }
    }

    /// In 256ths; never 0.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// Between 0 and 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }

    /// How long to rest after work of this length.
    pub fn rest(self, work: Duration) -> Duration {
        work.saturating_mul(Self::ALL.0 - self.0) / self.0
    }
}

/// The shortest window that is judged.
const WINDOW: Duration = Duration::from_secs(1);
/// With fewer requests than this a window goes on: of fewer the slowest hundredth is a single one,
const ENOUGH: u32 = 100;
/// but no longer than this.
const LONGEST: Duration = Duration::from_secs(5);
/// Requests that take no longer than this are never taken for slow.
const QUICK: Duration = Duration::from_millis(1);
/// A window is slow if its slowest hundredth takes longer than unloaded by more than this.
const SLOWER: f64 = 1.3;
/// Work after a longer pause than this begins anew.
const PAUSE: Duration = Duration::from_secs(10);
/// Buckets of latencies: an eighth of a power of two each, from 64 microseconds to a minute.
const BUCKETS: usize = 160;
const EIGHTHS: f64 = 8.0;
const FIRST: f64 = 64e-6;

/// What happened in a window.
#[derive(Debug, Clone)]
struct Window {
    begun: Duration,
    /// How many requests took how long.
    took: [u32; BUCKETS],
    requests: u32,
    /// Requests that were turned away because too much was under way.
    refused: u32,
    /// Work was done in the background.
    worked: bool,
}

impl Window {
    const fn new(begun: Duration) -> Self {
        Self { begun, took: [0; BUCKETS], requests: 0, refused: 0, worked: false }
    }

    /// What all but the slowest hundredth stay below; of few requests, what all stay below.
    fn slowest(&self) -> Option<Duration> {
        let mut beyond = self.requests / 100;
        let slowest = self.took.iter().enumerate().rev().find(|(_, count)| {
            let here = **count;
            let found = here > beyond;
            beyond = beyond.saturating_sub(here);
            found
        });
        slowest.map(|(bucket, _)| upper(bucket))
    }
}

/// Since the last pause.
fn lately(at: Option<Duration>, now: Duration) -> bool {
    at.is_some_and(|at| now.saturating_sub(at) < PAUSE)
}

/// The bucket of a latency.
fn bucket(took: Duration) -> usize {
    let eighths = (took.as_secs_f64() / FIRST).max(1.0).log2() * EIGHTHS;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 160")]
    let bucket = eighths as usize;
    bucket.min(BUCKETS - 1)
}

/// The upper end of a bucket.
fn upper(bucket: usize) -> Duration {
    let eighths = u32::try_from(bucket + 1).unwrap_or(0);
    Duration::from_secs_f64(FIRST * (f64::from(eighths) / EIGHTHS).exp2())
}

/// The rule; see the module.
#[derive(Debug, Clone)]
pub struct Rule {
    share: Share,
    /// What the slowest hundredth takes unloaded, once that is known.
    unloaded: Option<Duration>,
    window: Window,
    /// When the last request was answered, and the last piece of work done.
    answered: Option<Duration>,
    worked: Option<Duration>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            share: Share::ALL,
            unloaded: None,
            window: Window::new(Duration::ZERO),
            answered: None,
            worked: None,
        }
    }
}

impl Rule {
    /// A request in the foreground has been answered, and took so long.
    pub fn answered(&mut self, took: Duration, now: Duration) {
        self.judge(now);
        self.answered = Some(now);
        self.window.took[bucket(took)] += 1;
        self.window.requests += 1;
    }

    /// A request in the foreground was turned away because too much was under way.
    pub fn refused(&mut self, now: Duration) {
        self.judge(now);
        self.window.requests += 1;
        self.window.refused += 1;
        self.window.took[BUCKETS - 1] += 1;
    }

    /// A piece of work has been done in the background: its allowance of time from now on.
    pub fn worked(&mut self, now: Duration) -> Share {
        self.judge(now);
        if self.is_asked(now) && !lately(self.worked, now) {
            self.share = self.share.min(Share::START);
        }
        self.worked = Some(now);
        self.window.worked = true;
        self.share
    }

    /// Whether requests have come lately: then work goes in small pieces, for whatever comes during one waits for all of
    /// it.
    pub fn is_asked(&self, now: Duration) -> bool {
        lately(self.answered, now)
    }

    /// The share that stands.
    pub fn share(&mut self, now: Duration) -> Share {
        self.judge(now);
        self.share
    }

    /// Ends the window if it has told enough, and every quiet one since.
    fn judge(&mut self, now: Duration) {
        let lasted = now.saturating_sub(self.window.begun);
        // One that was turned away says all that there is to say.
        let told = self.window.requests == 0 || self.window.requests >= ENOUGH || self.window.refused > 0;
        if lasted < WINDOW || !told && lasted < LONGEST {
            return;
        }
        let over = std::mem::replace(&mut self.window, Window::new(now));
        self.over(&over);
        // The time since was quiet, or its requests would have ended the window.
        let judged = if over.requests == 0 { WINDOW } else { LONGEST };
        let quiet = lasted.saturating_sub(judged).as_secs() / WINDOW.as_secs();
        for _ in 0..quiet.min(u64::from(Share::ALL.0 / Share::STEP)) {
            self.share = self.share.plus(Share::STEP);
        }
    }

    fn over(&mut self, window: &Window) {
        let Some(slowest) = window.slowest() else {
            self.share = self.share.plus(Share::STEP);
            return;
        };
        if !window.worked || self.share == Share::FLOOR {
            // A refusal says nothing of how long requests take.
            let learnt = self.unloaded.map_or(slowest, |unloaded| (unloaded * 7 + slowest) / 8);
            if window.refused == 0 {
                self.unloaded = Some(learnt);
            }
        }
        let slow = match self.unloaded {
            Some(unloaded) => slowest > QUICK && slowest > unloaded.mul_f64(SLOWER),
            // Nothing is known yet: find out first.
            None => slowest > QUICK,
        };
        self.share = if slow || window.refused > 0 { self.share.half() } else { self.share.more() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A node: requests at an even rate, and work in the background whose pieces take a while each. What requests take
    /// grows with the part of the time that the background has. Returns the pieces done in each second.
    fn node(
        rule: &mut Rule,
        from: u64,
        seconds: u64,
        requests: u64,
        unloaded: Duration,
        burden: u32,
    ) -> Vec<u32> {
        let piece = 10 * MS;
        let mut pieces = Vec::new();
        let mut next = Duration::from_secs(from);
        for second in from..from + seconds {
            let mut done = 0;
            let load = rule.share.ratio();
            for ms in 0..1000 {
                let now = Duration::from_secs(second) + MS * ms;
                if u64::from(ms) * requests / 1000 != u64::from(ms + 1) * requests / 1000 {
                    rule.answered(unloaded.mul_f64(1.0 + f64::from(burden) * load), now);
                }
                if now >= next {
                    done += 1;
                    next = now + piece + rule.worked(now).rest(piece);
                }
            }
            pieces.push(done);
        }
        pieces
    }

    #[test]
    fn without_requests_the_background_has_all_the_time() {
        let mut rule = Rule::default();
        assert_eq!(node(&mut rule, 0, 5, 0, MS, 0), [100; 5]);
        assert_eq!(rule.share, Share::ALL);
        assert_eq!(Share::ALL.rest(MS), Duration::ZERO);
    }

    #[test]
    fn lesson_9_a_repair_storm_gives_way_to_requests_and_still_gets_on() {
        let mut rule = Rule::default();
        // What requests take is learnt while nothing goes on.
        for n in 0..200 {
            rule.answered(5 * MS, 10 * MS * n);
        }
        // A disk is lost: with all the time, repair makes requests twenty times as slow.
        let storm = node(&mut rule, 2, 60, 100, 5 * MS, 20);
        let late: u32 = storm[20..].iter().sum();
        assert!(late <= 100 * 40 / 8, "{late} pieces in 40 s: at most an eighth of the time");
        assert!(
            storm[20..].chunks(5).all(|some| some.iter().sum::<u32>() > 0),
            "it always gets on: {storm:?}"
        );
        // The requests end, and it has all the time again.
        let calm = node(&mut rule, 62, 30, 0, 5 * MS, 20);
        assert_eq!(calm[25..], [100; 5]);
    }

    /// Latencies that vary as those of a store do: most near the least, one in fifty three times as long.
    fn noisy(seed: &mut u64, unloaded: Duration) -> Duration {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = f64::from(u32::try_from(*seed >> 33).unwrap()) / f64::from(1u32 << 31);
        unloaded.mul_f64(0.5 - draw.max(1e-9).ln() * 0.6)
    }

    fn slowest_hundredth(mut took: Vec<Duration>) -> Duration {
        took.sort_unstable();
        took[took.len() * 99 / 100]
    }

    /// A node under 200 requests a second, before a move and during it: the slowest hundredth of both, and the mean share.
    /// Requests take longer by the part of the time that the move has, `burden` times as long at most.
    fn moved(burden: f64, seconds: u64, mut seed: u64) -> (f64, f64) {
        let mut rule = Rule::default();
        let (mut before, mut during, mut shares) = (Vec::new(), Vec::new(), 0.0);
        for n in 0..200 * (30 + seconds) {
            let now = Duration::from_millis(5 * n);
            let moving = n >= 200 * 30;
            let share = if moving { rule.worked(now).ratio() } else { 0.0 };
            let took = noisy(&mut seed, 8 * MS).mul_f64(1.0 + (burden - 1.0) * share);
            rule.answered(took, now);
            if moving { &mut during } else { &mut before }.push(took);
            shares += share;
        }
        let ratio = slowest_hundredth(during).as_secs_f64() / slowest_hundredth(before).as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "some thousands")]
        let share = shares / (200 * seconds) as f64;
        (ratio, share)
    }

    #[test]
    fn the_slowest_hundredth_of_a_whole_move_stays_within_one_and_a_half_times_what_it_was() {
        for seed in 1..=20 {
            // With all the time the move would make every request two, four, ten times as slow.
            for burden in [2.0, 4.0, 10.0] {
                let (ratio, share) = moved(burden, 120, seed);
                assert!(ratio <= 1.5, "seed {seed}, burden {burden}: {ratio:.2} with a share of {share:.2}");
                assert!(share > 0.01, "it gets on: {share}");
            }
            // One that nobody feels is not held up for long by what requests do by themselves.
            let (ratio, share) = moved(1.0, 120, seed);
            assert!(share > 0.2 && ratio < 1.2, "seed {seed}: {share:.2}, {ratio:.2}");
        }
    }

    #[test]
    fn work_begins_with_little_beside_requests_and_with_all_when_there_are_none() {
        let mut rule = Rule::default();
        assert_eq!(rule.worked(Duration::from_secs(1)), Share::ALL);
        for n in 0..100u32 {
            rule.answered(MS, Duration::from_secs(20) + 10 * MS * n);
        }
        assert_eq!(rule.worked(Duration::from_secs(21)), Share::START);
        for n in 0..600u32 {
            let now = Duration::from_secs(21) + 10 * MS * n;
            rule.answered(MS, now);
            rule.worked(now);
        }
        assert!(rule.share > Share::START, "it goes on where it was");
        // Both have rested since.
        assert_eq!(rule.worked(Duration::from_mins(2)), Share::ALL);
    }

    #[test]
    fn requests_that_are_slow_by_themselves_do_not_starve_it() {
        let mut rule = Rule::default();
        for n in 0..200 {
            rule.answered(5 * MS, 10 * MS * n);
        }
        // From now on they are large, and the background has no part in that.
        let pieces = node(&mut rule, 2, 120, 100, 50 * MS, 0);
        assert_eq!(pieces[110..].iter().sum::<u32>(), 1000, "{pieces:?}");
    }

    #[test]
    fn a_start_into_a_storm_is_careful_until_it_knows_better() {
        let mut rule = Rule::default();
        let pieces = node(&mut rule, 0, 60, 100, 5 * MS, 20);
        assert!(pieces[20..].iter().sum::<u32>() <= 100 * 40 / 8, "{pieces:?}");
    }

    #[test]
    fn refused_requests_halve_it_down_to_the_floor_however_quick_the_others_are() {
        let mut rule = Rule::default();
        for second in 0..12 {
            for n in 0..50 {
                rule.answered(MS, Duration::from_secs(second) + 20 * MS * n);
            }
            rule.refused(Duration::from_millis(second * 1000 + 999));
            rule.worked(Duration::from_millis(second * 1000 + 999));
        }
        assert_eq!(rule.share(Duration::from_secs(12)), Share::FLOOR);
        assert!(Share::FLOOR.rest(MS) < Duration::from_millis(300));
        // Nothing more is heard: it comes back by itself.
        assert_eq!(rule.share(Duration::from_mins(1)), Share::ALL);
    }

    #[test]
    fn few_requests_are_judged_together_and_one_slow_one_among_hundreds_says_nothing() {
        let mut rule = Rule::default();
        for n in 0..1000u32 {
            rule.answered(5 * MS, 10 * MS * n);
        }
        for n in 1000..6000u32 {
            rule.worked(10 * MS * n);
            rule.answered(if n % 400 == 0 { 900 * MS } else { 5 * MS }, 10 * MS * n);
        }
        assert_eq!(rule.share, Share::ALL);
        for second in 60..65 {
            rule.worked(Duration::from_secs(second));
            rule.answered(90 * MS, Duration::from_secs(second));
        }
        assert_eq!(rule.share, Share::ALL, "not yet told enough");
        assert!(rule.share(Duration::from_secs(66)) < Share::ALL);
    }

    #[test]
    fn any_latency_has_a_bucket_that_reaches_it() {
        for took in [0, 1, 63, 64, 65, 1000, 123_456, 9_999_999, 50_000_000].map(Duration::from_micros) {
            assert!(upper(bucket(took)) >= took, "{took:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }
}
