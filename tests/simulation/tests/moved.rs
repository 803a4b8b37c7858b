//! A pod that came back with another IP is known again within two seconds of the first of its names or addresses that
//! resolves. Counted in virtual time, in a network that is well.

#![allow(clippy::unwrap_used, clippy::panic)] // a panic is the report

use std::time::Duration;

use dynamo_simulation::moved::{Found, known_again};

const SEEDS: u64 = 30;

fn at_the_longest(found: Found) -> Duration {
    (1..=SEEDS)
        .map(|seed| known_again(seed, found).unwrap_or_else(|why| panic!("seed {seed}: {why}")))
        .max()
        .unwrap()
}

#[test]
fn a_pod_that_came_back_with_another_ip_is_known_again_within_two_seconds_by_the_address_that_it_tells() {
    let longest = at_the_longest(Found::ByAddress);
    println!("by its address: after {longest:?} at the longest, {SEEDS} seeds");
    assert!(longest <= Duration::from_secs(2), "{longest:?}");
}

#[test]
fn a_pod_that_came_back_with_another_ip_is_known_again_within_two_seconds_of_its_name_that_resolves() {
    let longest = at_the_longest(Found::ByName);
    println!("by its name: after {longest:?} at the longest, {SEEDS} seeds");
    assert!(longest <= Duration::from_secs(2), "{longest:?}");
}
