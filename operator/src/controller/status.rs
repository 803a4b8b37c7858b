//! What is told about a cluster: a pure function from what was found, what is planned, and what was told before.
//!
//! Nothing here changes by itself: no ages, no times but those of changes. So a settled cluster's status is the same
//! text pass after pass, and is not written (lesson 10 of operators).

mod pace;
mod phase;
mod progress;
mod text;

use dynamo_ring::record::Named;
use dynamo_ring::{Fate, NodeId, Record};

pub use self::pace::{Pace, pace};
use super::observed::Observed;
use super::plan::members::reports;
use super::plan::{Plan, Wait};
use super::validate::{Desired, SpecError};
use crate::api::cluster::{DynamoClusterStatus, MemberState, MemberStatus, Phase, Removal};
use crate::api::conditions::{Kind, Statement, conditions};
use crate::api::status::{MEMBERS_SHOWN, REMOVALS_SHOWN};
use crate::controller::risk;

/// Everything that one pass knows.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was found.
    pub observed: &'a Observed,
    /// What is done about it.
    pub plan: &'a Plan,
    /// What failed in doing so.
    pub failures: &'a [String],
    /// RFC 3339.
    pub now: &'a str,
}

/// The status after this pass. `before` is the one before it, whether written or not.
pub fn status(before: &DynamoClusterStatus, facts: &Facts<'_>) -> DynamoClusterStatus {
    let Facts { desired, observed, .. } = *facts;
    let record = observed.layout.record();
    let ready = record.map_or(0, |record| ready(record, observed, desired));
    let phase = phase::phase(before.phase, facts, ready);
    let last_change = progress::last_change(before.last_change.as_ref(), record, observed, facts.now);
    let moving = record.filter(|record| !record.settled()).and(last_change.as_ref());
    let synced = record.map_or(0, |record| progress::synced(record, observed));
    let to_sync = moving.map_or(0, |change| change.partitions_moved);
    let synced = if record.is_some_and(|record| record.target().is_some()) { synced } else { to_sync };
    let statements = statements(facts, phase, ready);
    DynamoClusterStatus {
        observed_generation: desired.generation,
        phase,
        replicas: observed.statefulset.as_ref().map_or(0, |live| count(live.replicas)),
        selector: desired.names.selector_text(),
        ready: count(ready),
        members: count(desired.replicas),
        members_text: format!("{ready}/{}", desired.replicas),
        partitions_synced: synced,
        partitions_to_sync: to_sync,
        synced_text: moving.map_or_else(String::new, |_| format!("{synced}/{to_sync}")),
        bytes_moved: moving.map_or(0, |change| change.bytes_moved),
        bytes_to_move: moving.map_or(0, |change| change.bytes_to_move),
        moved_text: moving.map_or_else(String::new, |change| match record {
            Some(record) if !progress::sized(record, observed) => text::of_unknown(change.bytes_moved),
            _ => text::of_bytes(change.bytes_moved, change.bytes_to_move),
        }),
        eta: record.map_or_else(String::new, |record| progress::eta(record, observed)),
        cluster_id: record.map_or_else(String::new, |record| record.cluster_id().to_string()),
        epoch: record.map_or(0, |record| record.stamp().epoch),
        step: record.map_or_else(String::new, |record| format!("{:?}", record.step())),
        last_change,
        member_list: record.map_or_else(Vec::new, |record| member_list(record, observed, desired)),
        removals: record.map_or_else(Vec::new, |record| removals(before, record, facts.now)),
        conditions: conditions(&before.conditions, statements, desired.generation, facts.now),
    }
}

/// The status of a resource whose spec cannot be worked on. What is known from before stays.
pub fn invalid(
    before: &DynamoClusterStatus,
    error: &SpecError,
    generation: Option<i64>,
    now: &str,
) -> DynamoClusterStatus {
    let invalid = Statement { kind: Kind::Invalid, holds: true, reason: "Spec", message: error.to_string() };
    let ready = Statement {
        kind: Kind::Ready,
        holds: false,
        reason: "Blocked",
        message: "the spec cannot be worked on; what runs goes on as it is".into(),
    };
    DynamoClusterStatus {
        observed_generation: generation,
        phase: Phase::Blocked,
        conditions: conditions(&before.conditions, vec![invalid, ready], generation, now),
        ..before.clone()
    }
}

/// Members of the stable layout that are wanted, whose pods are Ready, and that are who they should be.
fn ready(record: &Record, observed: &Observed, desired: &Desired) -> u32 {
    let serves = |id: &NodeId, ordinal: u32| {
        let pod = observed.pods.get(&ordinal).filter(|pod| pod.ready && !pod.terminating);
        pod.and_then(|pod| pod.answer.as_ref()).is_some_and(|answer| answer.node_id() == *id)
    };
    let members = record.stable().members().iter();
    let ready = members.filter(|m| desired.names.ordinal(&m.name).is_some_and(|o| serves(&m.node_id, o)));
    u32::try_from(ready.count()).unwrap_or(u32::MAX)
}

fn count(of: u32) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

fn member_list(record: &Record, observed: &Observed, desired: &Desired) -> Vec<MemberStatus> {
    let reports = reports(record, observed, &desired.names);
    let target = record.target().map(|t| &t.layout);
    let state = |id: &NodeId| {
        if record.fate(id) == Some(Fate::Lost) {
            MemberState::Lost
        } else if reports.get(id).is_none_or(Option::is_none) {
            MemberState::Silent
        } else if target.is_some_and(|target| target.names(id) && !record.stable().names(id)) {
            MemberState::Joining
        } else if target.unwrap_or(record.stable()).names(id) {
            MemberState::Serving
        } else {
            MemberState::Leaving
        }
    };
    // Those that no layout names any more and that have not retired yet are still there, and still leaving.
    let there = |named: &&Named| named.fate == Fate::Active || record.view().names(&named.node_id);
    let mut members: Vec<&Named> = record.named().iter().filter(there).collect();
    members.sort_by_key(|named| (desired.names.ordinal(&named.name), named.node_id));
    members
        .into_iter()
        .take(MEMBERS_SHOWN)
        .map(|named| MemberStatus {
            name: named.name.clone(),
            node_id: named.node_id.to_string(),
            zone: record.view().member(&named.node_id).map_or_else(String::new, |m| m.zone.clone()),
            state: state(&named.node_id),
        })
        .collect()
}

/// The newest first; the time of one that was told before stays. When there are more than are told, a new one is known
/// by having been a member in the status before; the others are older than all that are told.
fn removals(before: &DynamoClusterStatus, record: &Record, now: &str) -> Vec<Removal> {
    let full = before.removals.len() >= REMOVALS_SHOWN;
    let removal = |named: &Named| {
        let node_id = named.node_id.to_string();
        let told = before.removals.iter().find(|removal| removal.node_id == node_id);
        if told.is_none() && full && !before.member_list.iter().any(|member| member.node_id == node_id) {
            return None;
        }
        let at = told.map_or_else(|| now.to_owned(), |removal| removal.at.clone());
        Some(Removal { name: named.name.clone(), node_id, fate: format!("{:?}", named.fate), at })
    };
    let gone = record.named().iter().filter(|named| named.fate != Fate::Active);
    let mut removals: Vec<Removal> = gone.filter_map(removal).collect();
    removals.sort_by(|a, b| (&b.at, &a.node_id).cmp(&(&a.at, &b.node_id)));
    removals.truncate(REMOVALS_SHOWN);
    removals
}

fn statements(facts: &Facts<'_>, phase: Phase, ready: u32) -> Vec<Statement> {
    let Facts { desired, observed, plan, failures, .. } = *facts;
    let say = |kind, holds, reason, message| Statement { kind, holds, reason, message };
    let record = observed.layout.record();
    let waits = || plan.waits.iter().map(ToString::to_string).chain(failures.iter().cloned());
    let doing = waits().collect::<Vec<_>>().join("; ");
    let mut said = vec![
        say(
            Kind::Ready,
            phase == Phase::Ready,
            phase::word(phase),
            format!("{ready} of {} wanted members serve", desired.replicas),
        ),
        say(
            Kind::Progressing,
            phase::progresses(phase),
            record.map_or("NoLayout", |record| phase::step(record)),
            if doing.is_empty() { at_work(facts, phase) } else { doing },
        ),
        degraded(facts, phase, ready),
    ];
    let conflict = plan.waits.iter().find(|wait| matches!(wait, Wait::NameConflict(_)));
    said.push(match conflict {
        Some(wait) => say(Kind::NameConflict, true, "NotOurs", wait.to_string()),
        None => say(Kind::NameConflict, false, "AllOurs", "every object of a wanted name is ours".into()),
    });
    let invalid = plan.waits.iter().filter(|wait| phase::needs_a_person(wait));
    let invalid = invalid.map(ToString::to_string).collect::<Vec<_>>().join("; ");
    said.push(if invalid.is_empty() {
        say(Kind::Invalid, false, "Consistent", "spec and findings can be worked with".into())
    } else {
        say(Kind::Invalid, true, "Inconsistent", invalid)
    });
    said.push(match record.and_then(risk::sentence) {
        None => {
            say(Kind::DataAtRisk, false, "EnoughCopies", "every acknowledged write has living copies".into())
        }
        Some(sentence) => say(Kind::DataAtRisk, true, "TooFewCopies", sentence),
    });
    said.push(strict_reads(desired));
    said
}

/// What is going on while nothing in particular is waited for.
fn at_work(facts: &Facts<'_>, phase: Phase) -> String {
    let Facts { desired, observed, .. } = *facts;
    if !phase::progresses(phase) {
        return "nothing is left to do".into();
    }
    let members = observed.layout.record().map(|record| member_list(record, observed, desired));
    let leaving = members.into_iter().flatten().filter(|m| m.state == MemberState::Leaving);
    match leaving.map(|m| m.name).collect::<Vec<_>>().as_slice() {
        [] => "taking the next step".into(),
        names => format!("{} have still to hand over or to retire", names.join(", ")),
    }
}

fn strict_reads(desired: &Desired) -> Statement {
    let quorum = desired.quorum;
    let sum = format!("r + w = {} and n = {}", quorum.r + quorum.w, quorum.n);
    let (holds, reason, message) = if quorum.r + quorum.w > quorum.n {
        (true, "QuorumsOverlap", format!("{sum}: strict reads see strict writes"))
    } else {
        (false, "QuorumsMayMiss", format!("{sum}: a read may miss a write; r + w above n is recommended"))
    };
    Statement { kind: Kind::StrictReads, holds, reason, message }
}

fn degraded(facts: &Facts<'_>, phase: Phase, ready: u32) -> Statement {
    let Facts { desired, observed, failures, .. } = *facts;
    let silent = observed.layout.record().map_or_else(Vec::new, |record| {
        let list = member_list(record, observed, desired).into_iter();
        list.filter(|m| matches!(m.state, MemberState::Silent | MemberState::Lost)).map(|m| m.name).collect()
    });
    let (holds, reason, message) = if !silent.is_empty() {
        (true, "MembersMissing", format!("no answer from {}", silent.join(", ")))
    } else if let [first, ..] = failures {
        (true, "StepFailed", first.clone())
    } else if phase == Phase::Degraded {
        (true, "NotReady", format!("{ready} of {} wanted members serve", desired.replicas))
    } else {
        (false, "Healthy", "every member answers".into())
    };
    Statement { kind: Kind::Degraded, holds, reason, message }
}

#[cfg(test)]
mod tests;
