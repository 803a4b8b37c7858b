//! What an action leads to; nothing where it cannot happen.

mod hint;
mod member;
mod operator;
mod reap;
mod request;
mod transfer;

pub use self::member::{acknowledged, finished, lets_in};
pub use self::operator::{decision, replacement};
pub use self::request::quorum;

use crate::Model;
use crate::action::Action;
use crate::state::State;

/// The state after an action.
pub fn step(model: &Model, state: &State, action: Action) -> Option<State> {
    match action {
        Action::Propose { view, set } => operator::propose(model, state, view, set),
        Action::Advance { view, silent } => operator::advance(model, state, view, silent),
        Action::Lose(member) => operator::lose(model, state, member),
        Action::Deliver { rec, to } => member::deliver(model, state, rec, to),
        Action::Begin { by } => request::begin(model, state, by),
        Action::Store { request, at } => request::store(model, state, request, at),
        Action::Sync(at) => Some(member::sync(state, at)),
        Action::Acknowledge(request) => request::acknowledge(model, state, request),
        Action::GiveUp(request) => Some(request::give_up(state, request)),
        Action::Compare { by, with } => transfer::compare(model, state, by, with),
        Action::Report(by) => transfer::report(model, state, by),
        Action::HandOver { by, to } => transfer::hand_over(model, state, by, to),
        Action::Drop(by) => transfer::let_go(model, state, by),
        Action::Hint { from, of } => hint::aim(model, state, from, of),
        Action::Crash(at) => member::crash(state, at),
        Action::Reap => reap::reap(model, state),
    }
}
