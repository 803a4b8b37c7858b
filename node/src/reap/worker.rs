//! The worker that begins rounds: pass after pass over the partitions of which this node is the first holder, one list of
//! keys at a time.

use std::collections::VecDeque;
use std::time::Duration;

use dynamo_ring::{Partition, Position};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::drive::Begin;
use super::fit::{Ground, begins, owners};
use super::serve::Participant;
use super::wire::MOST_KEYS;
use crate::entropy::Entropy;
use crate::layout::Standing;
use crate::store::{DataKey, IndexPassing, Limit, Listed, OpError, PassedKeys, blocking};
use crate::transfer::purge::submit;
use crate::worker::{Turn, Worker};

/// Between two passes, unless said otherwise.
pub const INTERVAL: Duration = Duration::from_mins(1);

/// Keys of an earlier release that are looked at at a time.
const INDEXED: usize = 512;

/// What one list may amount to. The commit thread of every member reads and hashes these states between writes of
/// clients.
const LIST: Limit = Limit { rows: MOST_KEYS, bytes: 4 << 20 };

/// When rounds are begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReapSettings {
    /// Between two passes over the partitions.
    pub interval: Duration,
    /// Keys of a partition that make a round worth its messages.
    pub least_keys: usize,
}

impl Default for ReapSettings {
    fn default() -> Self {
        Self { interval: INTERVAL, least_keys: 1 }
    }
}

/// What a pass has found so far.
#[derive(Debug, Default)]
struct Tally {
    waiting: usize,
    oldest_ms: Option<u64>,
}

/// Begins rounds.
#[derive(Debug)]
pub struct Reaper {
    participant: Participant,
    settings: ReapSettings,
    entropy: Entropy,
    /// What is left of this pass: partitions, and after which position to go on.
    left: VecDeque<(Partition, Option<Position>)>,
    tally: Tally,
    /// What an earlier release stored has been looked through.
    indexed: bool,
    /// How far that has come.
    looked_at: Option<DataKey>,
}

impl Reaper {
    /// A reaper whose rounds this participant takes part in as any other member does.
    pub fn new(participant: Participant, settings: ReapSettings, entropy: Entropy) -> Self {
        Self {
            participant,
            settings,
            entropy,
            left: VecDeque::new(),
            tally: Tally::default(),
            indexed: false,
            looked_at: None,
        }
    }

    /// Looks through some of what an earlier release stored, until all of it was looked at once.
    async fn index(&mut self) -> Result<Turn, OpError> {
        let exchange = &self.participant.parts().exchange;
        let local = exchange.local.clone();
        self.indexed = blocking(move || local.meta(IndexPassing::DONE)).await?.is_some();
        if !self.indexed {
            let index = IndexPassing { after: self.looked_at.take(), limit: INDEXED };
            self.looked_at = submit(&exchange.committer, index).await?;
        }
        Ok(Turn::Busy)
    }

    async fn step(&mut self) -> Result<Turn, OpError> {
        if !self.indexed {
            return self.index().await;
        }
        let idle = Turn::Idle(self.settings.interval);
        let Some(standing) = self.participant.parts().exchange.layouts.current() else { return Ok(idle) };
        let Ok(ground) = Ground::of(&standing) else {
            self.left.clear();
            return Ok(idle);
        };
        if self.left.is_empty() {
            self.tally = Tally::default();
            let local = self.participant.parts().exchange.local.clone();
            if blocking(move || local.anything_passes()).await? {
                self.left = begins(&standing).into_iter().map(|partition| (partition, None)).collect();
            }
        }
        let begun = Instant::now();
        if let Some((partition, after)) = self.left.pop_front() {
            self.one(&standing, ground, partition, after).await?;
        }
        if !self.left.is_empty() {
            // Half of the time at most: writes of clients come first.
            return Ok(Turn::Throttled(begun.elapsed()));
        }
        self.participant.parts().metrics.waiting(self.tally.waiting, self.tally.oldest_ms);
        Ok(idle)
    }

    /// One list of one partition, and the round for it.
    async fn one(
        &mut self,
        standing: &Standing,
        ground: Ground,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), OpError> {
        let parts = self.participant.parts();
        let (local, now_ms) = (parts.exchange.local.clone(), parts.clock.now_ms());
        let passed = blocking(move || local.passed(partition, after, now_ms, LIST)).await?;
        let PassedKeys { keys, after: more } = passed;
        if more.is_some() {
            self.left.push_front((partition, more));
        }
        let many = more.is_some() || after.is_some() || keys.len() >= self.settings.least_keys;
        let network = &parts.exchange.network;
        let all_up = ground.members.iter().all(|node| *node == standing.me || network.is_up(*node));
        let mut reaped = 0;
        if many && all_up && !keys.is_empty() {
            let list = keys.iter().map(|key| Listed { position: key.position, hash: key.hash }).collect();
            let begin = Begin {
                participant: &self.participant,
                ground,
                owners: owners(standing, partition),
                partition,
                keys: list,
                number: self.entropy.draw(),
            };
            parts.metrics.begun();
            let (end, removed) = begin.run().await;
            parts.metrics.ended(end);
            tracing::debug!(%partition, listed = keys.len(), removed, ?end, "a round of reaping");
            reaped = removed;
        }
        if reaped < keys.len() {
            self.tally.waiting += keys.len() - reaped;
            // Which of them are left is for the next pass to see; the age is of all that were listed.
            let oldest = keys.iter().map(|key| key.written_at_ms).min();
            self.tally.oldest_ms = self.tally.oldest_ms.into_iter().chain(oldest).min();
        }
        Ok(())
    }
}

impl Worker for Reaper {
    fn name(&self) -> &'static str {
        "reap"
    }

    fn turn(&mut self) -> BoxFuture<'_, Turn> {
        async move {
            self.step().await.unwrap_or_else(|why| {
                tracing::warn!(%why, "what may be reaped cannot be read; tried again");
                self.left.clear();
                Turn::Idle(self.settings.interval)
            })
        }
        .boxed()
    }
}
