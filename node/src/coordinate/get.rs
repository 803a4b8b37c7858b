//! A read from its order to its answer, and the repair of stale members behind it (Dynamo, 5: "read repair").

use std::time::Duration;

use bytes::Bytes;
use dynamo_ring::NodeId;
use dynamo_ring::fence::SenderStamp;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;

use super::copy::Copied;
use super::drive::{Coordinator, Missed, Parcel, wanted};
use super::error::CoordinateError;
use super::metrics::{Digest, End};
use super::order::{ReadAnswer, ReadOrder};
use super::read::{Effect, Event, Outcome, Part, Read};
use super::targets::ReadTargets;
use crate::layout::Entered;
use crate::limits::Pass;
use crate::peer::SLOWEST;
use crate::spans;
use crate::version::{State, StateHash};

/// How long a repair behind the answer may take; a large state has more, by its size.
const REPAIR: Duration = Duration::from_secs(2);

/// Between two rounds of a read whose members have not seen all that it has to cover; doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What one member has told so far.
struct Found {
    node: NodeId,
    stand_in: bool,
    copy: Copied,
}

/// How one round under one layout ended.
enum Round {
    Answered(Outcome, Vec<Found>),
    Superseded,
}

impl Coordinator {
    /// Coordinates a read. Any node does: it costs no more than forwarding it, and makes no version.
    pub async fn read(&self, order: ReadOrder) -> Result<ReadAnswer, CoordinateError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (entered, partition) = self.enter(&order.key).ok_or(CoordinateError::NotServing)?;
            let quorum = entered.record.quorum();
            let r = wanted("r", order.terms.quorum, quorum.r, quorum.n)?;
            let suspected = |node| self.parts.network.is_suspected(node);
            let targets = ReadTargets::of(entered.view(), partition, self.me()).doubting(suspected);
            let others = targets.others.clone();
            let (outcome, found) = match self.read_round(&entered, targets, r, &order).await {
                Round::Answered(outcome, found) => (outcome, found),
                Round::Superseded => {
                    self.parts.metrics.restarted();
                    continue;
                }
            };
            let state = merged(&found)?;
            let Outcome { answered, sloppy, enough, matched } = outcome;
            let behind = !covers(&state, &order, outcome, quorum.n);
            // What is missing may be on its way there, or wait as a hint.
            if behind && enough && Instant::now() + pause < order.terms.until {
                drop(entered);
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            self.parts.metrics.read_ended(end_of(outcome));
            self.parts.metrics.digests(Digest::Match, matched);
            if !(order.allow_partial && answered > 0) {
                if !enough {
                    return Err(CoordinateError::TooFew { answered, needed: r, write: false });
                }
                if behind {
                    return Err(CoordinateError::Behind { answered });
                }
            }
            let epoch = entered.view().read_layout().epoch();
            let (key, pass) = (order.key, order.terms.pass);
            self.repair(entered, pass, key, &state, &found, others);
            let now_ms = self.parts.clock.now_ms();
            return Ok(ReadAnswer { state, now_ms, answered, sloppy, behind, epoch });
        }
    }

    async fn read_round(
        &self,
        entered: &Entered,
        targets: ReadTargets,
        r: usize,
        order: &ReadOrder,
    ) -> Round {
        let stamp = entered.stamp();
        let up = |node: NodeId| self.parts.network.is_up(node);
        let until = order.terms.until;
        let (mut read, mut effects) = Read::start(targets, self.me(), r, order.terms.strict, up);
        let mut found: Vec<Found> = Vec::new();
        let mut open: FuturesUnordered<BoxFuture<'_, (NodeId, Result<Found, Missed>)>> =
            FuturesUnordered::new();
        let mut hedge: Option<Instant> = None;
        let mut handoff = Some(Instant::now() + self.parts.patience.handoff);
        let (n, mut went_on_from) = (entered.record.quorum().n, None);
        loop {
            let mut answer = None;
            for effect in effects.drain(..) {
                match effect {
                    Effect::Ask { node, stand_in, part } => {
                        if found.iter().any(|one| one.node == node) {
                            self.parts.metrics.digests(Digest::Mismatch, 1);
                        }
                        open.push(self.fetch(node, stand_in, part, &order.key, stamp, until).boxed());
                    }
                    Effect::ArmHedge => hedge = Some(Instant::now() + self.parts.patience.hedge),
                    Effect::Answer(outcome) => answer = Some(outcome),
                }
            }
            if let Some(outcome) = answer {
                let grown = went_on_from.is_none_or(|answered| outcome.answered > answered);
                // Most reads demand nothing, and are merged once, by the caller.
                let behind = || {
                    !order.at_least.is_empty()
                        && merged(&found).is_ok_and(|state| !covers(&state, order, outcome, n))
                };
                if !(outcome.enough && grown && behind()) || Instant::now() >= until {
                    return Round::Answered(outcome, found);
                }
                went_on_from = Some(outcome.answered);
                effects = read.go_on(up);
                continue;
            }
            let event = tokio::select! {
                Some((node, fetched)) = open.next() => match fetched {
                    Ok(one) => {
                        let told = one.copy.told;
                        // The whole state takes the place of its hash.
                        found.retain(|earlier| earlier.node != node);
                        found.push(one);
                        Event::Found(node, told)
                    }
                    Err(Missed::Failed) => Event::Failed(node),
                    Err(Missed::Superseded) => return Round::Superseded,
                },
                () = due(hedge) => {
                    hedge = None;
                    Event::HedgeDue
                }
                () = due(handoff) => {
                    handoff = None;
                    Event::HandoffDue
                }
                () = sleep_until(until) => Event::DeadlineDue,
            };
            effects = read.on(event, up);
            if event == Event::HedgeDue && effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })) {
                self.parts.metrics.hedged();
            }
        }
    }

    async fn fetch(
        &self,
        node: NodeId,
        stand_in: bool,
        part: Part,
        key: &Bytes,
        stamp: SenderStamp,
        until: Instant,
    ) -> (NodeId, Result<Found, Missed>) {
        let within = until.saturating_duration_since(Instant::now());
        let copy = self.fetch_at(node, stand_in, part, key, stamp, within).await;
        (node, copy.map(|copy| Found { node, stand_in, copy }))
    }

    /// Brings what was found together to those who lacked some of it, behind the answer.
    fn repair(
        &self,
        entered: Entered,
        pass: Pass,
        key: Bytes,
        state: &State,
        found: &[Found],
        others: Vec<NodeId>,
    ) {
        let agree = found.windows(2).all(|pair| pair[0].copy.hash() == pair[1].copy.hash());
        if state.is_empty() || agree {
            return;
        }
        let encoded = state.encode();
        let hash = Some(StateHash::of(&key, &encoded));
        // A stand-in keeps what it has for its hints; it is not its place to hold the key.
        let is_stale = |one: &&Found| !one.stand_in && one.copy.hash() != hash;
        let mut stale: Vec<NodeId> = found.iter().filter(is_stale).map(|one| one.node).collect();
        // Those who hold the key in the other layout only were not asked.
        stale.extend(others);
        self.parts.metrics.repaired(stale.len());
        let parcel = Parcel { key, state: state.clone(), encoded };
        let this = self.clone();
        let repair = async move {
            let _pass = pass;
            let stamp = entered.stamp();
            let within = REPAIR + Duration::from_secs(parcel.encoded.len() as u64 / SLOWEST);
            let stores = stale.into_iter().map(|node| this.store_at(node, None, &parcel, stamp, within));
            // Who is not reached stays stale until the next read, or until anti-entropy finds it.
            join_all(stores).await;
            drop(entered);
        };
        tokio::spawn(repair.instrument(spans::behind("read repair")));
    }
}

/// What the answers know together.
fn merged(found: &[Found]) -> Result<State, CoordinateError> {
    let mut state = State::new();
    let mut last: Option<&Bytes> = None;
    // A hash brings nothing that a state found whole does not, or it does not count.
    for encoded in found.iter().map(|one| &one.copy.encoded).filter(|encoded| !encoded.is_empty()) {
        // Replicas mostly agree, and equal states are equal bytes.
        if last != Some(encoded) {
            let theirs = State::decode(encoded).map_err(|why| CoordinateError::Fault(why.to_string()))?;
            state = state.merge(&theirs);
            last = Some(encoded);
        }
    }
    Ok(state)
}

/// Whether the state has all that the request has to cover. Where all of the key's own members have answered a strict
/// read, a writer that none of them knows has been reaped: a strict write was on some of them, and a context loses an
/// entry only when the key goes.
fn covers(state: &State, order: &ReadOrder, outcome: Outcome, n: u8) -> bool {
    let all = order.terms.strict && outcome.answered >= usize::from(n);
    order.at_least.iter().all(|(writer, counter)| {
        let known = state.context().counter(writer);
        known >= counter || (all && known == 0)
    })
}

const fn end_of(outcome: Outcome) -> End {
    match (outcome.enough, outcome.sloppy) {
        (true, false) => End::Quorum,
        (true, true) => End::Sloppy,
        (false, _) => End::Short,
    }
}

/// At the time, if there is one.
pub(super) async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
