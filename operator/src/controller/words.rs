//! Steps in words, for logs and metrics.

use super::apply::ApplyError;
use super::plan::Step;

/// How a step ended, in a word for metrics.
pub(super) fn outcome(result: &Result<(), ApplyError>) -> &'static str {
    match result {
        Ok(()) => "done",
        Err(ApplyError::Changed) => "changed",
        Err(ApplyError::Budget) => "held",
        Err(ApplyError::Member(_) | ApplyError::NoWay(_)) => "no answer",
        Err(ApplyError::Kube(_)) => "failed",
    }
}

/// What a step is called in logs and metrics.
pub(super) fn name(step: &Step) -> &'static str {
    match step {
        Step::CreateStatefulSet(_) => "CreateStatefulSet",
        Step::ApplyStatefulSet { .. } => "ApplyStatefulSet",
        Step::CreateLayout(_) => "CreateLayout",
        Step::ReplaceLayout { .. } => "ReplaceLayout",
        Step::MarkVolume { .. } => "MarkVolume",
        Step::Tell { .. } => "Tell",
        Step::Retire { .. } => "Retire",
        Step::SetPace { .. } => "SetPace",
        Step::DeleteVolume { .. } => "DeleteVolume",
        Step::Restart { .. } => "Restart",
    }
}

/// A log line, without the tables of a record.
pub(super) fn summary(step: &Step) -> String {
    match step {
        Step::CreateStatefulSet(claims) | Step::ApplyStatefulSet { claims, .. } => {
            format!("{} pods, epoch {}", claims.replicas, claims.epoch)
        }
        Step::CreateLayout(record) | Step::ReplaceLayout { record, .. } => {
            format!("{}, {} members named", record.stamp(), record.named().len())
        }
        Step::Tell { record, members } => {
            let ordinals: Vec<u32> = members.iter().map(|(ordinal, _)| *ordinal).collect();
            format!("{} to {ordinals:?}", record.stamp())
        }
        Step::Retire { ordinal, node_id, .. } => format!("member {ordinal}, node {node_id}"),
        Step::SetPace { ordinal, bytes_per_second, .. } => {
            format!("member {ordinal}: {bytes_per_second} bytes a second")
        }
        Step::MarkVolume { ordinal, .. } | Step::DeleteVolume { ordinal, .. } => format!("volume {ordinal}"),
        Step::Restart { ordinal, why, .. } => format!("pod {ordinal}: {why:?}"),
    }
}
