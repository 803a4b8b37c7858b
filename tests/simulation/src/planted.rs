//! `planted`: shows that the simulation finds what it is there to find. Each fault is planted in every node, and seeds are
//! run until one fails; a fault that gets away fails the whole.

use std::process::ExitCode;

use clap::Parser;
use dynamo_node::planted::{Fault, plant};
use dynamo_simulation::change;
use dynamo_simulation::run::{Size, run};
use dynamo_simulation::set_back::{self, Copy};

/// Characters of what a fault was found as.
const SHOWN: usize = 120;

/// Plants one fault after another.
#[derive(Debug, Parser)]
struct Args {
    /// Seeds that each may take.
    #[arg(long, default_value_t = 1000)]
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
        let found = (1..=seeds).find_map(|seed| Some((seed, found_as(fault, seed)?)));
        let name = format!("{fault:?}");
        if let Some((seed, what)) = found {
            println!("{name:<20} {seed:>5}  {what}");
        } else {
            away += 1;
            println!("{name:<20} {seeds:>5}  NOT FOUND");
        }
    }
    plant(None);
    println!("{} found, {away} got away", Fault::ALL.len() - away);
    if away == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a seed makes of a fault; nothing if it does not find it.
fn found_as(fault: Fault, seed: u64) -> Option<String> {
    if fault == Fault::ServeSetBack {
        // No volume is put back in a run; this has a scenario of its own.
        let serves = set_back::serves(seed, Copy::Older);
        let what = "set back: a machine whose volume was put back to an older copy goes on serving";
        return (serves == Ok(true)).then(|| what.to_owned());
    }
    let verdict =
        if fault.is_of_a_change() { change::run(seed, change::SIZE) } else { run(seed, Size::default()) };
    verdict.broken.into_iter().next().map(|what| what.chars().take(SHOWN).collect())
}
