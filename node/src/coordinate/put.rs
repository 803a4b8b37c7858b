//! A write from its order to its answer: routed, given its dot, replicated, and carried on behind the answer.

use std::time::Duration;

use bytes::Bytes;
use dynamo_ring::{NodeId, Position};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::drive::{Coordinator, Missed, Parcel, wanted};
use super::error::CoordinateError;
use super::metrics::End;
use super::order::{Terms, WriteAnswer, WriteOrder};
use super::targets::{Own, Route, WriteTargets, route};
use super::write::{Effect, Event, Outcome, Write};
use crate::layout::Entered;
use crate::limits::Pass;
use crate::planted::{self, Fault};
use crate::spans;
use crate::store::{Merge, OpError, Put, StandIn};
use crate::version::{Context, Dot, State, WriteId};

/// A write that is handed to the store: how it was applied, and then how it was synced.
struct First {
    applied: BoxFuture<'static, Result<(Parcel, Option<Dot>), OpError>>,
    synced: BoxFuture<'static, Result<(), OpError>>,
}

/// What the task behind a write has to know of it.
struct Job {
    key: Bytes,
    w: usize,
    strict: bool,
    until: Instant,
    handoff: Instant,
    write_id: Option<WriteId>,
    /// Kept until nothing of the write is left to do.
    _pass: Pass,
    answer: Option<oneshot::Sender<Result<WriteAnswer, CoordinateError>>>,
}

/// What a write is, if its client has named it.
enum Retry {
    /// None that this node knows of, or one that the put itself recognises.
    No,
    /// One whose version has been replaced since: its dot, and what stands now.
    Superseded(Dot, State),
    /// One whose key was deleted and reaped since: every holder had covered it. How many versions there are now.
    Reaped(usize),
}

/// How one round under one layout ended.
#[derive(Debug, PartialEq, Eq)]
enum Round {
    /// Answered, and nobody is forgotten.
    Settled,
    /// The layout has passed.
    Superseded,
}

impl Coordinator {
    /// Coordinates a write, or has it coordinated by a member that holds the key.
    ///
    /// Once the write has been handed to the store it is carried on, whether or not anybody waits for the answer.
    pub async fn write(&self, order: WriteOrder) -> Result<WriteAnswer, CoordinateError> {
        loop {
            let (entered, partition) = self.enter(&order.key).ok_or(CoordinateError::NotServing)?;
            let quorum = entered.record.quorum();
            let w = wanted("w", order.terms.quorum, quorum.w, quorum.n)?;
            let suspected = |node: NodeId| self.parts.network.is_suspected(node);
            let targets = WriteTargets::of(entered.view(), partition).doubting(suspected);
            let held = entered.holds(partition);
            let Terms { forwarded, strict, until, .. } = order.terms;
            let up = |node: NodeId| self.parts.network.is_up(node);
            match route(&targets, self.me(), held, forwarded, strict, up) {
                Route::Here(own) => return self.write_here(entered, own, w, order).await,
                Route::NotMine => return Err(CoordinateError::NotMine),
                Route::Nowhere => return Err(CoordinateError::NoHolder),
                Route::Forward(holders) => {
                    let stamp = entered.stamp();
                    match self.forward_write(&holders, &order, stamp).await {
                        // Nothing was done: a newer layout may name others.
                        Err(CoordinateError::NotMine) => {
                            let enough = until.min(Instant::now() + self.parts.patience.handoff);
                            drop(entered);
                            if !self.newer_than(stamp, enough).await {
                                return Err(CoordinateError::NotMine);
                            }
                        }
                        answered => return answered,
                    }
                }
            }
        }
    }

    async fn write_here(
        &self,
        entered: Entered,
        own: Own,
        w: usize,
        order: WriteOrder,
    ) -> Result<WriteAnswer, CoordinateError> {
        let hint = match own {
            Own::StandsInFor(target) => Some(StandIn { target, since_ms: self.parts.clock.now_ms() }),
            Own::Holder | Own::Absent => None,
        };
        let (write_id, key) = (order.write_id, order.key.clone());
        let Terms { strict, until, pass, .. } = order.terms;
        let retry = self.retried(&key, write_id).await?;
        if let Retry::Reaped(versions) = retry {
            let epoch = entered.record.stamp().epoch;
            self.parts.metrics.write_ended(End::Quorum);
            return Ok(WriteAnswer {
                context: Bytes::new(),
                witness: Bytes::new(),
                answered: w,
                sloppy: false,
                epoch,
                versions,
            });
        }
        let first = if let Retry::Superseded(dot, state) = retry {
            self.again(key.clone(), state, dot, hint)?
        } else {
            let now_ms = self.parts.clock.now_ms();
            let WriteOrder { key, context, value, ttl_ms, write_id, .. } = order;
            let expires_at_ms = ttl_ms.map(|ttl| now_ms.saturating_add(ttl));
            self.put(Put { key, context, value, write_id, now_ms, expires_at_ms, hint })?
        };
        let (answer, answered) = oneshot::channel();
        let handoff = Instant::now() + self.parts.patience.handoff;
        let job = Job { key, w, strict, until, handoff, write_id, _pass: pass, answer: Some(answer) };
        // From here on it has happened, so it is carried on even if the client goes.
        tokio::spawn(self.clone().carry_on(entered, own, first, job).instrument(spans::behind("replicate")));
        answered.await.unwrap_or(Err(CoordinateError::TooFew { answered: 0, needed: w, write: true }))
    }

    fn put(&self, put: Put) -> Result<First, CoordinateError> {
        let key = put.key.clone();
        let mut ticket = self.parts.committer.submit(put)?;
        let applied = std::mem::replace(&mut ticket.applied, oneshot::channel().1);
        let applied = async move {
            let mut written = applied.await.unwrap_or(Err(OpError::Stopped))?.outcome;
            if planted::is(Fault::LoneSibling) {
                let rest = written.state.siblings().iter().filter(|sibling| sibling.dot == written.dot);
                written.state = State::from_parts(written.state.context().clone(), rest.cloned().collect());
                written.encoded = written.state.encode();
            }
            Ok((Parcel { key, state: written.state, encoded: written.encoded }, Some(written.dot)))
        };
        Ok(First { applied: applied.boxed(), synced: ticket.synced().instrument(spans::commit()).boxed() })
    }

    /// What stands is sent once more, for a write whose own version stands no longer.
    fn again(
        &self,
        key: Bytes,
        state: State,
        dot: Dot,
        hint: Option<StandIn>,
    ) -> Result<First, CoordinateError> {
        let merge = Merge { key: key.clone(), state, hint, from: None };
        let mut ticket = self.parts.committer.submit(merge)?;
        let applied = std::mem::replace(&mut ticket.applied, oneshot::channel().1);
        let applied = async move {
            let encoded = applied.await.unwrap_or(Err(OpError::Stopped))?.outcome.encoded;
            let state = State::decode(&encoded)?;
            Ok((Parcel { key, state, encoded }, Some(dot)))
        };
        Ok(First { applied: applied.boxed(), synced: ticket.synced().instrument(spans::commit()).boxed() })
    }

    /// Whether this is a retry of a write whose version stands no longer.
    async fn retried(&self, key: &Bytes, write_id: Option<WriteId>) -> Result<Retry, CoordinateError> {
        let Some(id) = write_id else { return Ok(Retry::No) };
        let Some(known) = self.remembered.known(Position::of(key), id, Instant::now()) else {
            return Ok(Retry::No);
        };
        let failed = |why: OpError| CoordinateError::of_store(key, &why);
        let found = self.fetch_here(key.clone()).await.map_err(failed)?;
        let state = found.map(|encoded| State::decode(&encoded)).transpose();
        let state = state.map_err(|why| failed(why.into()))?.unwrap_or_default();
        Ok(if state.written_by(id).is_some() {
            // The put itself finds it.
            Retry::No
        } else if state.context().covers(known.dot) {
            Retry::Superseded(known.dot, state)
        } else if known.reaped {
            let view = state.view_at(self.parts.clock.now_ms());
            Retry::Reaped(view.values.len() + view.tombstones)
        } else {
            // It has been forgotten here, and may be nowhere else.
            Retry::No
        })
    }

    /// Carries a write on until every holder has it or is owed it, under as many layouts as come and go meanwhile.
    async fn carry_on(self, entered: Entered, own: Own, first: First, mut job: Job) {
        let (parcel, dot) = match first.applied.await {
            Ok(applied) => applied,
            Err(why) => return job.fail(|key| CoordinateError::of_store(key, &why)),
        };
        if let (Some(id), Some(dot)) = (job.write_id, dot) {
            self.remembered.note(Position::of(&parcel.key), id, dot, Instant::now());
        }
        let (mut entered, mut own, mut synced) = (entered, own, first.synced);
        while self.round(&entered, own, synced, &parcel, dot, &mut job).await == Round::Superseded {
            self.parts.metrics.restarted();
            // Under the new layout nothing is taken for granted: what one member had, it may have dropped since.
            // The new guard before the old one goes: at no moment does the write run without.
            let again = self.enter(&parcel.key);
            drop(entered);
            let Some((again, partition)) = again else {
                let needed = job.w;
                return job.fail(|_| CoordinateError::TooFew { answered: 0, needed, write: true });
            };
            let holder = again.holds(partition) && again.view().holds(&self.me(), partition);
            own = if holder { Own::Holder } else { Own::Absent };
            let (this, copy) = (self.clone(), parcel.clone());
            synced = async move { this.store_here(None, &copy).await }.boxed();
            entered = again;
        }
    }

    /// One round: the machine's effects performed, until nothing is left to do or the layout has passed.
    async fn round(
        &self,
        entered: &Entered,
        own: Own,
        synced: BoxFuture<'static, Result<(), OpError>>,
        parcel: &Parcel,
        dot: Option<Dot>,
        job: &mut Job,
    ) -> Round {
        let stamp = entered.stamp();
        let partition = Position::of(&parcel.key).partition(entered.record.stable().partitions());
        let suspected = |node: NodeId| self.parts.network.is_suspected(node);
        let targets = WriteTargets::of(entered.view(), partition).doubting(suspected);
        let up = |node: NodeId| self.parts.network.is_up(node);
        let (mut write, mut effects) = Write::start(targets, self.me(), own, job.w, job.strict, up);

        let mut open: FuturesUnordered<BoxFuture<'_, Result<Event, Missed>>> = FuturesUnordered::new();
        if own != Own::Absent {
            let own_copy =
                async { Ok(if synced.await.is_ok() { Event::OwnSynced } else { Event::OwnFailed }) };
            open.push(own_copy.boxed());
        }
        let (mut handoff_due, mut deadline_due) = (false, false);
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Send { to, hint_for } => {
                        let patience = self.parts.patience.handoff;
                        let left = job.until.saturating_duration_since(Instant::now());
                        let within = if hint_for.is_some() { patience } else { left.max(patience) };
                        open.push(self.send(to, hint_for, parcel, stamp, within).boxed());
                    }
                    Effect::Hint(target) => open.push(self.hint(target, parcel).boxed()),
                    Effect::Answer(outcome) => self.answer(job, outcome, entered, parcel, dot),
                }
            }
            if write.settled() {
                return Round::Settled;
            }
            let event = tokio::select! {
                Some(event) = open.next() => match event {
                    Ok(event) => event,
                    Err(_) => return Round::Superseded,
                },
                () = sleep_until(job.handoff), if !handoff_due => {
                    handoff_due = true;
                    Event::HandoffDue
                }
                () = sleep_until(job.until), if !deadline_due => {
                    deadline_due = true;
                    Event::DeadlineDue
                }
                // Nothing is open and no time is left; the machine has settled before that.
                else => return Round::Settled,
            };
            effects = write.on(event, up);
        }
    }

    /// Sends the parcel; an error only if the layout has passed.
    async fn send(
        &self,
        to: NodeId,
        hint_for: Option<NodeId>,
        parcel: &Parcel,
        stamp: dynamo_ring::fence::SenderStamp,
        within: Duration,
    ) -> Result<Event, Missed> {
        if hint_for.is_some() {
            self.parts.metrics.handed_off();
        }
        match self.store_at(to, hint_for, parcel, stamp, within).await {
            Ok(()) => Ok(Event::Stored(to)),
            Err(Missed::Failed) => Ok(Event::Failed(to)),
            Err(Missed::Superseded) => Err(Missed::Superseded),
        }
    }

    /// Notes here that a member is owed the write. If the disk does not take it, the log says so and anti-entropy is
    /// what is left.
    async fn hint(&self, target: NodeId, parcel: &Parcel) -> Result<Event, Missed> {
        self.parts.metrics.hinted();
        if let Err(why) = self.store_here(Some(target), parcel).await {
            tracing::warn!(%target, %why, "a hint could not be kept; anti-entropy has to bring the write there");
        }
        Ok(Event::Hinted(target))
    }

    fn answer(&self, job: &mut Job, outcome: Outcome, entered: &Entered, parcel: &Parcel, dot: Option<Dot>) {
        let Some(answer) = job.answer.take() else { return };
        let (end, result) = match outcome {
            Outcome::Done { answered, sloppy } => {
                let end = if sloppy { End::Sloppy } else { End::Quorum };
                let epoch = entered.record.stamp().epoch;
                let now_ms = self.parts.clock.now_ms();
                (end, Ok(write_answer(parcel, dot, answered, sloppy, epoch, now_ms)))
            }
            Outcome::Short { answered } => {
                let why = CoordinateError::TooFew { answered, needed: job.w, write: true };
                (End::Short, Err(why))
            }
        };
        self.parts.metrics.write_ended(end);
        // The client may have gone.
        drop(answer.send(result));
    }
}

impl Job {
    fn fail(&mut self, why: impl FnOnce(&[u8]) -> CoordinateError) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(Err(why(&self.key))));
        }
    }
}

/// What a client is told of a write that stands in `parcel` as `dot`.
fn write_answer(
    parcel: &Parcel,
    dot: Option<Dot>,
    answered: usize,
    sloppy: bool,
    epoch: u64,
    now_ms: u64,
) -> WriteAnswer {
    let view = parcel.state.view_at(now_ms);
    let versions = view.values.len() + view.tombstones;
    let stands = parcel.state.siblings().iter().any(|sibling| Some(sibling.dot) == dot);
    let alone = versions == 1 && stands;
    let context = if alone { Context::encode(&parcel.key, view.context) } else { Bytes::new() };
    let witness = dot.map(|dot| Context::witness(&parcel.key, dot)).unwrap_or_default();
    WriteAnswer { context, witness, answered, sloppy, epoch, versions }
}
