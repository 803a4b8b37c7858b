//! What a member does with a record. Which one it takes is decided by `ring`; what it keeps of its data under a new one,
//! and when it has acknowledged it, follows `node/src/layout/state.rs`.

use dynamo_ring::Step;

use crate::Model;
use crate::catalogue::{Facts, Rec};
use crate::mutation::Mutation;
use crate::scenario::{MOST, Members};
use crate::state::{Member, State};

/// Whether a member has acknowledged the record it goes by: it has acted on it, and what it began before has ended.
pub fn acknowledged(model: &Model, state: &State, member: u8) -> bool {
    let Some(rec) = state.member(member).rec else { return false };
    let older =
        |request: &crate::state::Request| request.runs && request.by == member && request.under != rec;
    !model.mutation.waits() || !state.requests.iter().any(older)
}

/// Whether a member has handed over everything that the commit took from it.
pub fn finished(model: &Model, state: &State, member: u8) -> bool {
    let is = state.member(member);
    let Some(facts) = is.rec.map(|rec| model.catalogue.facts(rec)) else { return false };
    let bit: Members = 1 << member;
    let keeps = is.held && facts.stable_holders & bit == 0;
    let owes = facts.in_stable & bit == 0 && is.owes != [0; MOST];
    facts.step == Step::Committed && acknowledged(model, state, member) && !keeps && !owes
}

/// Whether a member serves a request of another one that was begun under this record: both are named and neither is
/// known as lost, and the stamp is not too old.
pub fn lets_in(model: &Model, state: &State, member: u8, sender: u8, under: Rec) -> bool {
    let Some(rec) = state.member(member).rec else { return false };
    if !model.mutation.fences() {
        return true;
    }
    let facts = model.catalogue.facts(rec);
    facts.names & !facts.lost & 1 << sender != 0 && model.catalogue.serves(rec, under)
}

/// A member without what the new record does not give it. Taking a record and cleaning up is one action here: in between
/// the member neither acknowledges nor holds what it is to drop.
pub(super) fn deliver(model: &Model, state: &State, rec: Rec, to: u8) -> Option<State> {
    let is = *state.member(to);
    if !model.catalogue.takes(is.rec, rec, to) {
        return None;
    }
    let facts = model.catalogue.facts(rec);
    let bit: Members = 1 << to;
    let before = is.rec.map(|rec| model.catalogue.facts(rec));
    if before.is_none() && facts.names & bit == 0 {
        return None;
    }
    if before.is_some_and(|before| before.id != facts.id && unfinished(model, state, before, to)) {
        return None;
    }
    let mut after = state.clone();
    let member = after.member_mut(to);
    let same = before.is_some_and(|before| before.id == facts.id);
    let leaves = facts.in_previous & bit != 0;
    member.rec = Some(rec);
    if !same {
        member.compared = 0;
        member.shown = 0;
        member.held = is.held && (leaves || stays(facts, before, bit));
        clean(model, member, facts, bit);
    }
    Some(after)
}

/// Drops everything that is not held, but what hints point to, and these too where S does not name the member; then holds
/// what the record gives.
fn clean(model: &Model, member: &mut Member, facts: &Facts, bit: Members) {
    if !member.held && model.mutation != Mutation::LeftoversKept {
        member.has = 0;
        member.disk = 0;
    }
    if facts.in_stable & bit == 0 && facts.in_previous & bit == 0 {
        member.owes = [0; MOST];
    }
    if !member.held && facts.holders() & bit != 0 {
        member.held = true;
        // What it keeps for others is now its own as well.
        let kept = member.owes.iter().fold(0, |all, writes| all | writes);
        member.has |= kept;
        member.disk |= kept;
    }
}

/// Whether what a member holds stays held under another layout: S gives it, or the target gives it and directly replaces the
/// one for which it was copied.
fn stays(facts: &Facts, before: Option<&Facts>, bit: Members) -> bool {
    let continues =
        before.is_some_and(|before| before.step != Step::Committed && facts.replaces == Some(before.id));
    facts.stable_holders & bit != 0 || continues && facts.target_holders & bit != 0
}

/// Whether the commit that a member goes by still asks it to hand over: then it takes no other layout.
fn unfinished(model: &Model, state: &State, facts: &Facts, member: u8) -> bool {
    let bit: Members = 1 << member;
    let owes = state.member(member).held && facts.stable_holders & bit == 0 || facts.in_previous & bit != 0;
    facts.step == Step::Committed && owes && !finished(model, state, member)
}

/// What is in memory is on disk, and whoever waits for that is told.
pub(super) fn sync(state: &State, at: u8) -> State {
    let mut after = state.clone();
    let member = after.member_mut(at);
    member.disk = member.has;
    for request in after.requests.iter_mut().filter(|request| request.runs && request.stored & 1 << at != 0) {
        request.answered |= 1 << at;
    }
    after
}

/// The process ends, and starts again with what is on disk. What it coordinated has no answer.
pub(super) fn crash(state: &State, at: u8) -> Option<State> {
    let mut after = state.clone();
    after.crashes = after.crashes.checked_sub(1)?;
    let member = after.member_mut(at);
    let is_lost = member.has & !member.disk;
    member.has = member.disk;
    member.compared = 0;
    member.shown = 0;
    for request in &mut after.requests {
        if request.by == at {
            request.runs = false;
        }
        // A copy that is gone may come again.
        if is_lost != 0 && request.answered & 1 << at == 0 {
            request.stored &= !(1 << at);
        }
    }
    Some(after)
}
