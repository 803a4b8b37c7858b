//! What operators do. None keeps anything but what it has last seen in the register, and every one may have seen it at any
//! time: so an operator that acts on an old view is any of these actions with a view that stood there before.

use crate::Model;
use crate::catalogue::{Decision, Rec, Report};
use crate::mutation::Mutation;
use crate::scenario::Members;
use crate::state::State;

use super::member;

/// Writes `next` over `view`, if that is what still stands there.
fn compare_and_swap(model: &Model, state: &State, view: Rec, next: Rec) -> Option<State> {
    if state.register != view && model.mutation != Mutation::NoCompare {
        return None;
    }
    let mut after = state.clone();
    after.register = next;
    if let Err(place) = after.written.binary_search(&next) {
        after.written.insert(place, next);
    }
    Some(after)
}

pub(super) fn propose(model: &Model, state: &State, view: Rec, set: u8) -> Option<State> {
    if state.proposals == 0 {
        return None;
    }
    let next = model.catalogue.propose(view, set)?;
    let mut after = compare_and_swap(model, state, view, next)?;
    after.proposals -= 1;
    Some(after)
}

pub(super) fn advance(model: &Model, state: &State, view: Rec, silent: Option<u8>) -> Option<State> {
    if state.register != view && model.mutation != Mutation::NoCompare {
        return None;
    }
    match decision(model, state, view, silent) {
        Decision::Write(next) => compare_and_swap(model, state, view, next),
        Decision::Replace | Decision::Nothing => None,
    }
}

pub(super) fn lose(model: &Model, state: &State, member: u8) -> Option<State> {
    let next = model.catalogue.lost(state.register, member)?;
    compare_and_swap(model, state, state.register, next)
}

/// What an operator with this view does when everybody but `silent` has been asked.
///
/// All are asked at one moment. What a member reports of a record stays true for as long as that record stands, and once
/// it does not, the write is refused: so reports that come in one after another allow nothing more.
pub fn decision(model: &Model, state: &State, view: Rec, silent: Option<u8>) -> Decision {
    let members = 0..model.scenario.members();
    let reports: Vec<_> =
        members.map(|m| (silent != Some(m)).then(|| report(model, state, view, m)).flatten()).collect();
    model.catalogue.next(view, &reports)
}

/// What a member reports to an operator that goes by `view`.
fn report(model: &Model, state: &State, view: Rec, member: u8) -> Option<Report> {
    let is = state.member(member);
    let rec = is.rec?;
    let (facts, view) = (model.catalogue.facts(rec), model.catalogue.facts(view));
    let bit: Members = 1 << member;
    let gains = view.target_holders & !view.stable_holders & bit != 0;
    // A member to which the target does not give this partition has all others.
    let synced = if gains { is.synced } else { Some(facts.id) };
    Some(Report {
        acked: member::acknowledged(model, state, member).then_some(rec.0),
        has: Some(rec.0),
        synced: synced.or(Some(view.id)).map(|lay| lay.0),
        behind: gains && is.synced.is_none(),
        handed_over: member::finished(model, state, member).then_some(facts.stable.0),
    })
}

/// The first target set that may replace one that names a lost member.
pub fn replacement(model: &Model, state: &State) -> Option<State> {
    let lost = model.catalogue.facts(state.register).lost;
    let sets = (0u8..).zip(model.scenario.targets).filter(|(_, set)| **set & lost == 0);
    let next = sets.into_iter().find_map(|(set, _)| model.catalogue.propose(state.register, set))?;
    compare_and_swap(model, state, state.register, next)
}
