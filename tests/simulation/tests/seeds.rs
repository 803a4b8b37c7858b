//! What every build has to pass: many seeds, and that a seed is a seed.

use dynamo_simulation::run::{Size, run};

/// Seeds of every build; `make soak` runs more.
const SEEDS: u64 = 300;

#[test]
fn every_seed_keeps_what_the_store_promises() {
    let (mut answered, mut requests, mut failed) = (0, 0, Vec::new());
    for seed in 1..=SEEDS {
        let verdict = run(seed, Size::default());
        answered += verdict.answered;
        requests += verdict.requests;
        if !verdict.broken.is_empty() {
            failed.push(format!("make soak SEEDS=1 FROM={seed} HISTORY=1: {:?}", verdict.broken));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {SEEDS} seeds failed; replay one with\n{}",
        failed.len(),
        failed.join("\n")
    );
    // A cluster that answers nothing breaks no promise.
    assert!(answered * 2 > requests, "only {answered} of {requests} requests were answered");
}

#[test]
fn the_same_seed_is_the_same_history_to_the_byte() {
    for seed in [1, 17, 99] {
        let (first, second) = (run(seed, Size::default()), run(seed, Size::default()));
        assert!(!first.text.is_empty());
        assert_eq!(first.text, second.text, "seed {seed}");
    }
    assert_ne!(run(1, Size::default()).text, run(2, Size::default()).text);
}
