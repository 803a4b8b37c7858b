//! Which pod is made anew, on its own volume: one at a time, and by eviction, so that the budget has its say.

use dynamo_ring::change::{self, Next};
use dynamo_ring::{Fate, Record};

use super::members::{reach, reports};
use super::volumes::replaced;
use super::{Plan, Step, Wait, Why};
use crate::controller::observed::{Observed, PodSeen};
use crate::controller::validate::Desired;

/// At most one restart, and none while a pod is going already.
pub fn plan(observed: &Observed, desired: &Desired) -> Plan {
    let old = observed.pods.values().filter(|pod| is_old(pod, observed)).count();
    let mut plan = Plan::default();
    if old > 0 {
        plan.waits.push(Wait::Restarting(old));
    }
    if observed.pods.values().any(|pod| pod.terminating) {
        return plan;
    }
    plan.steps.extend(next(observed, desired));
    plan
}

fn next(observed: &Observed, desired: &Desired) -> Option<Step> {
    let restart =
        |(&ordinal, pod): (&u32, &PodSeen), why| Step::Restart { ordinal, uid: pod.uid.clone(), why };
    let record = observed.layout.record();
    let reach = reach(observed, desired);
    let retired = observed.pods.iter().find(|(ordinal, pod)| {
        // One that moves to another volume starts once the one it has is going, not on the same again.
        let stays = |record: &Record| {
            observed.claims.get(ordinal).is_some_and(|c| !c.terminating && replaced(record, c, desired))
        };
        **ordinal < reach && record.is_some_and(|record| has_retired(record, pod) && !stays(record))
    });
    if let Some(pod) = retired {
        return Some(restart(pod, Why::Retired));
    }
    if let Some(pod) = observed.pods.iter().find(|(ordinal, pod)| volume_goes(observed, **ordinal, pod)) {
        return Some(restart(pod, Why::Volume));
    }
    // One that is not Ready serves nobody: it may take the new template at any time, also in mid-change. A broken
    // image is cured this way.
    let mut old = observed.pods.iter().rev().filter(|(_, pod)| is_old(pod, observed));
    if let Some(pod) = old.clone().find(|(_, pod)| !pod.ready) {
        return Some(restart(pod, Why::Template));
    }
    let calm = record.is_some_and(|record| is_calm(record, observed, desired));
    old.next().filter(|_| calm).map(|pod| restart(pod, Why::Template))
}

/// It runs from a template that is no longer wanted.
fn is_old(pod: &PodSeen, observed: &Observed) -> bool {
    let wanted = observed.statefulset.as_ref().filter(|live| !live.stale && !live.terminating);
    let wanted = wanted.and_then(|live| live.update_revision.as_ref());
    wanted.is_some_and(|revision| pod.revision.as_ref().is_some_and(|has| has != revision))
}

/// The member has retired, and that stands in the record: it refuses for ever to be named, and only a start over its
/// directory makes another of it.
fn has_retired(record: &Record, pod: &PodSeen) -> bool {
    pod.answer.as_ref().is_some_and(|a| a.report.retired && record.fate(&a.node_id()) == Some(Fate::Retired))
}

/// The volume is being deleted and no member on it was ever told of a layout: what begins anew there should begin on a
/// volume that stays.
fn volume_goes(observed: &Observed, ordinal: u32, pod: &PodSeen) -> bool {
    let Some(claim) = observed.claims.get(&ordinal).filter(|claim| claim.terminating) else { return false };
    let told =
        pod.answer.as_ref().is_none_or(|answer| claim.node_id == Some(answer.node_id()) || answer.has_data);
    !told && !pod.ready
}

/// Settled, everyone has answered, every pod is Ready.
fn is_calm(record: &Record, observed: &Observed, desired: &Desired) -> bool {
    let reports = reports(record, observed, &desired.names);
    record.settled()
        && change::next(record, &reports) == Next::Done
        && reports.values().all(Option::is_some)
        && observed.pods.values().all(|pod| pod.ready)
}
