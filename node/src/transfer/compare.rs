//! Bringing two replicas of some partitions together: down their Merkle trees, then the states of the keys that differ.
//!
//! The descents themselves are [`Descents`], pure; this is their driver. Everything that differed when it began, and still does,
//! is found, whatever is written meanwhile.

use std::collections::{BTreeMap, VecDeque};

use dynamo_ring::{LayoutId, NodeId, Partition, Position};

use super::exchange::{Exchange, ExchangeError, KeyAndState, MESSAGE_BYTES, POSITIONS, Told, bytes_of};
use super::purge::submit;
use crate::begun::Running;
use crate::layout::Entered;
use crate::merkle::{Descent, Descents, Difference, MerkleHash, Node, Prefix, Question};
use crate::pace::Pace;
use crate::store::{Examine, Local, StoreError, blocking};
use crate::version::StateHash;

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
    let compared = compare_from(exchange, id, peer, &[(partition, theirs)], direction, pace).await?;
    match compared.get(&partition) {
        Some(Ended::Compared(compared)) => Ok(*compared),
        Some(Ended::NotHeld(node)) => Err(ExchangeError::NotHeld(*node, partition)),
        None => Err(ExchangeError::NotHeld(peer, partition)),
    }
}

/// How the comparison of one partition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All that differed when it began has been moved.
    Compared(Compared),
    /// This node or the peer does not hold it (yet, or any more), or is making its tree anew.
    NotHeld(NodeId),
}

/// Compares some partitions with one peer, from its roots of them, and moves what differs. Partitions that differ little
/// share their messages.
pub async fn compare_from(
    exchange: &Exchange,
    id: LayoutId,
    peer: NodeId,
    roots: &[(Partition, MerkleHash)],
    direction: Direction,
    pace: &Pace,
) -> Result<BTreeMap<Partition, Ended>, ExchangeError> {
    let mut ended = BTreeMap::new();
    for some in roots.chunks(PREFIXES) {
        let mut comparison = Comparison {
            exchange,
            id,
            peer,
            direction,
            pace,
            descents: Descents::new(PREFIXES),
            begun: BTreeMap::new(),
            one_by_one: false,
            ended: BTreeMap::new(),
        };
        comparison.begin(some).await?;
        while comparison.step().await? {}
        ended.append(&mut comparison.ended);
    }
    Ok(ended)
}

/// The comparison of some partitions with one peer.
struct Comparison<'a> {
    exchange: &'a Exchange,
    id: LayoutId,
    peer: NodeId,
    direction: Direction,
    pace: &'a Pace,
    descents: Descents,
    /// States are read outside of the guards that are held for a message, and sent under them.
    begun: BTreeMap<Partition, Running<Option<Partition>>>,
    /// The peer takes one partition at a time.
    one_by_one: bool,
    ended: BTreeMap<Partition, Ended>,
}

impl Comparison<'_> {
    async fn begin(&mut self, roots: &[(Partition, MerkleHash)]) -> Result<(), ExchangeError> {
        for (partition, _) in roots {
            self.begun.insert(*partition, self.exchange.layouts.begin(Some(*partition)));
        }
        let (local, partitions) = (self.exchange.local.clone(), roots.iter().map(|(p, _)| *p).collect());
        let read = move |partitions: Vec<_>| local.roots(&partitions).map_err(ExchangeError::from);
        let ours = blocking(move || read(partitions)).await?;
        let q = self.exchange.enter(self.id)?.record.stable().partitions();
        for ((partition, theirs), ours) in roots.iter().zip(ours) {
            let Some(ours) = ours else {
                self.not_held(*partition, self.exchange.layouts.my_id());
                continue;
            };
            self.descents.add(*partition, Descent::new(Prefix::root(*partition, q), ours, *theirs));
            self.ended.insert(*partition, Ended::Compared(Compared::default()));
        }
        Ok(())
    }

    fn not_held(&mut self, partition: Partition, node: NodeId) {
        self.descents.give_up(partition);
        self.ended.insert(partition, Ended::NotHeld(node));
    }

    /// One message of questions, and what its answer says is to be moved. Says whether there is more to do.
    async fn step(&mut self) -> Result<bool, ExchangeError> {
        let mut questions = self.descents.questions();
        self.begun.retain(|partition, _| self.descents.is_open(*partition));
        if questions.is_empty() {
            return Ok(false);
        }
        if self.one_by_one {
            questions.truncate(1);
        }
        let entered = self.exchange.enter(self.id)?;
        let wanted: Vec<_> = questions.iter().map(|(partition, q)| (*partition, &q.ask[..])).collect();
        let told = self.exchange.nodes(self.peer, &wanted, entered.stamp()).await?;
        let local = self.exchange.local.clone();
        let read = move || -> Result<Vec<_>, ExchangeError> {
            let one =
                |(partition, Question { read, .. })| Ok((partition, Seen::read(&local, partition, read)?));
            questions.into_iter().map(one).collect()
        };
        let ours = blocking(read).await?;
        drop(entered);
        for ((partition, ours), told) in ours.into_iter().zip(told) {
            let ours = match ours {
                Seen::Nodes(ours) => ours,
                Seen::NoTree => {
                    self.not_held(partition, self.exchange.layouts.my_id());
                    continue;
                }
                Seen::Odd(prefixes) => {
                    self.not_held(partition, self.exchange.layouts.my_id());
                    let examine = Examine { partition, prefixes, positions: Vec::new() };
                    submit(&self.exchange.committer, examine).await?;
                    continue;
                }
            };
            match told {
                Told::Nodes(theirs) => {
                    let found = self.descents.answer(partition, &ours, &theirs);
                    let found = found.map_err(|why| ExchangeError::Strange(self.peer, why.to_string()))?;
                    self.move_states(partition, &found).await?;
                }
                Told::NotHeld => self.not_held(partition, self.peer),
                // Asked again.
                Told::Untold => self.one_by_one = true,
            }
        }
        self.pace.keep(0).await;
        Ok(true)
    }

    async fn move_states(&mut self, partition: Partition, found: &[Difference]) -> Result<(), ExchangeError> {
        let Some(Ended::Compared(compared)) = self.ended.get_mut(&partition) else { return Ok(()) };
        let Self { exchange, id, peer, pace, .. } = *self;
        let mut moving = Moving { exchange, id, peer, partition, compared, pace };
        if self.direction.fetches() {
            moving.fetch(found).await?;
        }
        if self.direction.pushes() {
            moving.push(found).await?;
        }
        Ok(())
    }
}

/// What a look at a partition's tree here has shown.
enum Seen {
    Nodes(Vec<Node>),
    /// It is not held, or its tree is being made anew.
    NoTree,
    /// Something is missing under these: by a fault, or a write came in between.
    Odd(Vec<Prefix>),
}

impl Seen {
    fn read(local: &Local, partition: Partition, prefixes: Vec<Prefix>) -> Result<Self, StoreError> {
        match local.merkle(partition, &prefixes) {
            Ok(Some(nodes)) => Ok(Self::Nodes(nodes)),
            Ok(None) => Ok(Self::NoTree),
            Err(StoreError::Tree(_)) => Ok(Self::Odd(prefixes)),
            Err(why) => Err(why),
        }
    }
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
            let most = self.pace.piece(POSITIONS);
            let entered = self.exchange.enter(self.id)?;
            let place = (self.partition, entered.record.stable().partitions());
            let (entries, rest) =
                self.exchange.fetch(self.peer, place, &positions, most, entered.stamp()).await?;
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
        let mut owed: VecDeque<Difference> = owed.copied().collect();
        let mut odd = Vec::new();
        while !owed.is_empty() {
            let (local, most) = (self.exchange.local.clone(), self.pace.piece(POSITIONS));
            let read =
                move || Ok::<_, ExchangeError>((message(&local, &mut owed, &mut odd, most)?, owed, odd));
            let (message, rest, more) = blocking(read).await?;
            (owed, odd) = (rest, more);
            let (count, bytes) = (message.len() as u64, bytes_of(&message));
            let entered: Entered = self.exchange.enter(self.id)?;
            self.exchange.push(self.peer, message, None, entered.stamp()).await?;
            drop(entered);
            self.compared.pushed += count;
            self.compared.bytes_pushed += bytes;
            self.pace.keep(bytes).await;
        }
        if !odd.is_empty() {
            let examine = Examine { partition: self.partition, prefixes: Vec::new(), positions: odd };
            submit(&self.exchange.committer, examine).await?;
        }
        Ok(())
    }
}

/// The states of the first of these keys, until a message is full or has `most` of them; no more of them is in memory at a
/// time. A key that is no longer here is left out. Where the tree said something else than what is stored, the position is
/// `odd`: the leaf is stale, or a write came in between.
fn message(
    local: &Local,
    owed: &mut VecDeque<Difference>,
    odd: &mut Vec<Position>,
    most: usize,
) -> Result<Vec<KeyAndState>, StoreError> {
    let (mut message, mut bytes) = (Vec::new(), 0);
    while message.len() < most
        && bytes < MESSAGE_BYTES
        && let Some(difference) = owed.pop_front()
    {
        let Some((key, state)) = local.at(difference.position())? else {
            odd.push(difference.position());
            continue;
        };
        if let Difference::OursOnly(position, leaf) = difference
            && StateHash::of(key.user_key(), &state) != leaf
        {
            odd.push(position);
        }
        bytes += key.as_bytes().len() + state.len();
        message.push((key, state));
    }
    Ok(message)
}
