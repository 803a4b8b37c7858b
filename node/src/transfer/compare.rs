//! Bringing two replicas of one partition together: down their Merkle trees, then the states of the keys that differ.
//!
//! The descent itself is [`Descent`], pure; this is its driver. Everything that differed when it began, and still does,
//! is found, whatever is written meanwhile.

use std::collections::VecDeque;

use dynamo_ring::{LayoutId, NodeId, Partition, Position};

use super::exchange::{Exchange, ExchangeError, KeyAndState, MESSAGE_BYTES, POSITIONS, bytes_of};
use super::throttle::Pace;
use crate::layout::Entered;
use crate::merkle::{Descent, Difference, MerkleHash, Prefix, Question};
use crate::store::{Local, StoreError, blocking};

/// Prefixes asked for at a time: a request and its answer stay below 20 KiB.
const PREFIXES: usize = 32;

/// Which way states go where the two sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To this node: afterwards it covers all that the peer had.
    Fetch,
    /// To the peer: afterwards it covers, durably, all that this node had.
    Push,
    /// Both.
    Both,
}

/// What a comparison moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// States that came from the peer.
    pub fetched: u64,
    /// States that went to the peer.
    pub pushed: u64,
    /// Entry bytes that came.
    pub bytes_fetched: u64,
    /// Entry bytes that went.
    pub bytes_pushed: u64,
}

impl Direction {
    const fn fetches(self) -> bool {
        matches!(self, Self::Fetch | Self::Both)
    }

    const fn pushes(self) -> bool {
        matches!(self, Self::Push | Self::Both)
    }
}

/// Compares one partition with one peer and moves what differs, durably, for as long as layout `id` stands.
pub async fn compare(
    exchange: &Exchange,
    id: LayoutId,
    peer: NodeId,
    partition: Partition,
    direction: Direction,
    pace: &Pace,
) -> Result<Compared, ExchangeError> {
    let entered = exchange.enter(id)?;
    let roots = exchange.roots(peer, &[partition], entered.stamp()).await?;
    let theirs = roots.first().copied().flatten().ok_or(ExchangeError::NotHeld(peer, partition))?;
    drop(entered);
    compare_from(exchange, id, peer, partition, theirs, direction, pace).await
}

/// As [`compare`], from the peer's root, which is known already.
pub async fn compare_from(
    exchange: &Exchange,
    id: LayoutId,
    peer: NodeId,
    partition: Partition,
    theirs: MerkleHash,
    direction: Direction,
    pace: &Pace,
) -> Result<Compared, ExchangeError> {
    // States are read outside of the guards below, and sent under them.
    let _begun = exchange.layouts.begin(Some(partition));
    let local = exchange.local.clone();
    let summary = blocking(move || local.summary(partition).map_err(ExchangeError::from)).await?;
    if !summary.held {
        return Err(ExchangeError::NotHeld(exchange.layouts.my_id(), partition));
    }
    let q = exchange.enter(id)?.record.stable().partitions();
    let mut descent = Descent::new(Prefix::root(partition, q), summary.root, theirs, PREFIXES);
    let mut compared = Compared::default();
    while let Some(Question { ask, read }) = descent.question() {
        let entered = exchange.enter(id)?;
        let theirs = exchange.nodes(peer, partition, &ask, entered.stamp()).await?;
        let local = exchange.local.clone();
        let ours = blocking(move || local.merkle(partition, &read).map_err(ExchangeError::from)).await?;
        drop(entered);
        let found =
            descent.answer(&ours, &theirs).map_err(|why| ExchangeError::Strange(peer, why.to_string()))?;
        let mut moving = Moving { exchange, id, peer, partition, compared: &mut compared, pace };
        if direction.fetches() {
            moving.fetch(&found).await?;
        }
        if direction.pushes() {
            moving.push(&found).await?;
        }
    }
    Ok(compared)
}

/// Moves the states of some keys.
struct Moving<'a> {
    exchange: &'a Exchange,
    id: LayoutId,
    peer: NodeId,
    partition: Partition,
    compared: &'a mut Compared,
    pace: &'a Pace,
}

impl Moving<'_> {
    async fn fetch(&mut self, found: &[Difference]) -> Result<(), ExchangeError> {
        let wanted = found.iter().filter(|difference| !matches!(difference, Difference::OursOnly(..)));
        let mut positions: Vec<Position> = wanted.map(Difference::position).collect();
        while !positions.is_empty() {
            let entered = self.exchange.enter(self.id)?;
            let place = (self.partition, entered.record.stable().partitions());
            let (entries, rest) = self.exchange.fetch(self.peer, place, &positions, entered.stamp()).await?;
            let bytes = bytes_of(&entries);
            self.compared.fetched += entries.len() as u64;
            self.compared.bytes_fetched += bytes;
            self.exchange.merge(entries, None).await?;
            drop(entered);
            self.pace.keep(bytes).await;
            positions = rest;
        }
        Ok(())
    }

    async fn push(&mut self, found: &[Difference]) -> Result<(), ExchangeError> {
        let owed = found.iter().filter(|difference| !matches!(difference, Difference::TheirsOnly(..)));
        let mut positions: VecDeque<Position> = owed.map(Difference::position).collect();
        while !positions.is_empty() {
            let local = self.exchange.local.clone();
            let read = move || Ok::<_, ExchangeError>((message(&local, &mut positions)?, positions));
            let (message, rest) = blocking(read).await?;
            positions = rest;
            let (count, bytes) = (message.len() as u64, bytes_of(&message));
            let entered: Entered = self.exchange.enter(self.id)?;
            self.exchange.push(self.peer, message, None, entered.stamp()).await?;
            drop(entered);
            self.compared.pushed += count;
            self.compared.bytes_pushed += bytes;
            self.pace.keep(bytes).await;
        }
        Ok(())
    }
}

/// The states of the first of these keys, until a message is full; no more of them is in memory at a time. A key that
/// is no longer here is left out.
fn message(local: &Local, positions: &mut VecDeque<Position>) -> Result<Vec<KeyAndState>, StoreError> {
    let (mut message, mut bytes) = (Vec::new(), 0);
    while message.len() < POSITIONS
        && bytes < MESSAGE_BYTES
        && let Some(position) = positions.pop_front()
    {
        if let Some((key, state)) = local.at(position)? {
            bytes += key.as_bytes().len() + state.len();
            message.push((key, state));
        }
    }
    Ok(message)
}
