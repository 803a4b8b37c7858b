//! Many seeds of a cluster whose members come and go, each held against what is promised; and over all of them, that
//! everything that is to happen did.

use dynamo_simulation::change::{SIZE, run};
use dynamo_simulation::tally::Tally;

/// Seeds of every build; `make soak CHANGE=1` runs more.
const SEEDS: u64 = 300;

/// What has to have happened, and how often at least: about half of what does.
const HAPPENED: &[(&str, u64)] = &[
    ("grew by one", 100),
    ("grew by more than one", 70),
    ("shrank by one", 100),
    ("shrank by more than one", 30),
    ("grew and shrank at once", 60),
    ("wrote: replaced the target", 500),
    ("wrote: aborted", 250),
    ("wrote: lost", 25),
    ("replaced: the old one has retired", 20),
    ("came back with the disk that was lost", 4),
    ("lost while proposed", 5),
    ("an operator lost a race", 1_000),
    ("a stale layout was refused", 5_000),
    ("a retired machine was removed", 300),
    ("Crash while proposed", 150),
    ("Crash while frozen", 40),
    ("Crash while switched", 20),
    ("Crash while handing over", 30),
    ("Isolate while proposed", 50),
    ("FullDisk while proposed", 50),
];

#[test]
fn every_seed_keeps_what_the_store_promises_while_members_come_and_go() {
    let (tally, mut failed) = (Tally::default(), Vec::new());
    let (mut answered, mut requests) = (0, 0);
    for seed in 1..=SEEDS {
        let verdict = run(seed, SIZE);
        answered += verdict.answered;
        requests += verdict.requests;
        for (what, times) in verdict.tally.counts() {
            tally.add(what, times);
        }
        if !verdict.broken.is_empty() {
            failed.push(format!("make soak CHANGE=1 SEEDS=1 FROM={seed} HISTORY=1: {:?}", verdict.broken));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {SEEDS} seeds failed; replay one with\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(answered * 2 > requests, "only {answered} of {requests} requests were answered");
    let seldom: Vec<_> = HAPPENED.iter().filter(|(what, least)| tally.of(what) < *least).collect();
    assert!(seldom.is_empty(), "too seldom: {seldom:?}, of {:?}", tally.counts());
}

#[test]
fn the_same_seed_is_the_same_history_to_the_byte() {
    for seed in [1, 17, 99] {
        let (first, second) = (run(seed, SIZE), run(seed, SIZE));
        assert!(!first.text.is_empty());
        assert_eq!(first.text, second.text, "seed {seed}");
    }
    assert_ne!(run(1, SIZE).text, run(2, SIZE).text);
}
