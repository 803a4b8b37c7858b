//! A counterexample, for a person: what happened, line by line, and what that led to.

use std::fmt::Write;

use stateright::Path;

use crate::Model;
use crate::action::Action;
use crate::catalogue::Rec;
use crate::scenario::{MOST, Members};
use crate::state::{State, Writes};

/// A path, one line an action, each with what it changed.
pub fn print(model: &Model, path: Path<State, Action>) -> String {
    let mut text = String::new();
    let facts = model.catalogue.facts(crate::catalogue::Catalogue::FIRST);
    let mut steps = path.into_vec().into_iter().peekable();
    let begin = steps.peek().map(|(state, _)| state.clone());
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  {} of members {}, n={} r={} w={}; partition {} is held by {}",
        model.scenario.name,
        set(facts.in_stable),
        model.scenario.quorum.0,
        model.scenario.quorum.1,
        model.scenario.quorum.2,
        model.catalogue.partition().0,
        set(facts.stable_holders)
    );
    if let Some(begin) = begin {
        let _ = writeln!(text, "   0. at the beginning{}", changes(model, None, &begin));
    }
    let mut number = 0;
    while let Some((before, action)) = steps.next() {
        let (Some(action), Some((after, _))) = (action, steps.peek()) else { break };
        number += 1;
        let _ = writeln!(
            text,
            "  {number:2}. {}{}",
            said(model, &before, action),
            changes(model, Some(&before), after)
        );
    }
    text
}

fn set(members: Members) -> String {
    let names: Vec<_> = (0..MOST).filter(|m| members & 1 << m != 0).map(|m| m.to_string()).collect();
    format!("{{{}}}", names.join(","))
}

fn writes(writes: Writes) -> String {
    let names: Vec<_> = (0..8).filter(|w| writes & 1 << w != 0).map(|w| format!("w{w}")).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
}

/// A record by its step and the epoch of its layout.
fn record(model: &Model, rec: Rec) -> String {
    let record = model.catalogue.record(rec);
    let settled = if record.settled() { " (settled)" } else { "" };
    let lost = model.catalogue.facts(rec).lost;
    let lost = if lost == 0 { String::new() } else { format!(" without {}", set(lost)) };
    format!("{:?}({}){settled}{lost}", record.step(), record.id().epoch)
}

fn said(model: &Model, state: &State, action: Action) -> String {
    let by_stale = |view: Rec| if view == state.register { "" } else { ", on an old view," };
    match action {
        Action::Propose { view, set: which } => {
            let members = model.scenario.targets[usize::from(which)];
            let holders = model
                .catalogue
                .propose(view, which)
                .map_or(0, |rec| model.catalogue.facts(rec).target_holders);
            let old = by_stale(view);
            format!(
                "an operator{old} proposes members {}, which gives the partition to {}",
                set(members),
                set(holders)
            )
        }
        Action::Advance { view, .. } => format!("an operator{} writes the next step", by_stale(view)),
        Action::Lose(member) => format!("member {member} is declared lost"),
        Action::Deliver { rec, to } => format!("member {to} takes {}", record(model, rec)),
        Action::Begin { by } => format!("member {by} begins a strict write"),
        Action::Store { request, at } => {
            format!("member {at} stores {}", writes(State::bit(model, usize::from(request))))
        }
        Action::Sync(at) => format!("member {at} syncs its disk"),
        Action::Acknowledge(request) => {
            format!("{} is acknowledged", writes(State::bit(model, usize::from(request))))
        }
        Action::GiveUp(request) => format!("{} is given up", writes(State::bit(model, usize::from(request)))),
        Action::Compare { by, with } => format!("member {by} compares with {with} and fetches what it lacks"),
        Action::Report(by) => format!("member {by} reports the partition as synced"),
        Action::HandOver { by, to } => format!("member {by} shows what it has to {to}"),
        Action::Drop(by) => format!("member {by} drops the partition"),
        Action::Hint { from, of } => format!("member {from} looks at its hint for {of}"),
        Action::Crash(at) => format!("member {at} crashes and starts again"),
        Action::Reap => "what was given is deleted and reaped".to_owned(),
    }
}

/// What differs after an action.
fn changes(model: &Model, before: Option<&State>, after: &State) -> String {
    let mut said = Vec::new();
    if before.is_none_or(|before| before.register != after.register) {
        said.push(format!("register {}", record(model, after.register)));
    }
    if let Some(before) = before
        && before.register != after.register
    {
        return format!("  [{}]", said.join("; "));
    }
    for m in 0..model.scenario.members() {
        let (is, was) = (after.member(m), before.map(|before| before.member(m)));
        let differs = was.is_none_or(|was| (was.has, was.held, was.owes) != (is.has, is.held, is.owes));
        if is.rec.is_some() && differs {
            let holds = if is.held { "" } else { " (not held)" };
            let owed = is.owes.iter().fold(0, |all, owed| all | owed);
            let owed = if owed == 0 { String::new() } else { format!(", a hint on {}", writes(owed)) };
            said.push(format!("{m} has {}{holds}{owed}", writes(is.has)));
        }
    }
    if said.is_empty() { String::new() } else { format!("  [{}]", said.join("; ")) }
}
