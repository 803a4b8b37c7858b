//! Strict writes of clients: whom they reach, and when they are acknowledged.

use crate::Model;
use crate::mutation::Mutation;
use crate::scenario::Members;
use crate::state::{Request, State};

use super::member::lets_in;

pub(super) fn begin(model: &Model, state: &State, by: u8) -> Option<State> {
    let member = state.member(by);
    let under = member.rec?;
    let facts = model.catalogue.facts(under);
    if !member.held || facts.serve & facts.holders() & 1 << by == 0 {
        return None;
    }
    let mut after = state.clone();
    after.requests.push(Request { by, under, runs: true, stored: 0, answered: 0 });
    Some(after)
}

/// A copy arrives: at once, late, or when the write has long ended.
pub(super) fn store(model: &Model, state: &State, number: u8, at: u8) -> Option<State> {
    let request = state.requests[usize::from(number)];
    let bit: Members = 1 << at;
    let asked = model.catalogue.facts(request.under).holders() & bit != 0;
    // A coordinator asks no fence about its own copy, unless the fence is all there is.
    let own = at == request.by && model.mutation != Mutation::ExactFenceNoWait;
    let lets = own || lets_in(model, state, at, request.by, request.under);
    if !asked || !lets || !state.member(at).held || request.stored & bit != 0 {
        return None;
    }
    let mut after = state.clone();
    let write = State::bit(model, usize::from(number));
    // Where nothing crashes any more, nobody could tell a copy that is not yet synced from one that is yet to arrive.
    let synced = state.crashes == 0;
    let member = after.member_mut(at);
    member.has |= write;
    if synced {
        member.disk |= write;
    }
    let request = &mut after.requests[usize::from(number)];
    request.stored |= bit;
    if synced && request.runs {
        request.answered |= bit;
    }
    Some(after)
}

/// Whether a write has its quorum in each layout that it has to.
pub fn quorum(model: &Model, request: &Request) -> bool {
    let facts = model.catalogue.facts(request.under);
    let layouts = if model.mutation == Mutation::OneQuorum { 1 } else { facts.write.len() };
    let enough =
        |holders: &Members| (request.answered & holders).count_ones() >= u32::from(model.scenario.quorum.2);
    facts.write.iter().take(layouts).all(enough)
}

pub(super) fn acknowledge(model: &Model, state: &State, number: u8) -> Option<State> {
    let request = &state.requests[usize::from(number)];
    if !request.runs || !quorum(model, request) {
        return None;
    }
    let mut after = state.clone();
    let write = State::bit(model, usize::from(number));
    after.acked |= write;
    after.strict |= write;
    after.requests[usize::from(number)].runs = false;
    Some(after)
}

pub(super) fn give_up(state: &State, number: u8) -> State {
    let mut after = state.clone();
    after.requests[usize::from(number)].runs = false;
    after
}
