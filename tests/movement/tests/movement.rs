//! A part of `make movement` as assertions: every zone count, every step, sizes up to 20.

use dynamo_movement::case::Shape;
use dynamo_movement::figures::{figure_8, steps};
use dynamo_movement::plans::{MOST_STEP, MOST_ZONES, step, walk};
use dynamo_movement::verdict::{Sums, Verdict, check};
use dynamo_ring::Partitions;

#[test]
fn no_change_moves_more_than_it_must() {
    let partitions = Partitions::new(64).unwrap();
    let most = i32::try_from(MOST_STEP).unwrap();
    let mut sums = Sums::default();
    let mut add = |case: &dynamo_movement::case::Case| {
        sums.entry((case.shape, case.zones)).or_default().add(&Verdict::of(case));
    };
    for zones in 1..=MOST_ZONES {
        for shape in [Shape::Even, Shape::Skewed] {
            for size in 1..=20 {
                for by in -most..=most {
                    step(partitions, shape, zones, size, by).unwrap().iter().for_each(&mut add);
                }
            }
        }
        walk(partitions, zones, 12).unwrap().iter().for_each(&mut add);
    }
    assert_eq!(check(&sums), Ok(()), "{sums:#?}");
}

#[test]
fn the_papers_third_strategy_is_the_most_even_for_what_it_costs() {
    let strategies = figure_8().unwrap();
    let best = |i: usize, bytes: u32| {
        let points = strategies[i].points.iter().filter(|point| point.bytes <= bytes);
        points.map(|point| point.efficiency).fold(0.0, f64::max)
    };
    for bytes in [2_000, 8_000, 25_000] {
        assert!(
            best(2, bytes) > best(0, bytes) && best(2, bytes) > best(1, bytes),
            "{bytes}: {strategies:?}"
        );
    }
}

#[test]
fn beside_tokens_at_random_ours_is_even_and_moves_no_more() {
    let steps = steps(Partitions::new(1024).unwrap(), 15, 1).unwrap().unwrap();
    assert!((steps.moved[0] - 1.0).abs() < 0.01 && steps.efficiency[0] > 0.99, "{steps:?}");
    assert!(
        steps.efficiency[0] > steps.efficiency[1] && steps.efficiency[0] > steps.efficiency[2],
        "{steps:?}"
    );
}
