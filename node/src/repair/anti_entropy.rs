//! The worker that compares this node's Merkle trees with the others', one member at a time: the driver of
//! [`rota`](super::rota).
//!
//! A round begins with one hash over the roots of all shared partitions. The answer is that it is the same there, which
//! ends the round, or else all the roots; it goes down only where they differ. What differs goes both ways: a copy that both have in different versions is merged on both sides. A round that is cut
//! short leaves nothing half done, and the next one begins from the roots again.

use std::time::Duration;

use dynamo_ring::{NodeId, Partition};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::metrics::RepairMetrics;
use super::rota;
use crate::layout::Standing;
use crate::merkle::MerkleHash;
use crate::store::blocking;
use crate::transfer::compare::{Direction, Ended, compare_from};
use crate::transfer::exchange::SharedRoots;
use crate::transfer::{Exchange, ExchangeError, Pace};
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
}

impl AntiEntropy {
    /// One round every `interval`, at the bytes per second that `pace` allows.
    pub const fn new(exchange: Exchange, pace: Pace, metrics: RepairMetrics, interval: Duration) -> Self {
        Self { exchange, pace, metrics, interval, last: None }
    }

    /// One round with the next member, if there is one.
    async fn round(&mut self) -> Result<(), ExchangeError> {
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
        let id = standing.record.id();
        let ended = compare_from(&self.exchange, id, peer, &differing, Direction::Both, &self.pace).await?;
        for (partition, ended) in ended {
            match ended {
                Ended::Compared(compared) => {
                    self.metrics.moved(compared);
                    tracing::debug!(%peer, %partition, ?compared, "repaired what differed");
                }
                // Dropped here or there meanwhile; that says nothing of the other partitions.
                Ended::NotHeld(_) => self.metrics.failed(),
            }
        }
        Ok(())
    }

    /// Those of the partitions whose roots differ, with the peer's root. What either side does not hold (yet, or any
    /// more) is left out.
    async fn differing(
        &self,
        standing: &Standing,
        peer: NodeId,
        mut partitions: Vec<Partition>,
    ) -> Result<Vec<(Partition, MerkleHash)>, ExchangeError> {
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
            SharedRoots::Alike => return Ok(Vec::new()),
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
        let differs = |(partition, (ours, theirs)): (_, (Option<MerkleHash>, Option<MerkleHash>))| {
            theirs.filter(|theirs| ours.is_some_and(|ours| ours != *theirs)).map(|root| (partition, root))
        };
        Ok(both.filter_map(differs).collect())
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
