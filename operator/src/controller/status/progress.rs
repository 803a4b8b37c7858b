//! How far a change has come, in partitions and bytes.

use dynamo_ring::{Record, plan as placement};

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

/// Replicas of partitions that have arrived, of those that the target moves.
pub(super) fn synced(record: &Record, observed: &Observed) -> u32 {
    receivers(record, observed).map(|receiver| receiver.synced()).sum()
}

/// Until the last copy ends, at the present rates: members copy at the same time, so the slowest one counts. Empty when
/// all have ended, and while one that is to copy something cannot tell.
pub(super) fn eta(record: &Record, observed: &Observed) -> String {
    let left = receivers(record, observed).map(|receiver| receiver.progress?.left_ms);
    match left.collect::<Option<Vec<u64>>>().and_then(|left| left.into_iter().max()) {
        Some(ms) if ms > 0 => text::of_seconds(ms.div_ceil(1000)),
        _ => String::new(),
    }
}

/// Whether every member that is to copy something knows how much that is, about.
pub(super) fn sized(record: &Record, observed: &Observed) -> bool {
    receivers(record, observed).all(|receiver| {
        receiver
            .progress
            .is_some_and(|p| p.partitions_unsized == 0 || p.partitions_unsized < p.partitions_wanted)
    })
}

/// A member that the target gives something to.
struct Receiver {
    gains: u32,
    progress: Option<Progress>,
}

impl Receiver {
    /// A member may count what it had before too.
    fn synced(&self) -> u32 {
        let Some(progress) = self.progress else { return 0 };
        let missing = progress.partitions_wanted.saturating_sub(progress.partitions_synced);
        self.gains.saturating_sub(missing)
    }
}

fn receivers<'a>(record: &'a Record, observed: &'a Observed) -> impl Iterator<Item = Receiver> + 'a {
    let layout = record.target().map(|target| &target.layout);
    layout.into_iter().flat_map(move |layout| {
        layout.members().iter().filter_map(move |member| {
            let id = member.node_id;
            let gains = layout.partitions_of(&id).filter(|p| !record.stable().holds(&id, *p)).count();
            let mut answers = observed.pods.values().filter_map(|pod| pod.answer.as_ref());
            let answer = answers.find(|answer| answer.node_id() == id);
            let progress = answer.and_then(|answer| answer.progress).filter(|p| p.epoch == layout.epoch());
            (gains > 0).then(|| Receiver { gains: u32::try_from(gains).unwrap_or(u32::MAX), progress })
        })
    })
}

fn of_epoch(observed: &Observed, epoch: u64) -> impl Iterator<Item = Progress> {
    let answers = observed.pods.values().filter_map(|pod| pod.answer.as_ref());
    answers.filter_map(move |answer| answer.progress.filter(|p| p.epoch == epoch))
}
