//! Which volume may go: only one whose member has retired, and only if the spec says so.
//!
//! A volume of a lost member stays: it is barred for ever, but a person may want to look at it.

use dynamo_ring::{Fate, NodeId, Record};

use super::{Plan, Step};
use crate::controller::observed::{ClaimSeen, Observed};
use crate::controller::validate::Desired;

/// Deletes what retired members left, and keeps the claims' owners as the spec says.
pub fn plan(observed: &Observed, desired: &Desired) -> Plan {
    let mut plan = Plan::default();
    let standing = observed.claims.iter().filter(|(_, claim)| !claim.terminating);
    for (&ordinal, claim) in standing {
        let retired = observed.layout.record().is_some_and(|record| left(record, ordinal, claim, desired));
        if desired.reclaim && retired && !in_use(observed, desired, ordinal) {
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

/// A pod is there, or about to come.
fn in_use(observed: &Observed, desired: &Desired, ordinal: u32) -> bool {
    let wanted = observed.statefulset.as_ref().is_none_or(|live| ordinal < live.replicas);
    wanted || ordinal < desired.replicas || observed.pods.contains_key(&ordinal)
}
