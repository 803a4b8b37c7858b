//! `model [--wide] [SCENARIO...]`: explores the scenarios and prints what was seen; without names also what leaving out
//! each rule leads to. Ends with 0 only if the protocol holds and every missing rule is missed.

use std::process::ExitCode;

use dynamo_model::check::{Outcome, explore};
use dynamo_model::findings::{ALONE, FINDINGS};
use dynamo_model::mutation::Mutation;
use dynamo_model::scenario::{self, Scenario};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let wide = args.iter().any(|arg| arg == "--wide");
    let names: Vec<&String> = args.iter().filter(|arg| *arg != "--wide").collect();
    let chosen = |scenario: &Scenario| names.is_empty() || names.iter().any(|name| *name == scenario.name);
    let scenarios: Vec<Scenario> = scenario::all(wide).into_iter().filter(chosen).collect();
    if scenarios.is_empty() {
        let known: Vec<_> = scenario::all(true).iter().map(|scenario| scenario.name).collect();
        eprintln!("model: no scenario of that name; there are: {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    let mut well = holds(&scenarios);
    if names.is_empty() {
        well &= missed();
        well &= suffices();
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The protocol as it is.
fn holds(scenarios: &[Scenario]) -> bool {
    println!("THE PROTOCOL AS IT IS");
    println!("{:<27} {:>10} {:>11} {:>6} {:>8}", "scenario", "states", "generated", "depth", "records");
    let (mut well, mut states) = (true, 0);
    for scenario in scenarios {
        let outcome = explore(*scenario, Mutation::None, 2);
        states += outcome.unique;
        println!("{:<27} {}", scenario.name, figures(&outcome));
        well &= outcome.broken.is_empty();
        for (property, trace) in outcome.broken {
            println!("  NOT SO: {property}\n{trace}");
        }
    }
    println!("{states} states explored\n");
    well
}

/// Each rule left out: the shortest way to where something does not hold.
fn missed() -> bool {
    println!("WITH ONE RULE LEFT OUT");
    let mut well = true;
    for finding in FINDINGS {
        let Some(scenario) = scenario::named(finding.scenario) else { return false };
        let outcome = explore(scenario, finding.mutation, 1);
        let expected = outcome.broken.iter().find(|(property, _)| *property == finding.property);
        if let Some((property, trace)) = expected {
            println!("{}: NOT SO: {property}\n{trace}", finding.mutation);
        } else {
            println!("{}: NOT FOUND in `{}`", finding.mutation, finding.scenario);
            well = false;
        }
    }
    well
}

/// Fencing and waiting stand in for each other.
fn suffices() -> bool {
    println!("EITHER OF TWO RULES ALONE");
    let mut well = true;
    for (mutation, name) in ALONE {
        let Some(scenario) = scenario::named(name) else { return false };
        let outcome = explore(scenario, mutation, 2);
        let verdict = if outcome.broken.is_empty() { "holds" } else { "DOES NOT HOLD" };
        println!("{mutation}, `{name}`: {verdict}, {} states", outcome.unique);
        well &= outcome.broken.is_empty();
    }
    well
}

fn figures(outcome: &Outcome) -> String {
    let Outcome { unique, generated, depth, records, .. } = outcome;
    format!("{unique:>10} {generated:>11} {depth:>6} {records:>8}")
}
