//! `planted`: shows that the simulation finds what it is there to find. Each fault is planted in every node, and seeds are
//! run until one fails; a fault that gets away fails the whole.

use std::process::ExitCode;

use clap::Parser;
use dynamo_node::planted::{Fault, plant};
use dynamo_simulation::run::{Size, run};

/// Plants one fault after another.
#[derive(Debug, Parser)]
struct Args {
    /// Seeds that each may take.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
}

fn main() -> ExitCode {
    let Args { seeds } = Args::parse();
    let mut away = 0;
    println!("{:<20} {:>5}  found as", "fault", "seeds");
    // A cluster with a fault may well panic somewhere; the verdict says so, once.
    std::panic::set_hook(Box::new(|_| {}));
    for fault in Fault::ALL {
        plant(Some(fault));
        let found =
            (1..=seeds).map(|seed| run(seed, Size::default())).find(|verdict| !verdict.broken.is_empty());
        let name = format!("{fault:?}");
        if let Some(verdict) = found {
            let what = verdict.broken.first().map_or("", String::as_str);
            println!("{name:<20} {:>5}  {what}", verdict.seed);
        } else {
            away += 1;
            println!("{name:<20} {seeds:>5}  NOT FOUND");
        }
    }
    plant(None);
    println!("{} found, {away} got away", Fault::ALL.len() - away);
    if away == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
