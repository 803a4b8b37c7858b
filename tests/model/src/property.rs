//! What has to hold in every state.

use stateright::Property;

use crate::Model;
use crate::quiet;
use crate::scenario::Members;
use crate::state::State;
use crate::step::lets_in;

/// A strict read sees every strict write that was acknowledged, whoever asks and whoever answers.
pub const SEEN: &str = "strict reads see acknowledged strict writes";
/// Nothing that was deleted and reaped is read again.
pub const GONE: &str = "what was deleted and reaped stays gone";
/// An epoch names one layout.
pub const EPOCHS: &str = "no two layouts at one epoch";
/// Who lets go of a partition leaves everything behind.
pub const LET_GO: &str = "no member lets go before its successors have everything";
/// When nothing fails any more, the change ends, and every acknowledged write is there.
pub const ENDS: &str = "every change ends when faults end, with every acknowledged write";

/// All of them.
pub fn all() -> Vec<Property<Model>> {
    vec![
        Property::always(SEEN, |model, state| {
            model.unless_found(reads(model, state).all(|read| sees_all(model, state, read)))
        }),
        Property::always(GONE, |model, state| {
            model.unless_found(reads(model, state).all(|read| sees_nothing_reaped(model, state, read)))
        }),
        Property::always(EPOCHS, |model, state| model.unless_found(one_layout_an_epoch(model, state))),
        Property::always(LET_GO, |model: &Model, state: &State| model.unless_found(!state.let_go_early)),
        Property::always(ENDS, |model, state| model.unless_found(quiet::ends(model, state))),
    ]
}

/// For each member that can coordinate a read just now: who would answer it.
fn reads<'a>(model: &'a Model, state: &'a State) -> impl Iterator<Item = Members> + 'a {
    (0..model.scenario.members()).filter_map(move |by| {
        let rec = state.member(by).rec?;
        let facts = model.catalogue.facts(rec);
        if facts.serve & 1 << by == 0 {
            return None;
        }
        let answers = |m: &u8| {
            let asked = facts.read & 1 << m != 0 && state.member(*m).held;
            asked && (*m == by || lets_in(model, state, *m, by, rec))
        };
        let answer: Members = (0..model.scenario.members()).filter(answers).fold(0, |set, m| set | 1 << m);
        (answer.count_ones() >= u32::from(model.scenario.quorum.1)).then_some(answer)
    })
}

/// Any R of those who answer have it among them: so fewer than R of them lack it.
fn sees_all(model: &Model, state: &State, answer: Members) -> bool {
    let must = state.strict & state.acked & !state.reaped;
    (0..8).filter(|write| must & 1 << write != 0).all(|write| {
        let lacks = |m: &u8| answer & 1 << m != 0 && state.member(*m).has & 1 << write == 0;
        (0..model.scenario.members()).filter(lacks).count() < usize::from(model.scenario.quorum.1)
    })
}

fn sees_nothing_reaped(model: &Model, state: &State, answer: Members) -> bool {
    (0..model.scenario.members())
        .filter(|m| answer & 1 << m != 0)
        .all(|m| state.member(m).has & state.reaped == 0)
}

fn one_layout_an_epoch(model: &Model, state: &State) -> bool {
    let held = state.members.iter().filter_map(|member| member.rec);
    let mut known = [None; 16];
    state.written.iter().copied().chain(held).flat_map(|rec| &model.catalogue.facts(rec).layouts).all(|lay| {
        let epoch = usize::try_from(model.catalogue.layout(*lay).epoch()).unwrap_or(0) % known.len();
        *known[epoch].get_or_insert(*lay) == *lay
    })
}
