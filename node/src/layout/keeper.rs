//! The driver of [`state`](super::state): one task that performs its effects, one after another.

use std::convert::Infallible;
use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{LayoutId, NodeId};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use super::facts::{self, Keep};
use super::handle::{Ask, Layouts, Shared, Slot, Taken};
use super::refusal::{NotRetired, Refusal};
use super::state::{Effect, Event, State};
use crate::begun::Begun;
use crate::store::{Committer, Local, PutMeta, StoreError, blocking};
use crate::transfer::purge;

/// How long the driver waits before it tries again what the disk refused.
const RETRY: Duration = Duration::from_millis(500);

/// Keeps what this node goes by; run it as one task. It ends when every [`Layouts`] is gone.
pub struct Keeper {
    state: State,
    local: Local,
    committer: Committer,
    shared: Arc<Shared>,
    asks: mpsc::Receiver<Ask>,
    /// Closed when nobody runs under the current record any more, and those of older records that are still open.
    current: mpsc::Receiver<Infallible>,
    older: Vec<mpsc::Receiver<Infallible>>,
    awaited: Option<SenderStamp>,
    cleaning: Option<BoxFuture<'static, LayoutId>>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Layouts {
    /// What the disk says, and the task that keeps it. Until the task runs, nothing can be taken.
    pub fn open(local: Local, committer: Committer, me: NodeId) -> Result<(Self, Keeper), StoreError> {
        let state = facts::find(&local, me)?;
        let (asks, inbox) = mpsc::channel(64);
        let shared = Arc::new(Shared {
            me,
            slot: ArcSwapOption::empty(),
            seen: watch::Sender::new(None),
            begun: Begun::default(),
            retired: AtomicBool::new(state.retired),
        });
        let (open, current) = mpsc::channel(1);
        let keeper = Keeper {
            state,
            local,
            committer,
            shared: Arc::clone(&shared),
            asks: inbox,
            current,
            older: Vec::new(),
            awaited: None,
            cleaning: None,
        };
        keeper.publish(&open);
        Ok((Self { shared, asks }, keeper))
    }
}

impl Keeper {
    /// Performs what the record asks for, until every [`Layouts`] is gone.
    pub async fn run(mut self) {
        self.event(Event::Started).await;
        loop {
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
                id = finished(&mut self.cleaning) => self.event(Event::Cleaned(id)).await,
                () = ended(&mut self.older), if self.awaited.is_some() => {
                    if let Some(stamp) = self.awaited.take() {
                        self.event(Event::Ended(stamp)).await;
                    }
                }
            }
        }
    }

    async fn answer(&mut self, ask: Ask) {
        // Whoever asked may have gone; what was asked for is done all the same.
        match ask {
            Ask::Take(record, answer) => {
                let before = self.state.record.clone();
                let stamp = SenderStamp::of(&record);
                let taken = self.on(Event::Offered(record)).await;
                let same = self.state.record == before;
                let taken = taken.map(|()| if same { Taken::Same } else { Taken::New });
                match &taken {
                    Ok(Taken::New) => tracing::info!(record = %stamp, "took a layout record"),
                    Ok(Taken::Same) => {}
                    Err(why) => tracing::warn!(record = %stamp, %why, "refused a layout record"),
                }
                drop(answer.send(taken));
            }
            Ask::Covered(committed, partitions, answer) => {
                drop(answer.send(self.on(Event::Covered { committed, partitions }).await));
            }
            Ask::HandedOver(id, answer) => drop(answer.send(self.on(Event::HandedOver(id)).await)),
            Ask::Retire(answer) => self.retire(answer).await,
        }
    }

    /// An event of the driver's own, that nobody waits for: tried until the disk takes it.
    async fn event(&mut self, event: Event) {
        while let Err(why) = self.on(event.clone()).await {
            if self.committer.fatal().borrow().is_some() {
                return;
            }
            tracing::warn!(%why, "what follows from the layout record could not be stored yet");
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn on(&mut self, event: Event) -> Result<(), Refusal> {
        let (next, effects) = self.state.on(event)?;
        let is_new = next.record != self.state.record;
        let mut next = Some(next);
        if let Some(state) = next.take_if(|_| !matches!(effects.first(), Some(Effect::Store { .. }))) {
            self.state = state;
            self.republish();
        }
        for effect in effects {
            match effect {
                Effect::Store { forget } => {
                    let Some(state) = next.take() else { continue };
                    if let Some(keep) = Keep::new(&state, &forget) {
                        self.committer.submit(keep)?.durable().await?;
                    }
                    self.state = state;
                    if is_new { self.turn() } else { self.republish() }
                }
                Effect::Clean { id, partitions, hints } => {
                    let (local, committer) = (self.local.clone(), self.committer.clone());
                    let job = async move {
                        if let Err(why) = purge::clean(&local, &committer, &partitions, hints).await {
                            tracing::error!(%why, "the store has stopped before the layout record was acted on");
                            future::pending::<()>().await;
                        }
                        id
                    };
                    self.cleaning = Some(Box::pin(job));
                }
                Effect::AwaitEnded(stamp) => self.awaited = Some(stamp),
                Effect::Acknowledge(stamp) => tracing::info!(step = %stamp, "acknowledged"),
            }
        }
        Ok(())
    }

    /// Publishes under a new record: those who entered before are waited for.
    fn turn(&mut self) {
        let (open, current) = mpsc::channel(1);
        self.older.push(std::mem::replace(&mut self.current, current));
        self.publish(&open);
    }

    /// Publishes under the same record.
    fn republish(&self) {
        if let Some(slot) = self.shared.slot.load_full() {
            self.publish(&slot.open);
        }
    }

    fn publish(&self, open: &mpsc::Sender<Infallible>) {
        let Some(standing) = self.state.standing().map(Arc::new) else { return };
        let slot = Slot { standing: Arc::clone(&standing), open: open.clone() };
        self.shared.slot.store(Some(Arc::new(slot)));
        self.shared.seen.send_if_modified(|seen| {
            let changed = seen.as_deref() != Some(&standing);
            *seen = Some(standing);
            changed
        });
    }

    async fn retire(&mut self, answer: oneshot::Sender<Result<(), NotRetired>>) {
        let outcome = self.try_retire().await;
        match &outcome {
            Ok(()) => tracing::info!("retired: this node holds nothing and is never named again"),
            Err(why) => tracing::info!(%why, "asked to retire, and may not yet"),
        }
        drop(answer.send(outcome));
    }

    async fn try_retire(&mut self) -> Result<(), NotRetired> {
        if self.state.retired {
            return Ok(());
        }
        self.state.may_retire()?;
        let local = self.local.clone();
        // Nothing can come in meanwhile: stand-ins are members, and no layout names this node.
        let held = blocking(move || left(&local)).await?;
        if let Some(holds) = held {
            return Err(holds);
        }
        self.committer.submit(PutMeta::retired())?.durable().await?;
        self.state.retired = true;
        self.shared.retired.store(true, Ordering::Relaxed);
        self.republish();
        Ok(())
    }
}

/// What is left on the disk, if anything.
fn left(local: &Local) -> Result<Option<NotRetired>, StoreError> {
    let summaries = local.summaries()?;
    let keys = summaries.iter().map(|(_, summary)| summary.keys).sum();
    let partitions = summaries.iter().filter(|(_, summary)| summary.held).count();
    let hints = local.hint_counts()?.iter().map(|count| count.hints).sum();
    let any = partitions > 0 || keys > 0 || hints > 0;
    Ok(any.then_some(NotRetired::Holds { partitions, keys, hints }))
}

async fn finished(job: &mut Option<BoxFuture<'static, LayoutId>>) -> LayoutId {
    let Some(running) = job else { return future::pending().await };
    let id = running.await;
    *job = None;
    id
}

/// Returns when nobody runs under an older record any more.
async fn ended(older: &mut Vec<mpsc::Receiver<Infallible>>) {
    while let Some(gate) = older.last_mut() {
        if gate.recv().await.is_none() {
            older.pop();
        }
    }
}
