//! The pure machine of what this node goes by.
//!
//! The invariants, from the design:
//!
//! - Before a target is acknowledged, every partition that S does not give this node is dropped, but for keys that a
//!   hint points to: while it was nobody's here, it missed what was reaped. What was copied for an earlier target stays
//!   only if the new one says that it directly replaces that one, and gives the partition again.
//! - A node that S does not name drops its hints then too: their writes met their quorum in S without it.
//! - From the commit on, what the new S does not give stays held until it has been handed over.
//! - A record is acknowledged when it is durable, acted on, and every request begun under an older one has ended.
//!
//! [`State::found`] rebuilds the state from what is on disk, and [`Event::Started`] goes on from there, whatever the
//! point at which the process ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use dynamo_ring::fence::{self, SenderStamp, Take};
use dynamo_ring::{Layout, LayoutId, NodeId, Partition, Record, Step};

use super::refusal::{NotRetired, Refusal};
use super::standing::Standing;
use crate::planted::{self, Fault};

/// What is known. The first six are on disk and survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// This node.
    pub me: NodeId,
    /// The record taken last.
    pub record: Option<Arc<Record>>,
    /// Partitions whose keys stand in trees.
    pub held: Arc<BTreeSet<Partition>>,
    /// The layout for which this node has cleaned up; see [`Standing::cleaned`].
    pub cleaned: Option<LayoutId>,
    /// See [`Standing::handed_over`].
    pub handed_over: Option<LayoutId>,
    /// This node has left for good.
    pub retired: bool,
    /// Requests begun under older records have ended.
    pub ended: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The process has started over what is in the state.
    Started,
    /// Somebody brought a record.
    Offered(Arc<Record>),
    /// What [`Effect::Clean`] asked for is done, durably.
    Cleaned(LayoutId),
    /// Every request begun under an older record has ended.
    Ended(SenderStamp),
    /// Every holder in the committed layout has all that is here of these.
    Covered {
        /// The committed layout.
        committed: LayoutId,
        /// What may be dropped.
        partitions: BTreeSet<Partition>,
    },
    /// Nothing is left to hand over, and what was handed over is dropped.
    HandedOver(LayoutId),
}

/// What is to be done about it, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write the new state, durably, as one batch; forget how far these partitions had been copied. Only then does the
    /// new state count; if it fails, the old one stands and the rest is not done.
    Store {
        /// Partitions that are held no longer.
        forget: BTreeSet<Partition>,
    },
    /// Drop everything in these partitions but keys that a hint points to; first all hints, if so said. Report
    /// [`Event::Cleaned`].
    Clean {
        /// For this target or first layout.
        id: LayoutId,
        /// Everything that is not held.
        partitions: BTreeSet<Partition>,
        /// The stable layout does not name this node.
        hints: bool,
    },
    /// Report [`Event::Ended`] when every request begun under an older record has ended.
    AwaitEnded(SenderStamp),
    /// Tell whoever asks that this step is acknowledged.
    Acknowledge(SenderStamp),
}

impl State {
    /// A state as it is found on disk.
    pub fn found(
        me: NodeId,
        record: Option<Arc<Record>>,
        held: BTreeSet<Partition>,
        cleaned: Option<LayoutId>,
        handed_over: Option<LayoutId>,
        retired: bool,
    ) -> Self {
        // Requests of an earlier process ended with it.
        Self { me, record, held: held.into(), cleaned, handed_over, retired, ended: true }
    }

    /// What others see; nothing without a record.
    pub fn standing(&self) -> Option<Standing> {
        let record = self.record.clone()?;
        Some(Standing {
            me: self.me,
            held: Arc::clone(&self.held),
            cleaned: self.cleaned,
            acked: self.acked().is_some(),
            handed_over: self.handed_over,
            retired: self.retired,
            record,
        })
    }

    /// The step that is acknowledged, if it is the one that stands.
    pub fn acked(&self) -> Option<SenderStamp> {
        let record = self.record.as_ref()?;
        (self.ended && self.cleaned == Some(record.id())).then(|| SenderStamp::of(record))
    }

    /// What an event leads to: the state after it, and what is to be done. An event that came too late changes nothing.
    pub fn on(&self, event: Event) -> Result<(Self, Vec<Effect>), Refusal> {
        match event {
            Event::Offered(record) => self.offered(record),
            Event::Started => Ok(self.started()),
            Event::Cleaned(id) => Ok(self.cleaned(id)),
            Event::Ended(stamp) => Ok(self.ended(stamp)),
            Event::Covered { committed, partitions } => Ok(self.covered(committed, &partitions)),
            Event::HandedOver(id) => Ok(self.handed_over(id)),
        }
    }

    fn offered(&self, record: Arc<Record>) -> Result<(Self, Vec<Effect>), Refusal> {
        if self.retired {
            return Err(Refusal::Retired);
        }
        if fence::may_take(self.record.as_deref(), &record, self.me)? == Take::Same {
            return Ok((self.clone(), Vec::new()));
        }
        if self.record.is_none() && !record.view().names(&self.me) {
            return Err(Refusal::NotNamed(self.me));
        }
        if let Some(committed) = self.unfinished()
            && record.id() != committed
        {
            return Err(Refusal::HandingOver { committed });
        }
        let keep = self.keep(&record);
        let forget: BTreeSet<_> = self.held.difference(&keep).copied().collect();
        let stamp = SenderStamp::of(&record);
        let next = Self { held: Arc::new(keep), record: Some(record), ended: false, ..self.clone() };
        let mut effects = vec![Effect::Store { forget }];
        effects.extend(next.clean());
        effects.push(Effect::AwaitEnded(stamp));
        Ok((next, effects))
    }

    fn started(&self) -> (Self, Vec<Effect>) {
        let mut effects = Vec::from_iter(self.clean());
        effects.extend(self.acked().map(Effect::Acknowledge));
        (self.clone(), effects)
    }

    fn cleaned(&self, id: LayoutId) -> (Self, Vec<Effect>) {
        let Some(record) = self.record.as_ref().filter(|record| record.id() == id) else {
            return self.nothing();
        };
        if self.cleaned == Some(id) {
            return self.nothing();
        }
        let gives = record.view().write_layouts().flat_map(|layout| layout.partitions_of(&self.me));
        let held = self.held.iter().copied().chain(gives).collect();
        let next = Self { cleaned: Some(id), held: Arc::new(held), ..self.clone() };
        let mut effects = vec![Effect::Store { forget: BTreeSet::new() }];
        effects.extend(next.acked().map(Effect::Acknowledge));
        (next, effects)
    }

    fn ended(&self, stamp: SenderStamp) -> (Self, Vec<Effect>) {
        if self.ended || self.record.as_deref().map(SenderStamp::of) != Some(stamp) {
            return self.nothing();
        }
        let next = Self { ended: true, ..self.clone() };
        let clean = next.clean().filter(|effect| matches!(effect, Effect::Clean { hints: true, .. }));
        let effects = clean.into_iter().chain(next.acked().map(Effect::Acknowledge)).collect();
        (next, effects)
    }

    fn covered(&self, committed: LayoutId, partitions: &BTreeSet<Partition>) -> (Self, Vec<Effect>) {
        let Some(stable) = self.committed(committed) else { return self.nothing() };
        let goes = |p: &Partition| partitions.contains(p) && !stable.holds(&self.me, *p);
        let (forget, held): (BTreeSet<_>, BTreeSet<_>) = self.held.iter().copied().partition(goes);
        if forget.is_empty() {
            return self.nothing();
        }
        (Self { held: Arc::new(held), ..self.clone() }, vec![Effect::Store { forget }])
    }

    fn handed_over(&self, id: LayoutId) -> (Self, Vec<Effect>) {
        let Some(stable) = self.committed(id) else { return self.nothing() };
        let kept = self.held.iter().any(|p| !stable.holds(&self.me, *p));
        if kept || self.handed_over == Some(id) {
            return self.nothing();
        }
        let next = Self { handed_over: Some(id), ..self.clone() };
        (next, vec![Effect::Store { forget: BTreeSet::new() }])
    }

    /// Whether no layout that this node knows of stands against its leaving for good. What is on its disk is looked at
    /// apart.
    pub fn may_retire(&self) -> Result<(), NotRetired> {
        let Some(record) = &self.record else { return Ok(()) };
        let named = record.layouts().filter(|layout| layout.names(&self.me));
        if let Some(newest) = named.max_by_key(|layout| layout.epoch()) {
            return Err(NotRetired::Named(newest.id()));
        }
        match self.acked() {
            Some(_) => Ok(()),
            None => Err(NotRetired::Dropping(record.id())),
        }
    }

    fn nothing(&self) -> (Self, Vec<Effect>) {
        (self.clone(), Vec::new())
    }

    /// S, if it is this one, was committed, and this node has acknowledged that.
    fn committed(&self, id: LayoutId) -> Option<&Layout> {
        let record = self.record.as_ref()?;
        let stands = record.step() == Step::Committed && record.id() == id && self.acked().is_some();
        stands.then(|| record.stable())
    }

    /// What has to be done before the record may be acknowledged, if that has not been done.
    fn clean(&self) -> Option<Effect> {
        let record = self.record.as_ref()?;
        let id = record.id();
        let hints = !record.stable().names(&self.me) && !self.leaves(record);
        // A request of before may still make a hint, which nobody would ever take from a node that no layout names.
        let may = !hints || self.ended;
        (self.cleaned != Some(id) && !self.retired && may).then(|| Effect::Clean {
            id,
            partitions: record.stable().partitions().iter().filter(|p| !self.held.contains(p)).collect(),
            hints,
        })
    }

    /// Whether this node stood in the layout before S: what it has is handed over, not dropped.
    fn leaves(&self, record: &Record) -> bool {
        record.previous().is_some_and(|previous| previous.names(&self.me))
    }

    /// The committed layout whose hand-over is not done. Data would be lost if a new target had it dropped.
    fn unfinished(&self) -> Option<LayoutId> {
        let record = self.record.as_ref().filter(|record| record.step() == Step::Committed)?;
        let id = record.id();
        let stable = record.stable();
        let owes = self.held.iter().any(|p| !stable.holds(&self.me, *p)) || self.leaves(record);
        (owes && self.handed_over != Some(id) && self.cleaned == Some(id)).then_some(id)
    }

    /// What of that which is held now stays held under a new record.
    fn keep(&self, record: &Record) -> BTreeSet<Partition> {
        // The same target or what came of it: nothing is dropped before the hand-over.
        let same = self.record.as_ref().is_some_and(|mine| mine.id() == record.id());
        if same || self.leaves(record) || planted::is(Fault::KeepLeftovers) {
            return (*self.held).clone();
        }
        let continues = match (record.target(), &self.record) {
            (Some(target), Some(mine)) => target.replaces == Some(mine.id()) && mine.target().is_some(),
            _ => false,
        };
        let stays = |p: &Partition| {
            record.stable().holds(&self.me, *p)
                || continues && record.target().is_some_and(|target| target.layout.holds(&self.me, *p))
        };
        self.held.iter().copied().filter(stays).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
