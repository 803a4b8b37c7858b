//! The worker that hands over what a commit took from this node, and only then drops it.
//!
//! Stricter than the design asks: not `min(W, ..)` of the committed layout's holders have to cover a partition, with
//! hints for the others, but every one that is not lost. A holder that cannot be asked is waited for. Until it is back
//! the partition costs disk here and nothing else, while dropping it early would leave its only late copy to hints. If
//! every holder is lost, the partition stays and the change does not end: a person has to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dynamo_ring::{LayoutId, NodeId, Partition};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::watch;

use super::compare::{Direction, compare};
use super::exchange::{Exchange, ExchangeError};
use super::figures::Work;
use super::progress::Progress;
use super::purge::purge;
use crate::layout::{Duty, Standing};
use crate::pace::Pace;
use crate::store::blocking;
use crate::worker::{Turn, Worker};

/// Partitions that are handed over side by side.
const ABREAST: usize = 4;
const AGAIN: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_mins(1);

/// Whom each partition is still to be shown to. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    committed: LayoutId,
    covered: BTreeMap<Partition, BTreeSet<NodeId>>,
}

impl Owed {
    /// Nobody has been shown anything yet.
    pub const fn new(committed: LayoutId) -> Self {
        Self { committed, covered: BTreeMap::new() }
    }

    /// This holder has, durably, all that is here of the partition.
    pub fn covers(&mut self, partition: Partition, holder: NodeId) {
        self.covered.entry(partition).or_default().insert(holder);
    }

    /// The holders in the committed layout that have not been shown the partition; lost ones are left out. `None` if
    /// there is no holder to show it to.
    pub fn left(&self, standing: &Standing, partition: Partition) -> Option<Vec<NodeId>> {
        let holders = standing.record.stable().holders(partition).map(|member| member.node_id);
        let living: Vec<_> = holders.filter(|node| !standing.is_lost(node)).collect();
        let shown = |node: &NodeId| self.covered.get(&partition).is_some_and(|shown| shown.contains(node));
        (!living.is_empty()).then(|| living.into_iter().filter(|node| !shown(node)).collect())
    }

    /// Of these partitions, those that every living holder has.
    pub fn done(&self, standing: &Standing, partitions: &BTreeSet<Partition>) -> BTreeSet<Partition> {
        let done = |p: &Partition| self.left(standing, *p).is_some_and(|left| left.is_empty());
        partitions.iter().copied().filter(done).collect()
    }
}

/// Hands over and drops.
#[derive(Debug)]
pub struct Giver {
    exchange: Exchange,
    pace: Pace,
    progress: Progress,
    owed: Option<Owed>,
    layouts: watch::Receiver<Option<Arc<Standing>>>,
}

impl Giver {
    /// A giver that keeps to `pace` and tells `progress`.
    pub fn new(exchange: Exchange, pace: Pace, progress: Progress) -> Self {
        let layouts = exchange.layouts.subscribe();
        Self { exchange, pace, progress, owed: None, layouts }
    }

    async fn pass(&mut self) -> Result<Turn, ExchangeError> {
        let standing = self.layouts.borrow_and_update().clone();
        let Some((standing, Duty::HandOver { committed, partitions, hints })) =
            standing.and_then(|standing| Some((standing.clone(), standing.duty()?)))
        else {
            self.owed = None;
            return Ok(Turn::Idle(IDLE));
        };
        let mut owed = match self.owed.take().filter(|owed| owed.committed == committed) {
            Some(owed) => owed,
            None => Owed::new(committed),
        };
        let shown = self.show(&standing, &owed, &partitions).await;
        for (partition, holder) in shown {
            owed.covers(partition, holder);
        }
        let done = owed.done(&standing, &partitions);
        self.owed = Some(owed);
        if !done.is_empty() {
            self.exchange.layouts.covered(committed, done.clone()).await.map_err(refused)?;
            purge(&self.exchange.local, &self.exchange.committer, &self.pace, &done).await?;
        }
        if done.len() < partitions.len() {
            return Ok(Turn::Idle(AGAIN));
        }
        self.finish(&standing, committed, hints).await
    }

    /// Shows each partition to the holders that have not seen it and can be asked; says which now cover it.
    async fn show(
        &self,
        standing: &Standing,
        owed: &Owed,
        partitions: &BTreeSet<Partition>,
    ) -> Vec<(Partition, NodeId)> {
        let mut shows = Vec::new();
        for partition in partitions {
            let Some(left) = owed.left(standing, *partition) else {
                tracing::warn!(%partition, "every holder of a partition that left this node is lost: it stays here");
                continue;
            };
            let up = left.into_iter().filter(|holder| self.exchange.network.is_up(*holder));
            shows.extend(up.map(|holder| self.show_one(standing.record.id(), *partition, holder).boxed()));
        }
        stream::iter(shows).buffer_unordered(ABREAST).filter_map(std::future::ready).collect().await
    }

    async fn show_one(
        &self,
        committed: LayoutId,
        partition: Partition,
        holder: NodeId,
    ) -> Option<(Partition, NodeId)> {
        let _busy = self.progress.busy(committed, partition, Work::HandOver, holder);
        match compare(&self.exchange, committed, holder, partition, Direction::Push, &self.pace).await {
            Ok(compared) => {
                self.progress.pushed(committed, partition, compared.bytes_pushed);
                Some((partition, holder))
            }
            Err(why) => {
                tracing::debug!(%partition, %holder, %why, "a hand-over is tried again");
                None
            }
        }
    }

    /// Everything has been handed over; hints, if they are to go, are the deliverer's to hand over. Says so once nothing
    /// is left, leftovers of an earlier process included.
    async fn finish(
        &self,
        standing: &Standing,
        committed: LayoutId,
        hints: bool,
    ) -> Result<Turn, ExchangeError> {
        if hints {
            let local = self.exchange.local.clone();
            let counts = blocking(move || local.hint_counts().map_err(ExchangeError::from)).await?;
            if counts.iter().any(|count| count.hints > 0) {
                return Ok(Turn::Idle(AGAIN));
            }
        }
        let stable = standing.record.stable();
        let others = stable.partitions().iter().filter(|p| !stable.holds(&standing.me, *p)).collect();
        purge(&self.exchange.local, &self.exchange.committer, &self.pace, &others).await?;
        self.exchange.layouts.handed_over(committed).await.map_err(refused)?;
        tracing::info!(%committed, "handed over everything that the commit took from this node");
        Ok(Turn::Idle(IDLE))
    }
}

fn refused(why: crate::layout::Refusal) -> ExchangeError {
    use crate::layout::Refusal;
    use crate::store::OpError;
    ExchangeError::Store(match why {
        Refusal::Store(why) => why,
        _ => OpError::Stopped,
    })
}

impl Worker for Giver {
    fn name(&self) -> &'static str {
        "hand over"
    }

    fn turn(&mut self) -> BoxFuture<'_, Turn> {
        async move {
            self.pass().await.unwrap_or_else(|why| {
                tracing::warn!(%why, "handing over is tried again");
                Turn::Idle(AGAIN)
            })
        }
        .boxed()
    }

    fn woken(&mut self) -> BoxFuture<'_, ()> {
        async move { drop(self.layouts.changed().await) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::state::State;
    use crate::layout::state::tests::{fresh, member_id, members};

    #[test]
    fn a_partition_is_done_when_every_living_holder_covers_it() {
        let shrunk = fresh(4).propose(&members(0..3)).unwrap();
        let committed = shrunk.freeze().unwrap().switch().unwrap().commit().unwrap();
        let standing = |record: &dynamo_ring::Record| {
            let record = Some(Arc::new(record.clone()));
            State::found(member_id(3), record, BTreeSet::new(), None, None, false).standing().unwrap()
        };
        let (p, all) = (Partition(2), (0..8).map(Partition).collect());
        let now = standing(&committed);
        let mut owed = Owed::new(committed.id());
        let holders: BTreeSet<_> = (0..3).map(member_id).collect();
        assert_eq!(owed.left(&now, p).map(BTreeSet::from_iter), Some(holders));
        owed.covers(p, member_id(0));
        owed.covers(p, member_id(2));
        assert_eq!(owed.left(&now, p), Some(vec![member_id(1)]));
        assert_eq!(owed.done(&now, &all), BTreeSet::new(), "W of them are not enough");

        let lost = standing(&committed.lost(&member_id(1)).unwrap());
        assert_eq!(owed.done(&lost, &all), BTreeSet::from([p]), "who is lost is not waited for");
        owed.covers(p, member_id(1));
        assert_eq!(owed.done(&now, &all), BTreeSet::from([p]));
    }

    #[test]
    fn without_a_living_holder_nothing_is_done() {
        let shrunk = fresh(4).propose(&members(0..3)).unwrap();
        let mut record = shrunk.freeze().unwrap().switch().unwrap().commit().unwrap();
        for i in 0..3 {
            record = record.lost(&member_id(i)).unwrap();
        }
        let record = Some(Arc::new(record));
        let now = State::found(member_id(3), record, BTreeSet::new(), None, None, false).standing().unwrap();
        let owed = Owed::new(now.record.id());
        assert_eq!(owed.left(&now, Partition(0)), None);
        assert_eq!(owed.done(&now, &BTreeSet::from([Partition(0)])), BTreeSet::new());
    }
}
