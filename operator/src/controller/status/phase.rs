//! Where a cluster stands, in one word.

use dynamo_ring::change::{self, Next, Waiting};
use dynamo_ring::{Fate, Member, Record, Step as LayoutStep};

use super::Facts;
use crate::api::cluster::Phase;
use crate::controller::observed::{LayoutSeen, Observed};
use crate::controller::plan::members::reports;
use crate::controller::plan::{Step, Wait};
use crate::controller::validate::Desired;

/// The phase after this pass.
pub(super) fn phase(before: Phase, facts: &Facts<'_>, ready: u32) -> Phase {
    let Facts { desired, observed, plan, failures, .. } = *facts;
    if plan.waits.iter().any(blocks) {
        return Phase::Blocked;
    }
    let LayoutSeen::Present { record, .. } = &observed.layout else {
        let up = (0..desired.replicas).all(|o| observed.pods.get(&o).is_some_and(|pod| pod.answer.is_some()));
        return if up { Phase::Forming } else { Phase::Pending };
    };
    let all_ready = ready == desired.replicas;
    let young = matches!(before, Phase::Pending | Phase::Forming);
    if record.settled()
        && record.highest_epoch() == 1
        && young
        && !(all_ready && told(record, observed, desired))
    {
        return Phase::Forming;
    }
    if !at_rest(record, facts) {
        return Phase::Rebalancing;
    }
    if plan.waits.iter().any(|wait| matches!(wait, Wait::Restarting(_))) {
        return Phase::Restarting;
    }
    let waits = plan.waits.iter().any(|wait| !matches!(wait, Wait::VolumeSize(..)));
    if all_ready && told(record, observed, desired) && failures.is_empty() && !waits {
        Phase::Ready
    } else {
        Phase::Degraded
    }
}

/// The layout has the members that are wanted, has settled, and whoever had to go has gone with his volume.
fn at_rest(record: &Record, facts: &Facts<'_>) -> bool {
    let Facts { desired, observed, plan, .. } = *facts;
    let wanted = |ordinal: u32| ordinal < desired.replicas;
    let stays = |m: &Member| {
        desired.names.ordinal(&m.name).is_some_and(wanted) && record.fate(&m.node_id) == Some(Fate::Active)
    };
    let members = record.stable().members();
    let layout = members.iter().all(stays) && u32::try_from(members.len()) == Ok(desired.replicas);
    let pods = observed.statefulset.as_ref().is_some_and(|live| live.replicas == desired.replicas)
        && observed.pods.keys().all(|ordinal| wanted(*ordinal));
    let volumes = observed.claims.iter().all(|(ordinal, claim)| wanted(*ordinal) || !claim.terminating)
        && !plan.steps.iter().any(|step| matches!(step, Step::DeleteVolume { .. }));
    record.settled() && layout && pods && volumes
}

/// Every member has answered, and has taken the record as it stands.
fn told(record: &Record, observed: &Observed, desired: &Desired) -> bool {
    change::next(record, &reports(record, observed, &desired.names)) == Next::Done
}

/// A person has to look before anything can go on.
fn blocks(wait: &Wait) -> bool {
    matches!(
        wait,
        Wait::NameConflict(_) | Wait::LayoutUnusable(_) | Wait::LayoutMissing(_) | Wait::Refused(_)
    )
}

/// A person has to look, though the rest goes on.
pub(super) fn needs_a_person(wait: &Wait) -> bool {
    let no_copy = matches!(wait, Wait::Change(Waiting::NoLivingCopy(_)));
    let odd = matches!(wait, Wait::LostStillAnswer(_) | Wait::UnknownData(_) | Wait::VolumeSize(..));
    let named = matches!(wait, Wait::NameConflict(_));
    (blocks(wait) && !named) || odd || no_copy
}

/// Something is being done, or waited for.
pub(super) fn progresses(phase: Phase) -> bool {
    matches!(phase, Phase::Pending | Phase::Forming | Phase::Rebalancing | Phase::Restarting)
}

/// The phase as a condition's reason.
pub(super) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Forming => "Forming",
        Phase::Ready => "Settled",
        Phase::Rebalancing => "Rebalancing",
        Phase::Restarting => "Restarting",
        Phase::Degraded => "Degraded",
        Phase::Blocked => "Blocked",
    }
}

/// The step of a change as a condition's reason.
pub(super) fn step(record: &Record) -> &'static str {
    match record.step() {
        LayoutStep::Proposed => "Copying",
        LayoutStep::Frozen => "Frozen",
        LayoutStep::Switched => "Switched",
        LayoutStep::Committed if record.settled() => "Settled",
        LayoutStep::Committed => "HandingOver",
    }
}
