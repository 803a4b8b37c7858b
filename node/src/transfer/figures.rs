//! What a change of layout looks like at this node, partition by partition and in sum. Pure: the caller brings the time.
//!
//! What is not known is said to be unknown, and is never a zero: a size before the source's snapshot told it, a rate before
//! a second has passed, what is left where either is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use dynamo_proto::v1::{Move, MoveState, TargetProgress};
use dynamo_ring::{LayoutId, NodeId, Partition, Step};

use super::facts::{Copied, Pull};
use super::rate::{Rate, left};
use crate::layout::Standing;
use crate::peer::wire::{node_id_bytes, stamp_message};

/// What is done with another member for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is pulled from there.
    Copy,
    /// It is compared with what is there.
    Compare,
    /// What is here is shown to it.
    HandOver,
}

/// The figures of one layout: of its target's copies, or once it is committed of what is handed over.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    layout: Option<LayoutId>,
    coming: BTreeMap<Partition, Coming>,
    pushed: BTreeMap<Partition, u64>,
    busy: Vec<(Partition, NodeId, Work)>,
    rate: Rate,
    /// The mean rate of the copying before this.
    before: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct Coming {
    copied: Copied,
    /// While it is pulled.
    rate: Option<Rate>,
}

impl Coming {
    /// Bytes of the whole partition, if they are known.
    fn size(&self) -> Option<u64> {
        match (self.copied.wanted_bytes, self.whole()) {
            (0, false) => None,
            (bytes, _) => Some(bytes),
        }
    }

    /// All of it has been pulled.
    fn whole(&self) -> bool {
        self.copied.pull == Pull::Done || self.copied.synced.is_some()
    }

    /// Bytes that are still to be pulled, if that is known.
    fn left(&self) -> Option<u64> {
        if self.whole() { Some(0) } else { Some(self.size()?.saturating_sub(self.copied.pulled_bytes)) }
    }
}

impl Figures {
    /// Begins anew for a target, from what is on disk.
    pub fn begin(&mut self, target: LayoutId, partitions: BTreeMap<Partition, Copied>, now: Duration) {
        let coming = |(partition, copied)| (partition, Coming { copied, rate: None });
        let coming = partitions.into_iter().map(coming).collect();
        let (rate, before) = (Rate::begun(now), self.copied_per_second());
        *self = Self { layout: Some(target), coming, rate, before, ..Self::default() };
    }

    /// How far a partition has come, and the bytes that came for it just now.
    pub fn note(
        &mut self,
        target: LayoutId,
        partition: Partition,
        copied: &Copied,
        bytes: u64,
        now: Duration,
    ) {
        if self.layout != Some(target) {
            return;
        }
        let coming = self.coming.entry(partition).or_default();
        coming.copied = copied.clone();
        if let Some(rate) = &mut coming.rate {
            rate.add(bytes, now);
        }
        self.rate.add(bytes, now);
    }

    /// Work begins on a partition, with this member.
    pub fn begins(&mut self, layout: LayoutId, work: (Partition, NodeId, Work), now: Duration) {
        if self.layout.is_none_or(|known| known.epoch < layout.epoch) {
            self.begin(layout, BTreeMap::new(), now);
        }
        if self.layout == Some(layout) {
            self.busy.push(work);
            if let (partition, _, Work::Copy) = work {
                self.coming.entry(partition).or_default().rate.get_or_insert(Rate::begun(now));
            }
        }
    }

    /// It has ended.
    pub fn ends(&mut self, layout: LayoutId, work: (Partition, NodeId, Work)) {
        let at = self.busy.iter().position(|busy| *busy == work).filter(|_| self.layout == Some(layout));
        let Some(at) = at else { return };
        self.busy.swap_remove(at);
        if !self.busy.iter().any(|(partition, _, what)| *partition == work.0 && *what == Work::Copy)
            && let Some(coming) = self.coming.get_mut(&work.0)
        {
            coming.rate = None;
        }
    }

    /// So many bytes of a partition were pushed to those that hold it now.
    pub fn pushed(&mut self, layout: LayoutId, partition: Partition, bytes: u64) {
        if self.layout == Some(layout) {
            *self.pushed.entry(partition).or_default() += bytes;
        }
    }

    /// Bytes a second over the seconds in which pulls carried anything: now, or else the last time.
    pub fn copied_per_second(&self) -> Option<u64> {
        self.rate.mean().or(self.before)
    }

    /// How far this node has come with what the target gives it; nothing without a target.
    pub fn report(&self, standing: &Standing, now: Duration) -> Option<TargetProgress> {
        standing.record.target()?;
        let known = self.known(standing);
        let coming: Vec<Coming> = standing.gains().iter().map(|p| self.coming(standing, *p)).collect();
        let target = Some(standing.record.id());
        let sum = |pick: fn(&Copied) -> u64| coming.iter().map(|one| pick(&one.copied)).sum::<u64>();
        let sizes: Vec<u64> = coming.iter().filter_map(Coming::size).collect();
        let unsized_ = (coming.len() - sizes.len()) as u64;
        let all: u64 = sizes.iter().sum();
        // Partitions are alike in size, keys being spread by a hash: those not yet begun weigh what the others do.
        let mean = all.checked_div(sizes.len() as u64);
        let guess = mean.unwrap_or(0).saturating_mul(unsized_);
        let to_come = coming.iter().map(|one| one.left().or(mean)).sum::<Option<u64>>();
        let rate = known.and_then(|known| known.rate.at(now));
        let left =
            to_come.and_then(|bytes| if bytes == 0 { Some(Duration::ZERO) } else { left(bytes, rate) });
        Some(TargetProgress {
            target: Some(stamp_message(standing.stamp())),
            partitions_wanted: count(coming.len()),
            partitions_synced: count(coming.iter().filter(|one| one.copied.synced == target).count()),
            bytes_wanted: all.saturating_add(guess),
            bytes_pulled: sum(|copied| copied.pulled_bytes),
            bytes_compared: sum(|copied| copied.compared_bytes),
            bytes_per_second: rate,
            partitions_unsized: u32::try_from(unsized_).unwrap_or(u32::MAX),
            left_ms: left.map(millis),
        })
    }

    /// Every partition that the change brings to this node or takes from it. What lies here of each is not looked at.
    pub fn moves(&self, standing: &Standing, now: Duration) -> Vec<Move> {
        let (record, me) = (&standing.record, standing.me);
        let mut moves = Vec::new();
        let leaves = |partition: Partition, state: MoveState| Move {
            partition: partition.0.into(),
            state: state.into(),
            with: self.with(standing, partition),
            bytes_pushed: self.known(standing).and_then(|f| f.pushed.get(&partition).copied()).unwrap_or(0),
            ..Move::default()
        };
        if let Some(target) = record.target() {
            moves.extend(standing.gains().iter().map(|p| self.comes(standing, *p, now)));
            let leaving = record.stable().partitions_of(&me).filter(|p| !target.layout.holds(&me, *p));
            moves.extend(leaving.map(|p| leaves(p, MoveState::Leaving)));
        } else if let Some(previous) = record.previous() {
            let left = previous.partitions_of(&me).filter(|p| !record.stable().holds(&me, *p));
            let done = standing.handed_over == Some(record.id());
            let state = |p: &Partition| {
                if standing.holds(*p) && !done { MoveState::HandingOver } else { MoveState::Dropped }
            };
            moves.extend(left.map(|p| leaves(p, state(&p))));
        }
        moves.sort_by_key(|one| one.partition);
        moves
    }

    /// How many of these are in which state, of every state that there is.
    pub fn states(&self, standing: Option<&Standing>) -> Vec<(&'static str, u64)> {
        let moves = standing.map_or_else(Vec::new, |standing| self.moves(standing, Duration::ZERO));
        let of = |state: MoveState| moves.iter().filter(|one| one.state() == state).count() as u64;
        NAMES.iter().map(|(state, name)| (*name, of(*state))).collect()
    }

    fn comes(&self, standing: &Standing, partition: Partition, now: Duration) -> Move {
        let coming = self.coming(standing, partition);
        let working = |work| {
            let known = self.known(standing);
            known.is_some_and(|f| f.busy.iter().any(|(p, _, what)| *p == partition && *what == work))
        };
        let state = if coming.copied.synced == Some(standing.record.id()) {
            MoveState::Synced
        } else if working(Work::Compare) {
            MoveState::Comparing
        } else if coming.whole() {
            MoveState::Copied
        } else if working(Work::Copy) {
            MoveState::Copying
        } else {
            MoveState::Waiting
        };
        let rate = coming.rate.as_ref().and_then(|rate| rate.at(now));
        let to_come = coming.left().filter(|_| state == MoveState::Copying);
        Move {
            partition: partition.0.into(),
            state: state.into(),
            with: self.with(standing, partition),
            bytes_wanted: coming.size(),
            bytes_pulled: coming.copied.pulled_bytes,
            bytes_compared: coming.copied.compared_bytes,
            bytes_per_second: rate,
            left_ms: to_come.and_then(|bytes| left(bytes, rate)).map(millis),
            ..Move::default()
        }
    }

    /// Those with whom something is done for the partition just now.
    fn with(&self, standing: &Standing, partition: Partition) -> Vec<bytes::Bytes> {
        let busy = self.known(standing).into_iter().flat_map(|known| &known.busy);
        let mut with: Vec<NodeId> =
            busy.filter(|(p, ..)| *p == partition).map(|(_, node, _)| *node).collect();
        with.sort_unstable();
        with.dedup();
        with.into_iter().map(node_id_bytes).collect()
    }

    /// What is known of a partition that the target gives.
    fn coming(&self, standing: &Standing, partition: Partition) -> Coming {
        match self.known(standing).and_then(|known| known.coming.get(&partition)) {
            Some(coming) => coming.clone(),
            None if standing.record.step() == Step::Proposed => Coming::default(),
            // Nobody freezes before everything is synced; the figures of an earlier process went with it.
            None => {
                let synced = Some(standing.record.id());
                Coming { copied: Copied { synced, ..Copied::default() }, rate: None }
            }
        }
    }

    /// The figures, if they are those of the layout that stands.
    fn known(&self, standing: &Standing) -> Option<&Self> {
        (self.layout == Some(standing.record.id())).then_some(self)
    }
}

/// The states as figures name them.
const NAMES: [(MoveState, &str); 8] = [
    (MoveState::Waiting, "waiting"),
    (MoveState::Copying, "copying"),
    (MoveState::Copied, "copied"),
    (MoveState::Comparing, "comparing"),
    (MoveState::Synced, "synced"),
    (MoveState::Leaving, "leaving"),
    (MoveState::HandingOver, "handing_over"),
    (MoveState::Dropped, "dropped"),
];

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
