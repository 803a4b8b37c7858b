//! The protocol of changing the layout, explored state by state: every order of commands, requests, crashes and losses
//! within some bounds, with the real decisions of `dynamo-ring` at each step.
//!
//! What is real, what is abstracted, the bounds and what was found stand in `docs/model.md`.
//!
//! | module | what it says |
//! |---|---|
//! | [`catalogue`] | every layout record that a scenario can write, and what `ring` decides about each |
//! | [`state`] | the register, the members, the requests |
//! | [`action`] | what can happen next |
//! | [`step`] | what an action leads to |
//! | [`mutation`] | rules of the protocol that can be left out, to see that this is found |
//! | [`property`] | what has to hold in every state |
//! | [`quiet`] | how a change goes on when nothing fails any more |
//! | [`scenario`] | who takes part, what may happen, how often |
//! | [`findings`] | which rule is missed where |
//! | [`check`] | a scenario handed to the model checker |
//! | [`trace`] | a counterexample, for a person |

pub mod action;
pub mod catalogue;
pub mod check;
pub mod findings;
pub mod mutation;
pub mod property;
pub mod quiet;
pub mod scenario;
pub mod state;
pub mod step;
pub mod trace;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stateright::{Model as Explored, Property};

use crate::action::Action;
use crate::catalogue::Catalogue;
use crate::mutation::Mutation;
use crate::scenario::Scenario;
use crate::state::State;

/// A scenario, the rule that is left out in it, and what both come to.
#[derive(Debug)]
pub struct Model {
    /// Who takes part, and what may happen.
    pub scenario: Scenario,
    /// The rule that is left out.
    pub mutation: Mutation,
    /// The records that can be written.
    pub catalogue: Catalogue,
    /// A state was found in which a property does not hold. The checker would go on a little and keep the last one found;
    /// the first one is the nearest.
    found: AtomicBool,
    /// States from which a quiet run is known to end well.
    settles: Vec<Mutex<HashSet<u64>>>,
}

impl Model {
    /// A scenario with this rule left out.
    pub fn new(scenario: Scenario, mutation: Mutation) -> Self {
        let catalogue = Catalogue::of(&scenario, mutation);
        let settles = (0..64).map(|_| Mutex::default()).collect();
        Self { scenario, mutation, catalogue, found: AtomicBool::new(false), settles }
    }

    /// Whether `holds`, or else somebody has already told of a state in which something does not.
    fn unless_found(&self, holds: bool) -> bool {
        holds || self.found.swap(true, Ordering::Relaxed)
    }

    /// The shard of what is known to settle that a state of this fingerprint is in.
    fn known(&self, fingerprint: u64) -> MutexGuard<'_, HashSet<u64>> {
        let shard = usize::try_from(fingerprint % 64).unwrap_or(0);
        self.settles[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Explored for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::begin(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        action::all(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        step::step(self, state, action).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all()
    }
}
