//! What can happen next.

use crate::Model;
use crate::catalogue::Rec;
use crate::state::State;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An operator that has seen `view` in the register proposes a target set, by compare-and-swap.
    Propose {
        /// What it has seen.
        view: Rec,
        /// Which of the scenario's sets.
        set: u8,
    },
    /// An operator that has seen `view` asks everybody but `silent`, and writes what follows, by compare-and-swap.
    Advance {
        /// What it has seen.
        view: Rec,
        /// Who gives no answer.
        silent: Option<u8>,
    },
    /// It is written down that a member is lost.
    Lose(u8),
    /// A record that stood in the register at any time reaches a member.
    Deliver {
        /// The record.
        rec: Rec,
        /// The member.
        to: u8,
    },
    /// A client's strict write begins.
    Begin {
        /// Who coordinates it.
        by: u8,
    },
    /// A copy of it reaches a member.
    Store {
        /// The request.
        request: u8,
        /// The member.
        at: u8,
    },
    /// A member's disk has synced, and what waited for that is answered.
    Sync(u8),
    /// A write has its quorum, and the client is told.
    Acknowledge(u8),
    /// A write's time has run out.
    GiveUp(u8),
    /// A new holder compares with an old one, and fetches what it lacks.
    Compare {
        /// The new one.
        by: u8,
        /// The old one.
        with: u8,
    },
    /// A new holder reports the partition as synced.
    Report(u8),
    /// An old holder shows what it has to a holder of the committed layout, which stores what it lacks.
    HandOver {
        /// The old one.
        by: u8,
        /// The other one.
        to: u8,
    },
    /// An old holder drops the partition.
    Drop(u8),
    /// A hint is delivered, or aimed anew.
    Hint {
        /// Who keeps it.
        from: u8,
        /// For whom.
        of: u8,
    },
    /// A process ends without what was not synced, and starts again.
    Crash(u8),
    /// What was given has been deleted, the delete is everywhere, and both are reaped.
    Reap,
}

/// Everything that may happen in this state; some of it changes nothing.
pub fn all(model: &Model, state: &State, actions: &mut Vec<Action>) {
    let scenario = &model.scenario;
    let members = 0..scenario.members();
    for view in state.written.iter().copied().filter(|v| scenario.stale_operator || *v == state.register) {
        if state.proposals > 0 {
            let sets = 0..u8::try_from(scenario.targets.len()).unwrap_or(0);
            actions.extend(sets.map(|set| Action::Propose { view, set }));
        }
        actions.push(Action::Advance { view, silent: None });
        if scenario.stale_operator {
            actions.extend(members.clone().map(|m| Action::Advance { view, silent: Some(m) }));
        }
    }
    actions.extend(members.clone().filter(|m| scenario.losses & 1 << m != 0).map(Action::Lose));
    for to in members.clone() {
        let has = state.member(to).rec;
        let others = state.written.iter().copied().filter(|rec| has != Some(*rec));
        actions.extend(others.map(|rec| Action::Deliver { rec, to }));
    }
    requests(model, state, actions);
    for by in members.clone() {
        let member = state.member(by);
        if member.rec.is_none() {
            continue;
        }
        if member.has != member.disk {
            actions.push(Action::Sync(by));
        }
        actions.push(Action::Report(by));
        actions.push(Action::Drop(by));
        for with in members.clone().filter(|with| *with != by) {
            actions.push(Action::Compare { by, with });
            actions.push(Action::HandOver { by, to: with });
        }
        actions.extend(
            members
                .clone()
                .filter(|of| member.owes[usize::from(*of)] != 0)
                .map(|of| Action::Hint { from: by, of }),
        );
        if state.crashes > 0 {
            actions.push(Action::Crash(by));
        }
    }
    if scenario.reaps {
        actions.push(Action::Reap);
    }
}

fn requests(model: &Model, state: &State, actions: &mut Vec<Action>) {
    let scenario = &model.scenario;
    if state.requests.len() < usize::from(scenario.writes) {
        let writers = (0..scenario.members()).filter(|m| scenario.writers & 1 << m != 0);
        actions.extend(writers.map(|by| Action::Begin { by }));
    }
    for (number, request) in (0u8..).zip(&state.requests) {
        if request.runs {
            actions.push(Action::Acknowledge(number));
            actions.push(Action::GiveUp(number));
        }
        if request.runs || scenario.late {
            let left = (0..scenario.members()).filter(|m| request.stored & 1 << m == 0);
            actions.extend(left.map(|at| Action::Store { request: number, at }));
        }
    }
}
