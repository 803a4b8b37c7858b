//! Which volume may go: only one whose member has retired, and only if the spec says so, or a person wants another in
//! its place.
//!
//! A volume of a lost member stays: it is barred for ever, but a person may want to look at it.

use dynamo_ring::{Fate, NodeId, Record};

use super::members::reach;
use super::{Plan, Step};
use crate::controller::observed::{ClaimSeen, Observed};
use crate::controller::validate::Desired;

/// Deletes what retired members left, and keeps the claims' owners as the spec says.
pub fn plan(observed: &Observed, desired: &Desired) -> Plan {
    let mut plan = Plan::default();
    let standing = observed.claims.iter().filter(|(_, claim)| !claim.terminating);
    for (&ordinal, claim) in standing {
        let retired = observed.layout.record().is_some_and(|record| left(record, ordinal, claim, desired));
        let unused = || desired.reclaim && !in_use(observed, desired, ordinal);
        let moved = || observed.layout.record().is_some_and(|record| replaced(record, claim, desired));
        if retired && (unused() || moved()) {
            plan.steps.push(Step::DeleteVolume { ordinal, at: claim.version.clone() });
        } else if !claim.owned_as_wanted {
            plan.steps.push(Step::MarkVolume { ordinal, at: claim.version.clone(), node_id: None });
        }
    }
    plan
}

/// A member of this name has retired and no other may hold data, and nobody else was ever told of a layout while he was
/// on this volume: his node id would have been noted on it first, which changes the version that a deletion carries.
fn left(record: &Record, ordinal: u32, claim: &ClaimSeen, desired: &Desired) -> bool {
    let name = desired.names.pod(ordinal);
    let fates = || record.named().iter().filter(|named| named.name == name).map(|named| named.fate);
    let retired = |id: NodeId| record.fate(&id) == Some(Fate::Retired);
    fates().any(|fate| fate == Fate::Retired)
        && fates().all(|fate| fate != Fate::Active)
        && claim.node_id.is_none_or(retired)
}

/// Its member was to begin anew on another volume, and has retired; nobody else was told of a layout on this one since.
/// It goes while a pod uses it: who starts there before the pod is made anew has nothing to lose.
pub fn replaced(record: &Record, claim: &ClaimSeen, desired: &Desired) -> bool {
    claim.node_id.is_some_and(|id| desired.replaced.contains(&id) && record.fate(&id) == Some(Fate::Retired))
}

/// A pod is there, or about to come.
fn in_use(observed: &Observed, desired: &Desired, ordinal: u32) -> bool {
    let wanted = observed.statefulset.as_ref().is_none_or(|live| ordinal < live.replicas);
    wanted || ordinal < reach(observed, desired) || observed.pods.contains_key(&ordinal)
}
