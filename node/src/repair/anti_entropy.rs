//! The worker that compares this node's Merkle trees with the others', one member at a time: the driver of
//! [`rota`](super::rota).
//!
//! A round begins with one hash over the roots of all shared partitions. The answer is that it is the same there, which
//! ends the round, or else all the roots; it goes down only where they differ. What differs goes both ways: a copy that both have in different versions is merged on both sides. A round that is cut
//! short leaves nothing half done, and the next one begins from the roots again.

use std::collections::BTreeMap;
use std::time::Duration;

use dynamo_ring::{NodeId, Partition};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::metrics::RepairMetrics;
use super::rebuild::rebuild;
use super::rota;
use super::standoff::{Pair, Standoffs};
use crate::layout::Standing;
use crate::merkle::MerkleHash;
use crate::pace::Pace;
use crate::store::{Rebuild, blocking};
use crate::transfer::compare::{Direction, Ended, compare_from};
use crate::transfer::exchange::SharedRoots;
use crate::transfer::purge::submit;
use crate::transfer::{Exchange, ExchangeError};
use crate::worker::{Turn, Worker};

/// How often a round begins, unless said otherwise.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Compares and repairs.
#[derive(Debug)]
pub struct AntiEntropy {
    exchange: Exchange,
    pace: Pace,
    metrics: RepairMetrics,
    interval: Duration,
    /// Whose turn was last.
    last: Option<NodeId>,
    standoffs: Standoffs,
}

impl AntiEntropy {
    /// One round every `interval`, at the bytes per second that `pace` allows.
    pub fn new(exchange: Exchange, pace: Pace, metrics: RepairMetrics, interval: Duration) -> Self {
        Self { exchange, pace, metrics, interval, last: None, standoffs: Standoffs::default() }
    }

    /// What is in doubt here, then one round with the next member, if there is one.
    async fn round(&mut self) -> Result<(), ExchangeError> {
        rebuild(&self.exchange, &self.pace, &self.metrics).await?;
        let Some(standing) = self.exchange.layouts.current().filter(|standing| standing.serves()) else {
            return Ok(());
        };
        let mut shared = rota::shared(&standing);
        let network = &self.exchange.network;
        let Some(peer) = rota::next(&shared, self.last, |node| network.is_up(node)) else { return Ok(()) };
        // Also if it fails: the others are not to wait for it.
        self.last = Some(peer);
        let partitions = shared.remove(&peer).unwrap_or_default();
        let differing = self.differing(&standing, peer, partitions).await?;
        self.metrics.round();
        self.metrics.differing(differing.len());
        self.standoffs.begin(peer, &differing.keys().copied().collect());
        let mut repair = Vec::new();
        for (partition, pair) in &differing {
            if self.standoffs.is_stuck(peer, *partition, *pair) {
                tracing::warn!(%peer, %partition, "a repair changed nothing: the tree here is made anew");
                submit(&self.exchange.committer, Rebuild { partition: *partition }).await?;
            } else {
                repair.push((*partition, pair.1));
            }
        }
        let id = standing.record.id();
        let ended = compare_from(&self.exchange, id, peer, &repair, Direction::Both, &self.pace).await?;
        for (partition, ended) in ended {
            match ended {
                Ended::Compared(compared) => {
                    self.metrics.moved(compared);
                    if let Some(pair) = differing.get(&partition) {
                        self.standoffs.repaired(peer, partition, *pair);
                    }
                    tracing::debug!(%peer, %partition, ?compared, "repaired what differed");
                }
                // Dropped here or there meanwhile; that says nothing of the other partitions.
                Ended::NotHeld(_) => self.metrics.failed(),
            }
        }
        if repair.len() < differing.len() {
            rebuild(&self.exchange, &self.pace, &self.metrics).await?;
        }
        Ok(())
    }

    /// Those of the partitions whose roots differ, with the roots here and there. What either side does not hold (yet, or any
    /// more) is left out.
    async fn differing(
        &self,
        standing: &Standing,
        peer: NodeId,
        mut partitions: Vec<Partition>,
    ) -> Result<BTreeMap<Partition, Pair>, ExchangeError> {
        let id = standing.record.id();
        let ours = self.roots(&partitions).await?;
        let entered = self.exchange.enter(id)?;
        // Which partitions are meant hangs on the step.
        if entered.stamp() != standing.stamp() {
            return Err(ExchangeError::Passed(id));
        }
        let all: Option<Vec<MerkleHash>> = ours.iter().copied().collect();
        let told = match all {
            Some(all) => {
                let hash = MerkleHash::of_roots(all);
                self.exchange.shared_roots(peer, hash, partitions.len(), entered.stamp()).await?
            }
            // Something is not here yet: there is no hash over all.
            None => SharedRoots::Untold,
        };
        let theirs = match told {
            SharedRoots::Alike => return Ok(BTreeMap::new()),
            SharedRoots::Roots(theirs) => theirs,
            SharedRoots::Untold => {
                let mut held = ours.iter().map(Option::is_some);
                partitions.retain(|_| held.next().unwrap_or(false));
                self.exchange.roots(peer, &partitions, entered.stamp()).await?
            }
        };
        drop(entered);
        // Looked at once more, now that the answer is here: much of what was being written has come to both.
        let ours = self.roots(&partitions).await?;
        let both = partitions.into_iter().zip(ours.into_iter().zip(theirs));
        let pairs = both.filter_map(|(partition, (ours, theirs))| Some((partition, (ours?, theirs?))));
        Ok(pairs.filter(|(_, (ours, theirs))| ours != theirs).collect())
    }

    async fn roots(&self, partitions: &[Partition]) -> Result<Vec<Option<MerkleHash>>, ExchangeError> {
        let (local, partitions) = (self.exchange.local.clone(), partitions.to_vec());
        blocking(move || local.roots(&partitions).map_err(ExchangeError::from)).await
    }
}

impl Worker for AntiEntropy {
    fn name(&self) -> &'static str {
        "anti-entropy"
    }

    fn turn(&mut self) -> BoxFuture<'_, Turn> {
        async move {
            if let Err(why) = self.round().await {
                self.metrics.failed();
                tracing::debug!(peer = ?self.last, %why, "a round of anti-entropy ended early");
            }
            Turn::Idle(self.interval)
        }
        .boxed()
    }
}
