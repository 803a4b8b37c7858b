//! The worker that copies what a target gives to this node: the driver of [`sync`](super::sync).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dynamo_ring::{LayoutId, NodeId, Partition, Record, Step};
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, stream};

use super::compare::{Direction, compare};
use super::exchange::{Exchange, ExchangeError};
use super::facts::{Copied, Pull};
use super::figures::Work as Shown;
use super::pull::{Means, keep, pull};
use super::sync::{Next, PartitionSync};
use crate::layout::{Duty, Standing};
use crate::store::blocking;
use crate::worker::{Turn, Worker};

/// Partitions that are copied side by side: enough that some are on their way while those that came share a sync.
pub const ABREAST: usize = 8;
/// Bytes of batches above 1 MiB that come at a time; one that is larger comes alone.
pub const ROOM: usize = 64 << 20;
/// How long to wait before what could not be done is tried again.
const AGAIN: Duration = Duration::from_millis(250);
/// How often an idle copier looks, though it is woken by every change of layout.
const IDLE: Duration = Duration::from_mins(1);

/// Copies what the target gives to this node.
#[derive(Debug)]
pub struct Copier {
    exchange: Exchange,
    means: Means,
    work: Option<Work>,
    layouts: tokio::sync::watch::Receiver<Option<std::sync::Arc<Standing>>>,
}

/// What is to be copied for one target, and how far that has come.
#[derive(Debug)]
struct Work {
    target: LayoutId,
    /// Those who have acknowledged the target; that does not pass while the target stands.
    acked: BTreeSet<NodeId>,
    partitions: BTreeMap<Partition, (Copied, PartitionSync)>,
}

impl Copier {
    /// A copier by these means.
    pub fn new(exchange: Exchange, means: Means) -> Self {
        let layouts = exchange.layouts.subscribe();
        Self { exchange, means, work: None, layouts }
    }

    async fn pass(&mut self) -> Result<Turn, ExchangeError> {
        let standing = self.layouts.borrow_and_update().clone();
        let Some((standing, Duty::Sync { target, partitions })) =
            standing.and_then(|standing| Some((standing.clone(), standing.duty()?)))
        else {
            self.work = None;
            return Ok(Turn::Idle(IDLE));
        };
        let mut work = match self.work.take().filter(|work| work.target == target) {
            Some(work) => work,
            None => self.begin(&standing.record, target, partitions).await?,
        };
        let left = |work: &Work| work.partitions.values().any(|(copied, _)| copied.synced != Some(target));
        if !left(&work) {
            self.work = Some(work);
            return Ok(Turn::Idle(IDLE));
        }
        let everyone_acked = self.everyone_acked(&standing, &mut work.acked).await;
        let mut jobs = Vec::new();
        for (partition, (copied, mut machine)) in std::mem::take(&mut work.partitions) {
            machine.begin_pass(&standing.record, partition);
            let one = One { copier: self, target, partition, everyone_acked };
            jobs.push(one.run(copied, machine).boxed());
        }
        let done: Vec<_> = stream::iter(jobs).buffer_unordered(ABREAST).collect().await;
        work.partitions = done.into_iter().collect();
        let left = left(&work);
        if !left {
            tracing::info!(%target, partitions = work.partitions.len(), "everything that the target gives is synced");
        }
        self.work = Some(work);
        Ok(Turn::Idle(if left { AGAIN } else { IDLE }))
    }

    /// What is on disk of this target's copy.
    async fn begin(
        &self,
        record: &Record,
        target: LayoutId,
        partitions: BTreeSet<Partition>,
    ) -> Result<Work, ExchangeError> {
        let local = self.exchange.local.clone();
        let read = move || -> Result<Vec<(Partition, Copied)>, ExchangeError> {
            let one = |partition| Ok((partition, Copied::read(&local, partition)?));
            partitions.into_iter().map(one).collect()
        };
        let copied = blocking(read).await?;
        self.means.progress.begin(target, copied.iter().cloned().collect());
        let machine = |(partition, copied): (Partition, Copied)| {
            let machine = PartitionSync::new(record, partition, copied.pull == Pull::Done);
            (partition, (copied, machine))
        };
        Ok(Work { target, acked: BTreeSet::new(), partitions: copied.into_iter().map(machine).collect() })
    }

    /// Whether every member of S and T, lost ones apart, has acknowledged the target.
    async fn everyone_acked(&self, standing: &Standing, acked: &mut BTreeSet<NodeId>) -> bool {
        let id = standing.record.id();
        let members = standing.record.view().members().map(|member| member.node_id);
        let needed: Vec<NodeId> = members.filter(|node| !standing.is_lost(node)).collect();
        if standing.acked {
            acked.insert(standing.me);
        }
        let ask = |node: NodeId| async move {
            let answer = self.exchange.acked(node, standing.stamp()).await;
            // A later step of the same target says so as well.
            let has =
                answer.is_ok_and(|acked| acked.is_some_and(|a| a.id == id && a.stamp.step >= Step::Proposed));
            has.then_some(node)
        };
        let others: Vec<_> =
            needed.iter().copied().filter(|node| *node != standing.me && !acked.contains(node)).collect();
        let answers = join_all(others.into_iter().map(ask)).await;
        acked.extend(answers.into_iter().flatten());
        needed.iter().all(|node| acked.contains(node))
    }
}

/// One partition's pass.
struct One<'a> {
    copier: &'a Copier,
    target: LayoutId,
    partition: Partition,
    everyone_acked: bool,
}

impl One<'_> {
    async fn run(
        self,
        mut copied: Copied,
        mut machine: PartitionSync,
    ) -> (Partition, (Copied, PartitionSync)) {
        let Copier { exchange, means, .. } = self.copier;
        let up = |node: &NodeId| exchange.network.is_up(*node);
        while copied.synced != Some(self.target) {
            let next = machine.next(up, |node| means.cost(node), self.everyone_acked);
            if next == Next::Wait {
                break;
            }
            match self.step(next, &mut copied, &mut machine).await {
                Ok(()) => {}
                Err(ExchangeError::Passed(_)) => break,
                Err(why) => {
                    tracing::debug!(partition = %self.partition, step = ?next, %why, "a copy is tried again");
                    match next {
                        Next::Pull(node) => {
                            means.failed(node);
                            machine.failed(node);
                        }
                        Next::Compare(node) => machine.failed(node),
                        Next::Wait | Next::Synced => break,
                    }
                }
            }
        }
        (self.partition, (copied, machine))
    }

    async fn step(
        &self,
        next: Next,
        copied: &mut Copied,
        machine: &mut PartitionSync,
    ) -> Result<(), ExchangeError> {
        let Copier { exchange, means, .. } = self.copier;
        let Means { pace, progress, .. } = means;
        match next {
            Next::Pull(from) => {
                let _busy = progress.busy(self.target, self.partition, Shown::Copy, from);
                let others = machine.others(from, |node| exchange.network.is_up(*node));
                pull(exchange, self.target, (from, &others), self.partition, copied, means).await?;
                machine.pulled();
            }
            Next::Compare(with) => {
                let _busy = progress.busy(self.target, self.partition, Shown::Compare, with);
                let compared =
                    compare(exchange, self.target, with, self.partition, Direction::Fetch, pace).await?;
                copied.compared_bytes += compared.bytes_fetched;
                progress.note(self.target, self.partition, copied, compared.bytes_fetched);
                machine.compared(with);
            }
            Next::Synced => {
                let synced = Copied { synced: Some(self.target), ..copied.clone() };
                let entered = exchange.enter(self.target)?;
                keep(exchange, self.partition, &synced).await?;
                drop(entered);
                progress.note(self.target, self.partition, &synced, 0);
                *copied = synced;
            }
            Next::Wait => {}
        }
        Ok(())
    }
}

impl Worker for Copier {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn turn(&mut self) -> BoxFuture<'_, Turn> {
        async move {
            self.pass().await.unwrap_or_else(|why| {
                tracing::warn!(%why, "copying what the target gives is tried again");
                Turn::Idle(AGAIN)
            })
        }
        .boxed()
    }

    fn woken(&mut self) -> BoxFuture<'_, ()> {
        async move { drop(self.layouts.changed().await) }.boxed()
    }
}
