//! Copying, handing over, dropping. The rules are those of `node/src/transfer/sync.rs` and `node/src/transfer/hand_over.rs`,
//! each comparison at one moment; a pull before it would bring nothing that it does not.

use dynamo_ring::Step;

use crate::Model;
use crate::catalogue::Facts;
use crate::mutation::Mutation;
use crate::scenario::Members;
use crate::state::State;

use super::member::{acknowledged, lets_in};

/// Whether this member is to copy the partition just now.
fn copies<'a>(model: &'a Model, state: &State, by: u8) -> Option<&'a Facts> {
    let member = state.member(by);
    let facts = model.catalogue.facts(member.rec?);
    let gains = facts.target_holders & !facts.stable_holders & 1 << by != 0;
    (facts.step == Step::Proposed && gains && member.synced != Some(facts.id)).then_some(facts)
}

pub(super) fn compare(model: &Model, state: &State, by: u8, with: u8) -> Option<State> {
    let facts = copies(model, state, by)?;
    let rec = state.member(by).rec?;
    let source = state.member(with);
    let bit: Members = 1 << with;
    if facts.stable_holders & !facts.lost & !state.member(by).compared & bit == 0
        || !source.held
        || !lets_in(model, state, with, by, rec)
        || !everybody_acknowledged(model, state, facts)
    {
        return None;
    }
    let has = source.has;
    let mut after = state.clone();
    let synced = state.crashes == 0;
    let member = after.member_mut(by);
    member.has |= has;
    if synced {
        member.disk |= has;
    }
    member.compared |= bit;
    Some(after)
}

/// Whether every member of S and T, lost ones apart, has acknowledged this target.
fn everybody_acknowledged(model: &Model, state: &State, facts: &Facts) -> bool {
    let needed = facts.serve & !facts.lost;
    (0..model.scenario.members()).filter(|m| needed & 1 << m != 0).all(|m| {
        let rec = state.member(m).rec;
        rec.is_some_and(|rec| model.catalogue.facts(rec).id == facts.id) && acknowledged(model, state, m)
    })
}

/// Compared with max(1, min(N - W + 1, holders that are not lost)) of them. The real one also waits for all that are up.
pub(super) fn report(model: &Model, state: &State, by: u8) -> Option<State> {
    let facts = copies(model, state, by)?;
    let (n, _, w) = model.scenario.quorum;
    let sources = facts.stable_holders & !facts.lost;
    let needed = match model.mutation {
        Mutation::CompareOne => 1,
        _ => u32::from(n - w + 1).min(sources.count_ones()).max(1),
    };
    if (state.member(by).compared & sources).count_ones() < needed {
        return None;
    }
    let mut after = state.clone();
    let member = after.member_mut(by);
    member.disk = member.has;
    member.synced = Some(facts.id);
    member.compared = 0;
    Some(after)
}

/// The layout that takes the partition from this member, which still has it, and who holds it there.
fn successors(model: &Model, state: &State, by: u8) -> Option<Members> {
    let member = state.member(by);
    let facts = model.catalogue.facts(member.rec?);
    let living = match facts.step {
        Step::Committed => facts.stable_holders,
        Step::Switched if model.mutation == Mutation::DropAtSwitch => facts.target_holders,
        _ => return None,
    };
    let is_due = member.held && living & 1 << by == 0 && acknowledged(model, state, by);
    is_due.then_some(living & !facts.lost)
}

pub(super) fn hand_over(model: &Model, state: &State, by: u8, to: u8) -> Option<State> {
    let living = successors(model, state, by)?;
    let bit: Members = 1 << to;
    let rec = state.member(by).rec?;
    if living & !state.member(by).shown & bit == 0
        || !state.member(to).held
        || !lets_in(model, state, to, by, rec)
    {
        return None;
    }
    let has = state.member(by).has;
    let mut after = state.clone();
    after.member_mut(by).shown |= bit;
    let member = after.member_mut(to);
    member.has |= has;
    member.disk |= has;
    Some(after)
}

pub(super) fn let_go(model: &Model, state: &State, by: u8) -> Option<State> {
    let living = successors(model, state, by)?;
    let facts = model.catalogue.facts(state.member(by).rec?);
    let shown = living != 0 && living & !state.member(by).shown == 0;
    if !shown && !matches!(model.mutation, Mutation::DropAtSwitch | Mutation::DropUnshown) {
        return None;
    }
    let goes = state.member(by).disk & state.acked & !state.reaped;
    let enough = u32::from(model.scenario.quorum.2).min(living.count_ones());
    let covered = |write: u8| {
        // What came after the showing came from somebody who keeps a hint on it for a successor: that counts too.
        let owed = |m: u8| {
            (0..model.scenario.members()).any(|k| {
                facts.in_stable & !facts.lost & 1 << k != 0
                    && state.member(k).owes[usize::from(m)] & 1 << write != 0
            })
        };
        let has = |m: &u8| living & 1 << m != 0 && (state.member(*m).disk & 1 << write != 0 || owed(*m));
        (0..model.scenario.members()).filter(has).count() >= usize::try_from(enough).unwrap_or(usize::MAX)
    };
    let all_covered = (0..8).filter(|write| goes & 1 << write != 0).all(covered);
    let mut after = state.clone();
    after.let_go_early |= !all_covered;
    let member = after.member_mut(by);
    member.held = false;
    member.has = 0;
    member.disk = 0;
    member.shown = 0;
    Some(after)
}
