//! How many pods the StatefulSet wants. This is the one place where a pod of a member can go.

use dynamo_ring::{Fate, Record};

use super::members::{all_answered, reach};
use super::{Plan, Step, Wait};
use crate::build::statefulset::Claims;
use crate::controller::observed::{LayoutSeen, Observed, StatefulSetSeen};
use crate::controller::validate::Desired;
use crate::names::Names;
use crate::quantity;

/// Makes or applies the StatefulSet.
pub fn plan(observed: &Observed, desired: &Desired) -> Plan {
    let record = observed.layout.record();
    let epoch = |told: u64| record.map_or(told, Record::highest_epoch);
    let Some(live) = &observed.statefulset else {
        let replicas = wanted(observed, desired).max(floor(observed, &desired.names));
        return Plan::step(Step::CreateStatefulSet(Claims {
            replicas,
            epoch: epoch(0),
            volume_size: desired.volume_size.clone(),
        }));
    };
    if live.terminating {
        return Plan::wait(Wait::StatefulSetGoing);
    }
    let size = live.volume_size.clone().unwrap_or_else(|| desired.volume_size.clone());
    let mut plan = Plan::default();
    if quantity::milli(&size) != quantity::milli(&desired.volume_size) {
        plan.waits.push(Wait::VolumeSize(size.clone(), desired.volume_size.clone()));
    }
    let claims =
        Claims { replicas: replicas(observed, desired, live), epoch: epoch(live.epoch), volume_size: size };
    if live.stale || claims.replicas != live.replicas || claims.epoch != live.epoch {
        plan.steps.push(Step::ApplyStatefulSet { at: live.version.clone(), claims });
    }
    plan
}

/// The larger of what the spec wants and what may still hold data; and never less than now while someone could not be
/// asked, since "could not ask" is never "done".
fn replicas(observed: &Observed, desired: &Desired, live: &StatefulSetSeen) -> u32 {
    let replicas = wanted(observed, desired).max(floor(observed, &desired.names));
    let asked = match &observed.layout {
        LayoutSeen::Present { record, .. } => all_answered(record, observed, &desired.names),
        // Members are told only once the StatefulSet bears the epoch: if it bears none, nobody holds anything.
        LayoutSeen::Absent => live.epoch == 0,
        LayoutSeen::Unusable(_) => false,
    };
    if asked { replicas } else { replicas.max(live.replicas) }
}

/// What the spec wants, and a stand-in while one of only N members is replaced. With zones a pod is added when the one before has found its place, so that every prefix of
/// ordinals is evenly spread; one that loses its place later takes no other with it.
fn wanted(observed: &Observed, desired: &Desired) -> u32 {
    let reach = reach(observed, desired);
    if !desired.spread_zones {
        return reach;
    }
    let bound = |ordinal: &u32| observed.pods.get(ordinal).is_some_and(|pod| pod.bound);
    let bound = (0..reach).take_while(bound).count();
    let placed = u32::try_from(bound).unwrap_or(u32::MAX).saturating_add(1);
    let now = observed.statefulset.as_ref().map_or(0, |live| live.replicas);
    reach.min(placed.max(now))
}

/// One more than the highest ordinal that may hold data: ever named by a layout, and neither retired nor lost; or,
/// without a layout, noted on a volume claim when its member was told.
fn floor(observed: &Observed, names: &Names) -> u32 {
    let highest = match observed.layout.record() {
        Some(record) => {
            let active = record.named().iter().filter(|named| named.fate == Fate::Active);
            active.filter_map(|named| names.ordinal(&named.name)).max()
        }
        None => observed.claims.iter().filter(|(_, claim)| claim.node_id.is_some()).map(|(o, _)| *o).max(),
    };
    highest.map_or(0, |ordinal| ordinal.saturating_add(1))
}
