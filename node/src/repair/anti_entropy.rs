//! The worker that compares this node's Merkle trees with the others', one member at a time: the driver of
//! [`rota`](super::rota).
//!
//! A round asks for the roots of all shared partitions in one message, and goes down only where they differ. What
//! differs goes both ways: a copy that both have in different versions is merged on both sides. A round that is cut
//! short leaves nothing half done, and the next one begins from the roots again.

use std::time::Duration;

use dynamo_ring::{LayoutId, NodeId, Partition};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::metrics::RepairMetrics;
use super::rota;
use crate::merkle::MerkleHash;
use crate::store::blocking;
use crate::transfer::compare::{Direction, compare_from};
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
        let id = standing.record.id();
        let differing = self.differing(id, peer, partitions).await?;
        self.metrics.round();
        self.metrics.differing(differing.len());
        for (partition, theirs) in differing {
            match compare_from(&self.exchange, id, peer, partition, theirs, Direction::Both, &self.pace).await
            {
                Ok(compared) => {
                    self.metrics.moved(compared);
                    tracing::debug!(%peer, %partition, ?compared, "repaired what differed");
                }
                // Dropped here or there meanwhile; that says nothing of the other partitions.
                Err(ExchangeError::NotHeld(..)) => self.metrics.failed(),
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// Those of the partitions whose roots differ, with the peer's root. What either side does not hold (yet, or any
    /// more) is left out.
    async fn differing(
        &self,
        id: LayoutId,
        peer: NodeId,
        partitions: Vec<Partition>,
    ) -> Result<Vec<(Partition, MerkleHash)>, ExchangeError> {
        let entered = self.exchange.enter(id)?;
        let theirs = self.exchange.roots(peer, &partitions, entered.stamp()).await?;
        drop(entered);
        let local = self.exchange.local.clone();
        blocking(move || {
            let mut differing = Vec::new();
            for (partition, theirs) in partitions.into_iter().zip(theirs) {
                let ours = local.summary(partition)?;
                differing.extend(
                    theirs.filter(|root| ours.held && *root != ours.root).map(|root| (partition, root)),
                );
            }
            Ok::<_, ExchangeError>(differing)
        })
        .await
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
