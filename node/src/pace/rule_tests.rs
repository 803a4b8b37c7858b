//! What the rule makes of requests and work, second by second.

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
    assert!(storm[20..].chunks(5).all(|some| some.iter().sum::<u32>() > 0), "it always gets on: {storm:?}");
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
