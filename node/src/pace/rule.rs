//! How much of its time work in the background may take, judged by what requests in the foreground feel. Pure: the caller
//! brings the time.
//!
//! The goal is that the slowest hundredth of the requests takes no more than 1.5 times what it takes unloaded. So the share
//! follows that hundredth itself: each request that takes longer than 1.35 times the slowest hundredth unloaded takes an
//! eighth from the share, and each other one gives back a ninety-ninth of that. It stands still where one in a hundred is
//! slow, and no request alone says much (stochastic approximation of a quantile; Robbins and Monro, 1951). Both count by
//! the time between requests, so that the share grows by an eighth a second whatever their rate; with few of them, each
//! slow one takes half at the most.
//!
//! The share never falls below a floor, so work in the background always gets on. Work that begins beside requests begins
//! with a sixteenth: what too much of it costs is found out by small steps, not by the first seconds of the requests.
//!
//! What requests take *unloaded* is learnt while the background rests, or has worked at the floor only for some time:
//! there its part in it is too small to show, so what is felt there is the requests' own doing, and no reason to rest.

use std::time::Duration;

use super::latencies::Latencies;

/// A part of the time, in 256ths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(256);
    /// The least that is ever left.
    pub const FLOOR: Self = Self(4);
    /// With what work begins beside requests.
    pub const START: Self = Self(16);
    /// The nearest to this part of the time.
    fn of(level: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 256")]
        let parts = (level * f64::from(Self::ALL.0)).round() as u32;
        Self(parts.clamp(Self::FLOOR.0, Self::ALL.0))
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

/// Requests that take no longer than this are never taken for slow.
const QUICK: Duration = Duration::from_millis(1);
/// A request is slow if it takes longer than the slowest hundredth unloaded by more than this.
const SLOWER: f64 = 1.35;
/// By how much, of itself, the share grows in a second in which no request is slow.
const GROWTH: f64 = 1.0 / 8.0;
/// How many requests that are not slow make up for one that is.
const PER_SLOW: f64 = 99.0;
/// The longest time that a request speaks for.
const LONGEST: f64 = 1.0;
/// How much the newest says of how far requests are apart.
const NEWEST: f64 = 0.02;
/// For so long what work has left behind (tables to be merged, pages to be written) may still be felt.
const CALM: Duration = Duration::from_secs(5);
/// Work after a longer pause than this begins anew.
const PAUSE: Duration = Duration::from_secs(10);
/// How much of all the time each second gives back in which nobody asks for anything.
const STEP: f64 = 1.0 / 16.0;

/// The rule; see the module.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The share, as finely as it moves.
    level: f64,
    unloaded: Latencies,
    /// The longest that is not slow, once that is known and for as long as nothing is learnt.
    bound: Option<Duration>,
    /// Seconds between two requests, lately.
    apart: f64,
    /// When the last request was answered, the last piece of work done, and the last above the floor.
    answered: Option<Duration>,
    worked: Option<Duration>,
    burdened: Option<Duration>,
    /// Until when silence has been counted.
    silent: Duration,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            level: 1.0,
            unloaded: Latencies::default(),
            bound: None,
            apart: LONGEST,
            answered: None,
            worked: None,
            burdened: None,
            silent: Duration::ZERO,
        }
    }
}

/// Since the last pause.
fn lately(at: Option<Duration>, now: Duration) -> bool {
    at.is_some_and(|at| now.saturating_sub(at) < PAUSE)
}

impl Rule {
    /// A request in the foreground has been answered, and took so long.
    pub fn answered(&mut self, took: Duration, now: Duration) {
        self.came(now);
        if self.burdened.is_none_or(|at| now.saturating_sub(at) >= CALM) {
            self.unloaded.add(took, now);
            self.bound = None;
        }
        if !lately(self.worked, now) {
            return;
        }
        let growth = GROWTH * self.apart;
        if took > self.bound() {
            self.scale((-growth * PER_SLOW).exp().max(0.5));
        } else {
            self.scale(growth.exp());
        }
    }

    /// A request in the foreground was turned away because too much was under way. It says nothing of how long requests
    /// take.
    pub fn refused(&mut self, now: Duration) {
        self.came(now);
        self.scale(0.5);
    }

    /// A piece of work has been done in the background: its allowance of time from now on.
    pub fn worked(&mut self, now: Duration) -> Share {
        self.hush(now);
        if self.is_asked(now) && !lately(self.worked, now) {
            self.level = Share::START.ratio();
        }
        self.worked = Some(now);
        let share = Share::of(self.level);
        if share > Share::FLOOR {
            self.burdened = Some(now);
        }
        share
    }

    /// Whether requests have come lately: then work goes in small pieces, for whatever comes during one waits for all of
    /// it.
    pub fn is_asked(&self, now: Duration) -> bool {
        lately(self.answered, now)
    }

    /// The share that stands.
    pub fn share(&mut self, now: Duration) -> Share {
        self.hush(now);
        Share::of(self.level)
    }

    /// A request has come to its end.
    fn came(&mut self, now: Duration) {
        self.hush(now);
        if let Some(before) = self.answered {
            let apart = now.saturating_sub(before).as_secs_f64().min(LONGEST);
            self.apart += (apart - self.apart) * NEWEST;
        }
        self.answered = Some(now);
        self.silent = now;
    }

    /// Gives back what the silence since the last request is worth.
    fn hush(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.silent).as_secs();
        self.silent += Duration::from_secs(seconds);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.level = f64::from(seconds).mul_add(STEP, self.level).min(1.0);
    }

    /// The longest that a request may take without being slow.
    fn bound(&mut self) -> Duration {
        // Nothing is known at first: find out.
        let unloaded = &self.unloaded;
        let learnt = || unloaded.slowest_hundredth().map_or(QUICK, |took| took.mul_f64(SLOWER).max(QUICK));
        *self.bound.get_or_insert_with(learnt)
    }

    fn scale(&mut self, by: f64) {
        self.level = (self.level * by).clamp(Share::FLOOR.ratio(), 1.0);
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
            let load = rule.level;
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
        assert_eq!(Share::of(rule.level), Share::ALL);
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
        assert!(Share::of(rule.level) > Share::START, "it goes on where it was");
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
    fn one_slow_request_among_hundreds_says_nothing_and_five_of_five_say_a_lot() {
        let mut rule = Rule::default();
        for n in 0..1000u32 {
            rule.answered(5 * MS, 10 * MS * n);
        }
        for n in 1000..6000u32 {
            rule.worked(10 * MS * n);
            rule.answered(if n % 400 == 0 { 900 * MS } else { 5 * MS }, 10 * MS * n);
        }
        assert_eq!(Share::of(rule.level), Share::ALL);
        for n in 6000..6005u32 {
            rule.worked(10 * MS * n);
            rule.answered(90 * MS, 10 * MS * n);
        }
        let share = rule.share(Duration::from_millis(60_050));
        assert!(share < Share::of(0.6) && share > Share::of(0.5), "{share:?}");
    }

    #[test]
    fn it_grows_by_an_eighth_a_second_whatever_the_rate() {
        for rate in [20, 100, 1000] {
            let mut rule = Rule::default();
            for n in 0..rate * 30 {
                let now = Duration::from_secs(1) * n / rate;
                rule.answered(5 * MS, now);
                if n == rate * 20 {
                    assert_eq!(rule.worked(now), Share::START);
                }
            }
            let grown = rule.share(Duration::from_secs(30)).ratio() / Share::START.ratio();
            assert!((grown / (10.0f64 / 8.0).exp() - 1.0).abs() < 0.05, "{grown} at {rate} a second");
        }
    }

    #[test]
    fn what_work_has_left_behind_is_not_taken_for_the_requests_own_doing() {
        let mut rule = Rule::default();
        for n in 0..1000u32 {
            rule.answered(5 * MS, 10 * MS * n);
        }
        rule.worked(Duration::from_secs(10));
        for n in 0..400u32 {
            rule.answered(50 * MS, Duration::from_secs(10) + 10 * MS * n);
        }
        assert!(rule.bound() < 7 * MS, "{:?}", rule.bound());
    }
}
