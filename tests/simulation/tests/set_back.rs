//! A volume that is put back to an older copy is found out, one that is what it was is not taken for one.

use dynamo_simulation::set_back::{Copy, serves};

const SEEDS: u64 = 20;

#[test]
fn a_volume_that_was_set_back_is_found_out_by_what_peers_were_told() {
    for seed in 1..=SEEDS {
        assert_eq!(serves(seed, Copy::Older), Ok(false), "seed {seed}");
    }
}

#[test]
fn a_volume_that_is_what_it_was_is_no_set_back() {
    for seed in 1..=SEEDS {
        assert_eq!(serves(seed, Copy::Same), Ok(true), "seed {seed}");
    }
}
