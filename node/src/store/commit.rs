//! The commit thread: takes what waits, writes it as one batch, answers `applied`, syncs once, answers `synced`.
//!
//! What the background writes may wait a little for the sync of a request; see `patience`.
//!
//! The answer `applied` comes before the sync, so that a coordinator sends to the replicas while its own disk works: a
//! put costs one sync and one round trip side by side, not two syncs. Only `synced` counts as a copy.
//!
//! A sync that failed is never tried again (PostgreSQL's "fsyncgate" of 2018, Rebello et al. ATC 2020): everything
//! that waits is answered with an error, and [`Committer::fatal`] tells the server to stop the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::batch::{Batch, Limits};
use super::error::{OpError, StoreError, SubmitError};
use super::keys::MetaKey;
use super::metrics::StoreMetrics;
use super::op::Operation;
use super::patience::{Patience, Wrote};
use super::queue::{Queue, QueueLimits};
use super::rows::Counters;
use super::{Read, Space, Store};
use crate::planted::{self, Fault};

/// What an operation answered, and the batch it is part of.
#[derive(Debug, Clone)]
pub struct Applied<T> {
    /// The operation's own answer.
    pub outcome: T,
    /// Number of the batch; of the last one, if nothing had to be changed.
    pub commit: u64,
}

/// The two answers to an operation. Dropping it does not take the operation back.
#[derive(Debug)]
#[must_use = "without the answer nobody knows whether it was done"]
pub struct Ticket<T> {
    /// It is done and can be read here, but a crash may still take it back.
    pub applied: oneshot::Receiver<Result<Applied<T>, OpError>>,
    /// It is on this disk.
    pub synced: oneshot::Receiver<Result<(), OpError>>,
}

impl<T> Ticket<T> {
    /// Waits until it is done, durably or not. Once.
    pub async fn applied(&mut self) -> Result<Applied<T>, OpError> {
        (&mut self.applied).await.unwrap_or(Err(OpError::Stopped))
    }

    /// Waits until it is on this disk.
    pub async fn synced(self) -> Result<(), OpError> {
        self.synced.await.unwrap_or(Err(OpError::Stopped))
    }

    /// Waits until it is done and on this disk.
    pub async fn durable(mut self) -> Result<Applied<T>, OpError> {
        let applied = self.applied().await?;
        self.synced().await.map(|()| applied)
    }
}

/// An operation on its way, whatever its type.
trait Job: Send {
    fn grows(&self) -> bool;
    fn is_background(&self) -> bool;
    /// Does it in the batch and keeps the outcome. The store's failure, if it was that.
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError>;
    /// Answers `applied`; says whether `synced` is still to come.
    fn answer_applied(&mut self, commit: u64) -> bool;
    fn answer_synced(&mut self);
    fn fail(&mut self, why: OpError);
}

struct Pending<O: Operation> {
    operation: O,
    outcome: Result<O::Outcome, OpError>,
    applied: Option<oneshot::Sender<Result<Applied<O::Outcome>, OpError>>>,
    synced: Option<oneshot::Sender<Result<(), OpError>>>,
}

impl<O: Operation> Job for Pending<O> {
    fn grows(&self) -> bool {
        O::GROWS
    }

    fn is_background(&self) -> bool {
        O::BACKGROUND
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        self.outcome = batch.apply(&self.operation);
        match &self.outcome {
            Err(OpError::Store(why)) if why.is_fatal() => Err(why.clone()),
            _ => Ok(()),
        }
    }

    fn answer_applied(&mut self, commit: u64) -> bool {
        match std::mem::replace(&mut self.outcome, Err(OpError::Stopped)) {
            Ok(outcome) => {
                if let Some(applied) = self.applied.take() {
                    // Nobody may be waiting any more; the operation is done all the same.
                    let _ = applied.send(Ok(Applied { outcome, commit }));
                }
                true
            }
            Err(why) => {
                self.fail(why);
                false
            }
        }
    }

    fn answer_synced(&mut self) {
        if let Some(synced) = self.synced.take() {
            let _ = synced.send(Ok(()));
        }
    }

    fn fail(&mut self, why: OpError) {
        if let Some(applied) = self.applied.take() {
            let _ = applied.send(Err(why.clone()));
        }
        if let Some(synced) = self.synced.take() {
            let _ = synced.send(Err(why));
        }
    }
}

type Jobs = Vec<Box<dyn Job>>;

struct Shared {
    queue: Queue<Box<dyn Job>>,
    last_commit: AtomicU64,
    last_synced: AtomicU64,
    fatal: watch::Sender<Option<String>>,
    metrics: StoreMetrics,
}

/// The way to the commit thread. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer")
            .field("last_commit", &self.last_commit())
            .field("last_synced", &self.last_synced())
            .finish_non_exhaustive()
    }
}

impl Committer {
    /// Starts the commit thread over a store that has an identity (see [`Identity`](super::Identity)). No other may
    /// write to the store from then on.
    pub fn start(
        store: Arc<dyn Store>,
        limits: Limits,
        queue: QueueLimits,
    ) -> Result<(Self, CommitThread), StoreError> {
        let (committer, pump) = Self::manual(store, limits, queue)?;
        let spawned = thread::Builder::new().name("commit".to_owned()).spawn(move || pump.run());
        let handle = spawned.map_err(|why| StoreError::Io(format!("no commit thread: {why}")))?;
        Ok((committer.clone(), CommitThread { committer, handle }))
    }

    /// Without a thread: the caller turns the [`Pump`]. For simulations.
    pub fn manual(
        store: Arc<dyn Store>,
        limits: Limits,
        queue: QueueLimits,
    ) -> Result<(Self, Pump), StoreError> {
        // What an earlier process wrote and did not sync is synced before its commit number counts as such.
        store.sync()?;
        let row = store.get(Space::Meta, &MetaKey::Counters.encode())?;
        let last = row.map(|row| Counters::decode(&row)).transpose()?.unwrap_or_default().commit;
        let shared = Arc::new(Shared {
            queue: Queue::new(queue),
            last_commit: last.into(),
            last_synced: last.into(),
            fatal: watch::Sender::new(None),
            metrics: StoreMetrics::default(),
        });
        Ok((Self { shared: Arc::clone(&shared) }, Pump { store, limits, shared, written: Vec::new() }))
    }

    /// Queues an operation, or refuses it at once. Operations are applied in the order of their submission.
    pub fn submit<O: Operation>(&self, operation: O) -> Result<Ticket<O::Outcome>, SubmitError> {
        let (applied, applied_ticket) = oneshot::channel();
        let (synced, synced_ticket) = oneshot::channel();
        let weight = operation.weight();
        let outcome = Err(OpError::Stopped);
        let job = Pending { operation, outcome, applied: Some(applied), synced: Some(synced) };
        self.shared.queue.push(weight, Box::new(job))?;
        Ok(Ticket { applied: applied_ticket, synced: synced_ticket })
    }

    /// Number of the last batch written.
    pub fn last_commit(&self) -> u64 {
        self.shared.last_commit.load(Ordering::Acquire)
    }

    /// Number of the last batch known to be on disk.
    pub fn last_synced(&self) -> u64 {
        self.shared.last_synced.load(Ordering::Acquire)
    }

    /// Becomes `Some(why)` when the store has failed for good: stop the process with this message.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.shared.fatal.subscribe()
    }

    /// Waits until something waits to be written; false once nothing will come any more. For whoever turns the [`Pump`].
    pub async fn filled(&self) -> bool {
        self.shared.queue.filled().await
    }

    /// What is timed.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }

    /// Operations and bytes that wait.
    pub fn depth(&self) -> (usize, usize) {
        self.shared.queue.depth()
    }
}

/// The running commit thread.
#[derive(Debug)]
pub struct CommitThread {
    committer: Committer,
    handle: thread::JoinHandle<()>,
}

impl CommitThread {
    /// Takes nothing more, finishes what waits, and returns when all of it is on disk. Blocking.
    pub fn stop(self) -> Result<(), OpError> {
        self.committer.shared.queue.close();
        let joined = self.handle.join();
        let fatal = self.committer.shared.fatal.borrow().clone();
        match (fatal, joined) {
            (Some(why), _) => Err(OpError::Fatal(why)),
            (None, Err(_)) => Err(OpError::Fatal("the commit thread panicked".to_owned())),
            (None, Ok(())) => Ok(()),
        }
    }
}

/// The commit thread's work, turn by turn.
pub struct Pump {
    store: Arc<dyn Store>,
    limits: Limits,
    shared: Arc<Shared>,
    /// Applied, and waiting for the sync.
    written: Jobs,
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").field("written", &self.written.len()).finish_non_exhaustive()
    }
}

impl Pump {
    fn run(mut self) {
        let mut patience = Patience::default();
        while let Some(jobs) = self.shared.queue.wait(patience.due()) {
            let now = Instant::now();
            let wrote = match &jobs[..] {
                [] => Wrote::Nothing,
                jobs if jobs.iter().all(|job| job.is_background()) => Wrote::Background,
                _ => Wrote::Request,
            };
            self.write_jobs(jobs);
            if patience.syncs(wrote, now) {
                self.sync();
            }
        }
        self.sync();
    }

    /// Writes the next batch of what waits and answers `applied`; says whether anything waited.
    pub fn write(&mut self) -> bool {
        let jobs = self.shared.queue.take();
        let any = !jobs.is_empty();
        self.write_jobs(jobs);
        any
    }

    /// Takes nothing more from now on; what waits can still be written.
    pub fn close(&self) {
        self.shared.queue.close();
    }

    /// The process is gone: what waits is never written and never answered.
    pub fn abandon(mut self) {
        self.written.clear();
        drop(self.shared.queue.fail("the process has ended"));
    }

    /// Syncs what was written and answers `synced`; nothing once the store has failed.
    pub fn sync(&mut self) {
        if self.shared.fatal.borrow().is_some() {
            return;
        }
        let commit = self.shared.last_commit.load(Ordering::Acquire);
        // Batches that changed nothing need no sync: all before them is on disk.
        if commit > self.shared.last_synced.load(Ordering::Acquire) {
            let skips = planted::is(Fault::SkipSync);
            let begun = Instant::now();
            if !skips && let Err(why) = self.store.sync() {
                let written = std::mem::take(&mut self.written);
                return self.stop_for_good(&why, written);
            }
            self.shared.metrics.synced(begun.elapsed());
            self.shared.last_synced.store(commit, Ordering::Release);
        }
        for mut job in self.written.drain(..) {
            job.answer_synced();
        }
    }

    fn write_jobs(&mut self, mut jobs: Jobs) {
        let mut attempt = self.attempt(&mut jobs, false);
        if let Err(full @ StoreError::Full { .. }) = attempt {
            // What would fill the disk further is refused; what frees room, or must not fail, may use the reserve.
            for mut job in jobs.extract_if(.., |job| job.grows()) {
                job.fail(full.clone().into());
            }
            attempt = self.attempt(&mut jobs, true);
        }
        match attempt {
            Ok(commit) => {
                self.shared.last_commit.store(commit, Ordering::Release);
                jobs.retain_mut(|job| job.answer_applied(commit));
                if planted::is(Fault::AnswerBeforeSync) {
                    for job in &mut jobs {
                        job.answer_synced();
                    }
                }
                self.written.append(&mut jobs);
            }
            Err(why) if why.is_fatal() => {
                jobs.append(&mut self.written);
                self.stop_for_good(&why, jobs);
            }
            Err(why) => jobs.iter_mut().for_each(|job| job.fail(why.clone().into())),
        }
    }

    /// Applies the jobs as one batch and writes it; returns the number of the last batch.
    fn attempt(&self, jobs: &mut Jobs, reserve: bool) -> Result<u64, StoreError> {
        let reader: &dyn Read = &*self.store;
        let mut batch = Batch::new(reader, self.limits)?;
        for job in jobs {
            job.apply(&mut batch)?;
        }
        let commit = batch.commit();
        match batch.finish() {
            Some(rows) => self.store.write(super::WriteBatch { reserve, ..rows }).map(|()| commit),
            None => Ok(commit - 1),
        }
    }

    fn stop_for_good(&self, why: &StoreError, jobs: Jobs) {
        let message = why.to_string();
        tracing::error!(error = %message, "the store has failed");
        let waiting = self.shared.queue.fail(&message);
        self.shared.fatal.send_replace(Some(message.clone()));
        for mut job in jobs.into_iter().chain(waiting) {
            job.fail(OpError::Fatal(message.clone()));
        }
    }
}

impl Drop for Pump {
    /// However the thread ends, nobody waits for ever.
    fn drop(&mut self) {
        if thread::panicking() {
            let jobs = std::mem::take(&mut self.written);
            self.stop_for_good(&StoreError::Engine("the commit thread panicked".to_owned()), jobs);
        } else {
            self.shared.queue.close();
        }
    }
}
