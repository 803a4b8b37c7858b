//! Writers and readers. Each key belongs to one writer, so that its writes have an order that can be checked.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dynamo_client::{Client, Context, Error, ReadOptions, Value, WriteOptions};
use futures::future::try_join_all;
use tokio::time::{MissedTickBehavior, interval};

use crate::history::History;
use crate::journal::{Journal, JournalError};
use crate::stats::{Line, Meter, Phase};
use crate::value::{HEADER, Mark, key};

/// Of a hundred steady writes, so many are of a new key.
const NEW_KEYS: u32 = 10;
/// Of a hundred steady writes of an old key, so many are preceded by a read.
const READ_FIRST: u32 = 20;
/// A preload that fails pauses this long before the key is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Keys that the preload writes. The steady phase adds at most as many.
    pub keys: u64,
    /// What their names begin with.
    pub prefix: String,
    /// Bytes of each value, at least [`HEADER`].
    pub value_bytes: usize,
    /// Tasks that write.
    pub writers: u32,
    /// Tasks that read.
    pub readers: u32,
    /// Operations a second over all tasks once the preload is done; as fast as answers come if absent.
    pub rate: Option<NonZeroU32>,
    /// Write every key once first.
    pub preload: bool,
    /// The load ends by itself after this, preload included.
    pub duration: Duration,
    /// And after this many acknowledged writes.
    pub max_writes: u64,
    /// And when this file appears.
    pub stop_file: Option<PathBuf>,
}

/// Why a plan makes no sense, or a run had to end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Values have to describe themselves.
    #[error("values of {given} bytes cannot say what they are: {HEADER} are needed")]
    ValueBytes {
        /// What was asked for.
        given: usize,
    },
    /// There would be nothing to do.
    #[error("no writers and no readers: give at least one")]
    Nobody,
    /// There would be nothing to write or read.
    #[error("no keys: give at least one")]
    NoKeys,
    /// Keys are written by writers.
    #[error("a preload needs at least one writer; without writers say --no-preload")]
    NobodyToPreload,
    /// What cannot be noted must not be counted.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Plan {
    /// Whether it makes sense; asked before anything is made.
    pub fn check(&self) -> Result<(), LoadError> {
        match self {
            Self { value_bytes, .. } if *value_bytes < HEADER => {
                Err(LoadError::ValueBytes { given: *value_bytes })
            }
            Self { writers: 0, readers: 0, .. } => Err(LoadError::Nobody),
            Self { keys: 0, .. } => Err(LoadError::NoKeys),
            Self { writers: 0, preload: true, .. } => Err(LoadError::NobodyToPreload),
            _ => Ok(()),
        }
    }
}

/// What all tasks share.
#[derive(Debug)]
struct Shared {
    plan: Plan,
    client: Client,
    journal: Journal,
    meter: Meter,
    begun: Instant,
    stop: Arc<AtomicBool>,
    /// Writers that have not finished the preload.
    loading: AtomicU64,
}

/// Runs the plan until it ends or `stop` is set, and shows a line of figures each second, the last one as `ended`.
pub async fn run(
    client: Client,
    plan: Plan,
    journal: Journal,
    stop: Arc<AtomicBool>,
    mut show: impl FnMut(&Line),
) -> Result<Line, LoadError> {
    plan.check()?;
    let loading = AtomicU64::new(if plan.preload { u64::from(plan.writers) } else { 0 });
    let (meter, begun) = (Meter::default(), Instant::now());
    let shared = Arc::new(Shared { plan, client, journal, meter, begun, stop, loading });
    let writers = (0..shared.plan.writers).map(|n| tokio::spawn(Writer::new(n, Arc::clone(&shared)).run()));
    let readers = (0..shared.plan.readers).map(|_| tokio::spawn(read(Arc::clone(&shared))));
    let mut tasks = std::pin::pin!(try_join_all(writers.chain(readers).collect::<Vec<_>>()));
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second.tick().await;
    let results = loop {
        tokio::select! {
            results = &mut tasks => break results,
            _ = second.tick() => {
                shared.look_whether_to_stop();
                show(&shared.line(shared.phase()));
            }
        }
    };
    let line = shared.line(Phase::Ended);
    show(&line);
    // A task that panicked has a fault of its own; its message has been printed.
    for result in results.unwrap_or_default() {
        result?;
    }
    Ok(line)
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn look_whether_to_stop(&self) {
        let told = self.plan.stop_file.as_ref().is_some_and(|file| file.exists());
        let enough = self.meter.acknowledged() >= self.plan.max_writes;
        if told || enough || self.begun.elapsed() >= self.plan.duration {
            self.stop();
        }
    }

    fn phase(&self) -> Phase {
        if self.loading.load(Ordering::Relaxed) > 0 { Phase::Preload } else { Phase::Steady }
    }

    fn line(&self, phase: Phase) -> Line {
        self.meter.take(self.begun.elapsed().as_secs_f64(), phase, self.client.statistics().retries)
    }

    /// Waits until every writer has loaded its keys.
    async fn loaded(&self) {
        while self.phase() == Phase::Preload && !self.stopped() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The time between two operations of one task.
    fn pace(&self) -> Option<tokio::time::Interval> {
        let tasks = self.plan.writers + self.plan.readers;
        let pause = self.plan.rate.map(|rate| Duration::from_secs(1) * tasks / rate.get())?;
        let mut pace = interval(pause.max(Duration::from_micros(1)));
        // A task that was held up does not make up for it by a burst.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(pace)
    }

    /// Reads key `index`; what is not as it was written is counted.
    async fn get(&self, index: u64) -> Option<(Vec<Mark>, Value)> {
        let begun = Instant::now();
        match self.client.get(key(&self.plan.prefix, index).as_bytes(), &ReadOptions::default()).await {
            Ok(value) => {
                self.meter.read(begun.elapsed(), value.siblings.len());
                let mut marks = Vec::new();
                for sibling in &value.siblings {
                    match Mark::read(&sibling.value) {
                        Ok(mark) if mark.index == index => marks.push(mark),
                        _ => self.meter.corrupt(),
                    }
                }
                Some((marks, value))
            }
            Err(error) => {
                self.failed("read", &error);
                None
            }
        }
    }

    fn failed(&self, what: &str, error: &Error) {
        tracing::warn!(%error, "{what} failed");
        self.meter.failed(&format!("{what}_{}", error.kind()));
    }
}

/// One writer, with the keys whose index leaves its number when divided by the number of writers.
#[derive(Debug)]
struct Writer {
    number: u32,
    shared: Arc<Shared>,
    /// Of its keys, in order.
    histories: Vec<History>,
}

impl Writer {
    fn new(number: u32, shared: Arc<Shared>) -> Self {
        Self { number, shared, histories: Vec::new() }
    }

    fn index(&self, at: usize) -> u64 {
        at as u64 * u64::from(self.shared.plan.writers) + u64::from(self.number)
    }

    async fn run(mut self) -> Result<(), LoadError> {
        if self.shared.plan.preload {
            let loaded = self.preload().await;
            self.shared.loading.fetch_sub(1, Ordering::Relaxed);
            if loaded.is_err() {
                self.shared.stop();
            }
            loaded?;
        }
        self.shared.loaded().await;
        let written = self.steady().await;
        if written.is_err() {
            self.shared.stop();
        }
        written
    }

    /// Writes each of its keys until the write is acknowledged.
    async fn preload(&mut self) -> Result<(), LoadError> {
        while self.index(self.histories.len()) < self.shared.plan.keys {
            self.histories.push(History::default());
            let at = self.histories.len() - 1;
            while !self.write(at).await? {
                if self.shared.stopped() {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
            if self.shared.stopped() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn steady(&mut self) -> Result<(), LoadError> {
        let mut pace = self.shared.pace();
        while !self.shared.stopped() {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            let at = self.choose();
            let history = &self.histories[at];
            if history.exists() && (history.unsure() || rand::random_range(0..100) < READ_FIRST) {
                self.look(at).await;
            }
            self.write(at).await?;
        }
        Ok(())
    }

    /// One of its keys, or a new one while there are not twice as many as the preload writes.
    fn choose(&mut self) -> usize {
        let room = self.index(self.histories.len()) < self.shared.plan.keys.saturating_mul(2);
        if self.histories.is_empty() || (room && rand::random_range(0..100) < NEW_KEYS) {
            self.histories.push(History::default());
            return self.histories.len() - 1;
        }
        rand::random_range(0..self.histories.len())
    }

    async fn look(&mut self, at: usize) {
        let index = self.index(at);
        if let Some((marks, value)) = self.shared.get(index).await
            && self.histories[at].read(&marks, value.context)
        {
            self.shared.meter.behind();
        }
    }

    /// Writes the key once. Returns whether that was acknowledged, which is then noted and counted, in this order.
    async fn write(&mut self, at: usize) -> Result<bool, LoadError> {
        let (index, shared) = (self.index(at), Arc::clone(&self.shared));
        let history = &mut self.histories[at];
        let first = !history.exists();
        let attempt = history.attempt();
        let mark = Mark { writer: self.number, index, sequence: attempt.sequence, covers: attempt.covers };
        let (name, value) = (key(&shared.plan.prefix, index), mark.value(shared.plan.value_bytes));
        let begun = Instant::now();
        let context: &Context = &attempt.context;
        match shared.client.put(name.as_bytes(), value, context, &WriteOptions::default()).await {
            Ok(written) => {
                let took = begun.elapsed();
                shared.journal.note(index, attempt.sequence)?;
                history.acknowledged(&attempt, written.context);
                shared.meter.wrote(took, first);
                Ok(true)
            }
            Err(error) => {
                history.failed();
                shared.failed("write", &error);
                Ok(false)
            }
        }
    }
}

/// One reader: any of the keys that the preload wrote, here or in another process.
async fn read(shared: Arc<Shared>) -> Result<(), LoadError> {
    shared.loaded().await;
    let mut pace = shared.pace();
    while !shared.stopped() {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        shared.get(rand::random_range(0..shared.plan.keys)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            keys: 10,
            prefix: "load-".into(),
            value_bytes: 64,
            writers: 2,
            readers: 1,
            rate: None,
            preload: true,
            duration: Duration::from_secs(1),
            max_writes: 100,
            stop_file: None,
        }
    }

    #[test]
    fn plans_that_make_no_sense_are_refused_where_they_are_given() {
        assert!(plan().check().is_ok());
        assert!(Plan { writers: 0, preload: false, ..plan() }.check().is_ok());
        let refused = [
            Plan { value_bytes: HEADER - 1, ..plan() },
            Plan { writers: 0, readers: 0, ..plan() },
            Plan { keys: 0, ..plan() },
            Plan { writers: 0, ..plan() },
        ];
        for bad in refused {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
