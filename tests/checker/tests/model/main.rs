//! A small model of the store makes histories by seed: those that keep what is promised pass, all of them, and those of each
//! mutant are found.

#![allow(clippy::panic)] // a panic is the report

mod state;
mod store;

use dynamo_checker::check;
use store::{Mutant, run};

/// Histories that have to pass.
const GOOD: u64 = 2000;
/// Seeds within which each mutant has to be found.
const WITHIN: u64 = 50;

#[test]
fn no_history_of_a_store_that_keeps_its_promises_is_blamed() {
    let blamed: Vec<_> = (0..GOOD)
        .filter_map(|seed| check(&run(seed, None)).first().map(|broken| format!("seed {seed}: {broken}")))
        .collect();
    assert!(blamed.is_empty(), "{} of {GOOD}: {:#?}", blamed.len(), &blamed[..blamed.len().min(5)]);
}

#[test]
fn every_mutant_is_found() {
    let mutants = [
        Mutant::DropSibling,
        Mutant::ForgetWrite,
        Mutant::ReturnCovered,
        Mutant::Resurrect,
        Mutant::ShortWrite,
        Mutant::ShortRead,
    ];
    for mutant in mutants {
        let found = (0..WITHIN).filter_map(|seed| {
            let broken = check(&run(seed, Some(mutant)));
            Some((seed, broken.first()?.to_string()))
        });
        let found: Vec<_> = found.collect();
        let Some((seed, words)) = found.first() else { panic!("{mutant:?} got away in {WITHIN} seeds") };
        println!("{mutant:?}: {} seeds, found in {} of {WITHIN}; {words}", seed + 1, found.len());
    }
}
