//! The worker that delivers hints: the driver of [`queue`](super::queue) and [`aim`](super::aim).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dynamo_proto::v1::refusal::Reason;
use dynamo_ring::NodeId;
use futures::future::{BoxFuture, pending, try_join_all};
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::aim::{Aim, aim, leaves};
use super::metrics::HintMetrics;
use super::queue::{Batch, Outcome, Queue, Rules};
use crate::layout::{Entered, Standing};
use crate::pace::Pace;
use crate::peer::{PeerError, Refused};
use crate::store::{AddHint, Hint, HintKey, Limit, MoveHint, OpError, RemoveHint, StandIn, blocking};
use crate::transfer::exchange::{KeyAndState, MESSAGE_BYTES, bytes_of};
use crate::transfer::purge::submit;
use crate::transfer::{Exchange, ExchangeError};
use crate::version::StateHash;
use crate::worker::{Turn, Worker};

/// Hints of one batch.
const BATCH: Limit = Limit { rows: 256, bytes: MESSAGE_BYTES };
/// Members that are delivered to side by side.
const ABREAST: usize = 4;
/// How soon a new hint is seen.
const POLL: Duration = Duration::from_secs(1);

/// Delivers hints.
#[derive(Debug)]
pub struct Deliverer {
    exchange: Exchange,
    pace: Pace,
    metrics: HintMetrics,
    queue: Queue,
    /// Who was owed something at the last turn; nothing before the first.
    owed: Option<BTreeSet<NodeId>>,
    begun: Instant,
    layouts: watch::Receiver<Option<Arc<Standing>>>,
    peers: watch::Receiver<u64>,
}

impl Deliverer {
    /// A deliverer that keeps to `pace` and counts in `metrics`. What an earlier process left is found at the first turn.
    pub fn new(exchange: Exchange, pace: Pace, metrics: HintMetrics) -> Self {
        let (layouts, peers) = (exchange.layouts.subscribe(), exchange.network.watch_up());
        Self {
            exchange,
            pace,
            metrics,
            queue: Queue::default(),
            owed: None,
            begun: Instant::now(),
            layouts,
            peers,
        }
    }

    async fn pass(&mut self) -> Result<Turn, ExchangeError> {
        self.peers.mark_unchanged();
        let standing = self.layouts.borrow_and_update().clone();
        let local = self.exchange.local.clone();
        let counts = blocking(move || local.hint_counts().map_err(ExchangeError::from)).await?;
        let owed: BTreeSet<NodeId> = counts.iter().map(|count| count.target).collect();
        if self.owed.is_none() && !counts.is_empty() {
            let hints: u64 = counts.iter().map(|count| count.hints).sum();
            tracing::info!(hints, members = owed.len(), "found hints of an earlier process");
        }
        let before = self.owed.replace(owed.clone()).unwrap_or_default();
        self.metrics.waiting(&before, &counts);
        let Some(standing) = standing.filter(|standing| !standing.retired) else {
            return Ok(Turn::Idle(POLL));
        };
        let rules = Rules { stamp: standing.stamp(), leaving: leaves(&standing) };
        let network = Arc::clone(&self.exchange.network);
        let mut batches = self.queue.due(self.begun.elapsed(), rules, &owed, |node| network.is_up(node));
        // Whoever seems to be gone holds up nobody else.
        batches.sort_by_key(|batch| network.is_suspected(batch.target));
        if batches.is_empty() {
            return Ok(Turn::Idle(self.queue.rest(self.begun.elapsed()).min(POLL)));
        }
        let work = batches.into_iter().map(|batch| async {
            let target = batch.target;
            (target, self.batch(batch, rules).await)
        });
        let outcomes: Vec<_> = stream::iter(work).buffer_unordered(ABREAST).collect().await;
        for (target, outcome) in outcomes {
            self.queue.done(target, outcome, self.begun.elapsed());
        }
        Ok(Turn::Busy)
    }

    async fn batch(&self, batch: Batch, rules: Rules) -> Outcome {
        let Batch { target, after, alone } = batch;
        // The states are read before the guard is taken.
        let _begun = self.exchange.layouts.begin(None);
        let limit = if alone { Limit::rows(1) } else { Limit { rows: self.pace.piece(BATCH.rows), ..BATCH } };
        let local = self.exchange.local.clone();
        let read = move || local.hints(target, after.as_ref(), limit).map_err(ExchangeError::from);
        let hints = match blocking(read).await {
            Ok(hints) => hints,
            Err(why) => {
                tracing::error!(%target, %why, "hints cannot be read; tried again");
                return Outcome::Failed;
            }
        };
        let Some(last) = hints.last().map(|hint| hint.key.clone()) else { return Outcome::End };
        // One guard for one batch: a step is not held up longer than a message may take.
        let entered = self.exchange.layouts.enter().filter(|entered| entered.stamp() == rules.stamp);
        let Some(entered) = entered else { return Outcome::Passed };
        let outcome = Work { worker: self, entered, target }.run(hints, rules.leaving).await;
        match outcome {
            Ok(sent) => {
                self.pace.keep(sent).await;
                Outcome::Went(last)
            }
            Err(why) => self.failed(target, &why, last, alone),
        }
    }

    fn failed(&self, target: NodeId, why: &ExchangeError, last: HintKey, alone: bool) -> Outcome {
        match why {
            ExchangeError::Passed(_) => Outcome::Passed,
            ExchangeError::Peer(why) if why.is_old_layout() => Outcome::Passed,
            ExchangeError::Peer(PeerError::Refused(Refused {
                reason: Reason::NotHolder | Reason::Invalid,
                ..
            })) => {
                if alone {
                    self.metrics.refused();
                    tracing::warn!(%target, key = ?last.key, %why, "a hint is not taken; it stays and is tried again");
                }
                Outcome::Refused(last)
            }
            ExchangeError::Peer(why) => {
                tracing::debug!(%target, %why, "hints are tried again later");
                Outcome::Failed
            }
            why => {
                tracing::warn!(%target, %why, "hints are tried again later");
                Outcome::Failed
            }
        }
    }
}

/// One batch of hints for one target, under one standing.
struct Work<'a> {
    worker: &'a Deliverer,
    entered: Entered,
    target: NodeId,
}

impl Work<'_> {
    /// Does with each hint what can be done now; says how many bytes went out.
    async fn run(&self, hints: Vec<Hint>, leaving: bool) -> Result<u64, ExchangeError> {
        let q = self.entered.record.stable().partitions();
        let network = &self.worker.exchange.network;
        let (mut settled, mut owe) = (Vec::new(), Vec::new());
        let mut deliver: Vec<KeyAndState> = Vec::new();
        let mut pass_on: BTreeMap<Vec<NodeId>, Vec<KeyAndState>> = BTreeMap::new();
        for Hint { key, encoded } in hints {
            // A hint whose key is gone points to nothing: removing it needs no hash.
            let Some(encoded) = encoded else {
                settled.push((key.key, StateHash([0; 16])));
                continue;
            };
            let partition = key.key.position().partition(q);
            match aim(&self.entered, leaving, self.target, partition, |node| network.is_up(node)) {
                Aim::Deliver { also } => {
                    owe.extend(also.into_iter().map(|node| (key.clone(), vec![node], false)));
                    deliver.push((key.key, encoded));
                }
                Aim::Owe(others) => owe.push((key, others, true)),
                Aim::PassOn(to) => pass_on.entry(to).or_default().push((key.key, encoded)),
                Aim::Settled => settled.push((key.key.clone(), StateHash::of(key.key.user_key(), &encoded))),
                Aim::Stay => {}
            }
        }
        try_join_all(owe.into_iter().map(|(key, to, instead)| self.owe(key, to, instead))).await?;
        self.remove(settled).await?;
        let mut sent = 0;
        for (to, entries) in pass_on {
            sent += self.pass_on(&to, entries).await?;
        }
        Ok(sent + self.deliver(deliver).await?)
    }

    /// Makes others owed the key: beside the target, or instead of it. The target's hint goes last, so that at no moment
    /// nobody is owed the key.
    async fn owe(&self, hint: HintKey, mut to: Vec<NodeId>, instead: bool) -> Result<(), OpError> {
        let HintKey { target, since_ms, key } = hint;
        let committer = &self.worker.exchange.committer;
        let moved = if instead { to.pop() } else { None };
        let add = |node| AddHint { key: key.clone(), hint: StandIn { target: node, since_ms } };
        try_join_all(to.into_iter().map(|node| submit(committer, add(node)))).await?;
        if let Some(to) = moved
            && submit(committer, MoveHint { key, from: target, to }).await?
        {
            self.worker.metrics.owed_to_others();
        }
        Ok(())
    }

    async fn deliver(&self, entries: Vec<KeyAndState>) -> Result<u64, ExchangeError> {
        if entries.is_empty() {
            return Ok(0);
        }
        let (bytes, hashes) = (bytes_of(&entries), hashes(&entries));
        self.worker.exchange.push(self.target, entries, None, self.entered.stamp()).await?;
        let gone = self.remove(hashes).await?;
        self.worker.metrics.delivered(gone);
        tracing::debug!(target = %self.target, hints = gone, bytes, "delivered hints");
        Ok(bytes)
    }

    async fn pass_on(&self, to: &[NodeId], entries: Vec<KeyAndState>) -> Result<u64, ExchangeError> {
        let (bytes, hashes) = (bytes_of(&entries), hashes(&entries));
        let stamp = self.entered.stamp();
        let pushes =
            to.iter().map(|node| self.worker.exchange.push(*node, entries.clone(), Some(self.target), stamp));
        try_join_all(pushes).await?;
        let gone = self.remove(hashes).await?;
        self.worker.metrics.passed_on(gone);
        tracing::info!(target = %self.target, hints = gone, "passed hints on to members that stay");
        Ok(bytes * to.len() as u64)
    }

    /// Removes the target's hints for what was delivered; says how many went. One whose key has changed since stays.
    async fn remove(&self, delivered: Vec<(crate::store::DataKey, StateHash)>) -> Result<usize, OpError> {
        let committer = &self.worker.exchange.committer;
        let remove = |(key, delivered)| submit(committer, RemoveHint { key, target: self.target, delivered });
        let gone = try_join_all(delivered.into_iter().map(remove)).await?;
        Ok(gone.into_iter().filter(|gone| *gone).count())
    }
}

fn hashes(entries: &[KeyAndState]) -> Vec<(crate::store::DataKey, StateHash)> {
    entries.iter().map(|(key, encoded)| (key.clone(), StateHash::of(key.user_key(), encoded))).collect()
}

impl Worker for Deliverer {
    fn name(&self) -> &'static str {
        "hints"
    }

    fn turn(&mut self) -> BoxFuture<'_, Turn> {
        async move {
            self.pass().await.unwrap_or_else(|why| {
                tracing::warn!(%why, "delivering hints is tried again");
                Turn::Idle(POLL)
            })
        }
        .boxed()
    }

    fn woken(&mut self) -> BoxFuture<'_, ()> {
        async move {
            let changed = tokio::select! {
                changed = self.layouts.changed() => changed,
                changed = self.peers.changed() => changed,
            };
            // Whoever told of changes has gone, and the node is stopping.
            if changed.is_err() {
                pending::<()>().await;
            }
        }
        .boxed()
    }
}
