//! `soak`: many seeds, one after another, and how many of them passed.

use std::process::ExitCode;

use clap::Parser;
use dynamo_simulation::run::{Size, run};

/// Runs seeds of the simulation.
#[derive(Debug, Parser)]
struct Args {
    /// How many.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Prints the history of each seed.
    #[arg(long)]
    history: bool,
}

fn main() -> ExitCode {
    let Args { seeds, from, history } = Args::parse();
    let (mut passed, mut failed) = (0u64, 0u64);
    for seed in from..from.saturating_add(seeds) {
        let verdict = run(seed, Size::default());
        if history {
            print!("{}", verdict.text);
        }
        if verdict.broken.is_empty() {
            passed += 1;
            continue;
        }
        failed += 1;
        println!("seed {seed} failed; again, with its history: make soak SEEDS=1 FROM={seed} HISTORY=1");
        for broken in &verdict.broken {
            println!("  {broken}");
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
