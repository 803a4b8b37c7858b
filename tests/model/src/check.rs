//! A scenario handed to the model checker.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model as _};

use crate::Model;
use crate::mutation::Mutation;
use crate::scenario::Scenario;
use crate::trace;

/// What the exploration of one scenario came to.
#[derive(Debug)]
pub struct Outcome {
    /// States that differ, twins apart.
    pub unique: usize,
    /// States generated, repetitions included.
    pub generated: usize,
    /// The longest of the shortest paths.
    pub depth: usize,
    /// Layout records that can be written.
    pub records: usize,
    /// How long it took.
    pub took: Duration,
    /// The properties that do not hold, each with the shortest way to where it does not.
    pub broken: Vec<(&'static str, String)>,
}

/// Explores a scenario with one rule left out, in breadth, until all was seen or a property is broken.
///
/// With one thread, a counterexample is the shortest there is.
///
/// # Panics
/// If a thread of the checker does.
pub fn explore(scenario: Scenario, mutation: Mutation, threads: usize) -> Outcome {
    let began = Instant::now();
    let model = Model::new(scenario, mutation);
    let records = model.catalogue.len();
    let done = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut found: Vec<_> = done.discoveries().into_iter().collect();
    found.sort_unstable_by_key(|(name, _)| *name);
    Outcome {
        unique: done.unique_state_count(),
        generated: done.state_count(),
        depth: done.max_depth(),
        records,
        took: began.elapsed(),
        broken: found.into_iter().map(|(name, path)| (name, trace::print(done.model(), path))).collect(),
    }
}
