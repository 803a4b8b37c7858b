//! `soak`: many seeds, one after another, and how many of them passed.

use std::process::ExitCode;

use clap::Parser;
use dynamo_simulation::change;
use dynamo_simulation::run::{Size, run};
use dynamo_simulation::tally::Tally;

/// Runs seeds of the simulation.
#[derive(Debug, Parser)]
struct Args {
    /// How many.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// The membership changes meanwhile.
    #[arg(long)]
    change: bool,
    /// Prints how often what happened.
    #[arg(long)]
    tally: bool,
    /// Prints the history of each seed.
    #[arg(long)]
    history: bool,
}

fn main() -> ExitCode {
    let Args { seeds, from, change, tally, history } = Args::parse();
    let how = if change { " CHANGE=1" } else { "" };
    let counts = Tally::default();
    let (mut passed, mut failed) = (0u64, 0u64);
    for seed in from..from.saturating_add(seeds) {
        let verdict = if change { change::run(seed, change::SIZE) } else { run(seed, Size::default()) };
        verdict.tally.counts().into_iter().for_each(|(what, times)| counts.add(what, times));
        if history {
            print!("{}", verdict.text);
        }
        if verdict.broken.is_empty() {
            passed += 1;
            continue;
        }
        failed += 1;
        println!("seed {seed} failed; again, with its history: make soak SEEDS=1 FROM={seed} HISTORY=1{how}");
        for broken in &verdict.broken {
            println!("  {broken}");
        }
    }
    if tally {
        counts.counts().into_iter().for_each(|(what, times)| println!("{times:>8}  {what}"));
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
