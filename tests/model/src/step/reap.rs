//! A delete and its reaping, as one action: how a round comes to its end is not what is looked at here (docs/deletes.md),
//! only that it takes the value from those who hold the partition, and from nobody else.

use crate::Model;
use crate::scenario::MOST;
use crate::state::State;

use super::member::acknowledged;

pub(super) fn reap(model: &Model, state: &State) -> Option<State> {
    let facts = model.catalogue.facts(state.register);
    let members = facts.in_stable & !facts.lost;
    let given = u8::try_from((1u16 << model.scenario.given.len()) - 1).unwrap_or(u8::MAX);
    let ready = |m: u8| {
        let member = state.member(m);
        member.rec == Some(state.register) && acknowledged(model, state, m) && member.owes == [0; MOST]
    };
    let all = (0..model.scenario.members()).filter(|m| members & 1 << m != 0).all(ready);
    if !facts.settled || !all || !state.requests.is_empty() || given & !state.reaped == 0 {
        return None;
    }
    let mut after = state.clone();
    after.reaped |= given;
    for m in (0..model.scenario.members()).filter(|m| facts.stable_holders & 1 << m != 0) {
        let member = after.member_mut(m);
        member.has &= !given;
        member.disk &= !given;
    }
    Some(after)
}
