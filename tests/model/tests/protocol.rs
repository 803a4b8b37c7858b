//! The protocol holds in every scenario, and each of its rules is needed.

use dynamo_model::check::{Outcome, explore};
use dynamo_model::findings::{ALONE, FINDINGS};
use dynamo_model::mutation::Mutation;
use dynamo_model::scenario::{self, Scenario};

fn named(name: &str) -> Scenario {
    scenario::named(name).expect(name)
}

/// What does not hold, with the way there.
fn told(outcome: &Outcome) -> String {
    outcome
        .broken
        .iter()
        .map(|(property, trace)| format!("{property}\n{trace}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_protocol_holds_in_every_scenario() {
    for scenario in scenario::all(false) {
        let outcome = explore(scenario, Mutation::None, 2);
        println!("{}: {} states, depth {}", scenario.name, outcome.unique, outcome.depth);
        assert!(outcome.unique > 100, "{}: {} states are no exploration", scenario.name, outcome.unique);
        assert!(outcome.broken.is_empty(), "{}: NOT SO:\n{}", scenario.name, told(&outcome));
    }
}

#[test]
fn every_rule_that_is_left_out_is_missed() {
    for finding in FINDINGS {
        let outcome = explore(named(finding.scenario), finding.mutation, 1);
        let found = outcome.broken.iter().find(|(property, _)| *property == finding.property);
        let (property, trace) = found.unwrap_or_else(|| unreachable!("{finding:?}: {}", told(&outcome)));
        println!("{}: NOT SO: {property}\n{trace}", finding.mutation);
        assert!(trace.lines().count() > 3, "a counterexample tells what happened: {trace}");
    }
}

#[test]
fn no_rule_is_forgotten() {
    for mutation in Mutation::ALL.into_iter().filter(|mutation| *mutation != Mutation::ExactFenceNoWait) {
        assert!(
            FINDINGS.iter().any(|finding| finding.mutation == mutation),
            "{mutation} is looked for nowhere"
        );
    }
}

#[test]
fn fencing_and_waiting_stand_in_for_each_other() {
    for (mutation, scenario) in ALONE {
        let outcome = explore(named(scenario), mutation, 2);
        assert!(outcome.broken.is_empty(), "{mutation}, {scenario}: NOT SO:\n{}", told(&outcome));
    }
}
