//! Hints: delivered at any time, however late, or aimed at those who hold the key by now. After `node/src/hint/aim.rs`.

use crate::Model;
use crate::scenario::Members;
use crate::state::State;

use super::member::lets_in;

pub(super) fn aim(model: &Model, state: &State, from: u8, of: u8) -> Option<State> {
    let keeper = state.member(from);
    let (rec, writes) = (keeper.rec?, keeper.owes[usize::from(of)]);
    let facts = model.catalogue.facts(rec);
    let living = facts.holders() & !facts.lost;
    let (me, target): (Members, Members) = (1 << from, 1 << of);
    let others = living & !me & !target;
    let mut after = state.clone();
    let owe = |after: &mut State, set: Members| {
        for m in (0..model.scenario.members()).filter(|m| set & 1 << m != 0) {
            after.member_mut(from).owes[usize::from(m)] |= writes;
        }
    };
    if of == from || others == 0 && living & target == 0 {
        if living & me == 0 || !keeper.held {
            return None;
        }
    } else if living & target == 0 {
        owe(&mut after, others);
    } else {
        if !state.member(of).held || !lets_in(model, state, of, from, rec) {
            return None;
        }
        // New holders may have compared themselves with the target before this came.
        if facts.stable_holders & target != 0 {
            owe(&mut after, others & !facts.stable_holders);
        }
        let member = after.member_mut(of);
        member.has |= writes;
        member.disk |= writes;
    }
    after.member_mut(from).owes[usize::from(of)] = 0;
    Some(after)
}
