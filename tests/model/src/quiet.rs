//! How a change goes on when nothing fails any more and nobody wants anything new: every member works, every message
//! arrives, one operator sees what stands in the register.
//!
//! That such a run ends well is looked at from *every* state that was explored, as a property that always holds. With it, every fair run
//! ends: from wherever chance may lead, an end is within reach, so a run that tries everything again and again cannot miss
//! it for ever. (The checker's own "eventually" looks at ends of paths only, and passes over what goes in circles.)

use crate::Model;
use crate::action::Action;
use crate::catalogue::Decision;
use crate::scenario::{MOST, Members};
use crate::state::State;
use crate::step::{decision, finished, quorum, replacement, step};

/// More steps than any quiet run of these small worlds takes.
const STEPS: usize = 400;

/// Whether a quiet run from here ends with the change, and with every acknowledged write where it belongs.
pub(crate) fn ends(model: &Model, state: &State) -> bool {
    let mut on_the_way = Vec::new();
    let mut now = state.clone();
    loop {
        let fingerprint = now.fingerprint();
        if model.known(fingerprint).contains(&fingerprint) {
            break;
        }
        on_the_way.push(fingerprint);
        match next(model, &now) {
            Some(next) if on_the_way.len() < STEPS => now = next,
            None if whole(model, &now) => break,
            _ => return false,
        }
    }
    for fingerprint in on_the_way {
        model.known(fingerprint).insert(fingerprint);
    }
    true
}

/// The next thing that happens in a quiet run; nothing at its end.
pub fn next(model: &Model, state: &State) -> Option<State> {
    quiet_actions(model, state)
        .filter_map(|action| step(model, state, action))
        .find(|next| next != state)
        .or_else(|| match decision(model, state, state.register, None) {
            Decision::Replace => replacement(model, state),
            Decision::Write(_) | Decision::Nothing => None,
        })
}

/// What may happen in a quiet run, what comes first first.
fn quiet_actions<'a>(model: &'a Model, state: &'a State) -> impl Iterator<Item = Action> + 'a {
    let facts = model.catalogue.facts(state.register);
    let living = facts.names & !facts.lost;
    let members = move || (0..model.scenario.members()).filter(move |m| living & 1 << m != 0);
    let pairs = move || members().flat_map(move |a| members().map(move |b| (a, b))).filter(|(a, b)| a != b);
    let syncs = members().filter(|m| state.member(*m).has != state.member(*m).disk).map(Action::Sync);
    let requests = (0u8..).zip(&state.requests).filter(|(_, request)| request.runs);
    let requests = requests.map(|(number, request)| {
        if quorum(model, request) { Action::Acknowledge(number) } else { Action::GiveUp(number) }
    });
    let deliveries = members().map(|to| Action::Deliver { rec: state.register, to });
    let owed = members()
        .flat_map(|from| (0u8..).zip(state.member(from).owes).map(move |(of, writes)| (from, of, writes)));
    let hints = owed.filter(|(.., writes)| *writes != 0).map(|(from, of, _)| Action::Hint { from, of });
    let compares = pairs().map(|(by, with)| Action::Compare { by, with });
    let reports = members().map(Action::Report);
    let shows = pairs().map(|(by, to)| Action::HandOver { by, to });
    let drops = members().map(Action::Drop);
    let advance = std::iter::once(Action::Advance { view: state.register, silent: None });
    syncs
        .chain(requests)
        .chain(deliveries)
        .chain(hints)
        .chain(compares)
        .chain(reports)
        .chain(shows)
        .chain(drops)
        .chain(advance)
}

/// Whether a quiet run has ended well: settled, everybody knows, nobody has too much, and nothing is missing.
fn whole(model: &Model, state: &State) -> bool {
    let facts = model.catalogue.facts(state.register);
    let is = |set: Members, m: u8| set & 1 << m != 0;
    let members = || (0..model.scenario.members()).filter(|m| is(facts.in_stable & !facts.lost, *m));
    let done = members().all(|m| {
        let member = state.member(m);
        member.rec == Some(state.register)
            && finished(model, state, m)
            && member.held == is(facts.stable_holders, m)
            && member.owes == [0; MOST]
    });
    let found = |write: u8, enough: usize| {
        members().filter(|m| state.member(*m).held && is(state.member(*m).disk, write)).count() >= enough
    };
    let (n, r, _) = model.scenario.quorum;
    let living = members().filter(|m| is(facts.stable_holders, *m)).count();
    let writes = || (0..8).filter(|write| is(state.acked & !state.reaped, *write));
    let every = writes().all(|write| found(write, 1));
    // Any R of the living holders have it among them.
    let missing = usize::from(n) - living;
    let strict = writes().filter(|write| is(state.strict, *write));
    let seen = strict.into_iter().all(|write| found(write, usize::from(n - r + 1).saturating_sub(missing)));
    facts.settled && done && every && seen
}
