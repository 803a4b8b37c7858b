//! How far a change has come, in partitions and bytes.

use dynamo_ring::{NodeId, Record, plan as placement};

use super::text;
use crate::api::cluster::{Change, LastChange};
use crate::controller::observed::{Observed, Progress};

/// The change under way, or the last one. Figures only rise within a change: a member that has taken the next step may
/// tell of its copying no longer.
pub(super) fn last_change(
    before: Option<&LastChange>,
    record: Option<&Record>,
    observed: &Observed,
    now: &str,
) -> Option<LastChange> {
    let Some(record) = record else { return before.cloned() };
    let known = |epoch: u64| before.filter(|change| change.epoch == epoch).cloned();
    let Some(target) = record.target() else {
        let mut change = before.cloned()?;
        if change.epoch == record.stable().epoch() {
            // The last figures of members that were slower to tell than the record was to go on.
            raise(&mut change, observed);
            if record.settled() && change.finished_at.is_none() {
                change.finished_at = Some(now.to_owned());
            }
        }
        return Some(change);
    };
    let epoch = target.layout.epoch();
    let members = |layout: &dynamo_ring::Layout| i32::try_from(layout.members().len()).unwrap_or(i32::MAX);
    let mut change = known(epoch).unwrap_or_else(|| LastChange {
        epoch,
        change: Change { from: members(record.stable()), to: members(&target.layout) },
        started_at: now.to_owned(),
        partitions_moved: u32::try_from(placement::moves(record.stable(), &target.layout).len())
            .unwrap_or(u32::MAX),
        ..LastChange::default()
    });
    raise(&mut change, observed);
    Some(change)
}

fn raise(change: &mut LastChange, observed: &Observed) {
    let sum = |pick: fn(Progress) -> u64| of_epoch(observed, change.epoch).map(pick).sum::<u64>();
    let (moved, wanted, compared) =
        (sum(|p| p.bytes_pulled), sum(|p| p.bytes_wanted), sum(|p| p.bytes_compared));
    change.bytes_moved = change.bytes_moved.max(moved);
    change.bytes_to_move = change.bytes_to_move.max(wanted);
    change.bytes_compared = change.bytes_compared.max(compared);
}

/// Replicas of partitions that have arrived, of those that the target moves. A member may count what it had before too.
pub(super) fn synced(record: &Record, observed: &Observed) -> u32 {
    let Some(target) = record.target().map(|t| &t.layout) else { return 0 };
    let done = |id: &NodeId, progress: &Progress| {
        let gains = target.partitions_of(id).filter(|p| !record.stable().holds(id, *p)).count();
        let missing = progress.partitions_wanted.saturating_sub(progress.partitions_synced);
        u32::try_from(gains).unwrap_or(u32::MAX).saturating_sub(missing)
    };
    let answers = observed.pods.values().filter_map(|pod| pod.answer.as_ref());
    answers
        .filter_map(|a| Some((a.node_id(), a.progress.filter(|p| p.epoch == target.epoch())?)))
        .map(|(id, progress)| done(&id, &progress))
        .sum()
}

/// Until the copying ends, at the present rate; empty if there is nothing to copy or no rate.
pub(super) fn eta(record: &Record, observed: &Observed) -> String {
    let Some(target) = record.target() else { return String::new() };
    // Members copy at the same time: the slowest one counts.
    let left = of_epoch(observed, target.layout.epoch()).filter_map(|p| {
        let left = p.bytes_wanted.saturating_sub(p.bytes_pulled);
        (left > 0).then(|| left.checked_div(p.bytes_per_second))
    });
    match left.collect::<Option<Vec<u64>>>() {
        Some(seconds) => seconds.into_iter().max().map_or_else(String::new, |s| text::of_seconds(s.max(1))),
        None => String::new(),
    }
}

fn of_epoch(observed: &Observed, epoch: u64) -> impl Iterator<Item = Progress> {
    let answers = observed.pods.values().filter_map(|pod| pod.answer.as_ref());
    answers.filter_map(move |answer| answer.progress.filter(|p| p.epoch == epoch))
}
