//! Load within a test: the generator's own writers and readers, as tasks.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynamo_load::journal::Journal;
use dynamo_load::stats::Line;
use dynamo_load::workload::{self, LoadError, Plan};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Bench, PATIENCE};

/// A running load.
#[derive(Debug)]
pub struct Load {
    journal: PathBuf,
    stop: Arc<AtomicBool>,
    lines: watch::Receiver<Line>,
    task: JoinHandle<Result<Line, LoadError>>,
}

impl Load {
    /// Writes `keys` keys of `value_bytes` once, then goes on with `rate` operations a second, reads among them.
    pub async fn start(bench: &Bench, keys: u64, value_bytes: usize, rate: u32) -> Self {
        let journal = bench.folder().join("journal");
        let plan = Plan {
            keys,
            prefix: "load-".into(),
            value_bytes,
            writers: 6,
            readers: 2,
            rate: NonZeroU32::new(rate),
            preload: true,
            duration: PATIENCE * 3,
            max_writes: 1_000_000,
            stop_file: None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (send, lines) = watch::channel(Line::default());
        let file = Journal::create(&journal, &plan.prefix).expect("a new journal");
        let show = move |line: &Line| {
            let _ = send.send(line.clone());
        };
        let task = tokio::spawn(workload::run(bench.client().await, plan, file, Arc::clone(&stop), show));
        let mut load = Self { journal, stop, lines, task };
        load.until("loaded", |line| line.loaded).await;
        load
    }

    /// The latest line of figures.
    pub fn line(&self) -> Line {
        self.lines.borrow().clone()
    }

    /// Waits for a line.
    pub async fn until(&mut self, what: &str, seen: impl Fn(&Line) -> bool) {
        let waiting = self.lines.wait_for(|line| seen(line));
        let line = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(matches!(line, Ok(Ok(_))), "the load was not {what}");
    }

    /// Waits until `count` more writes were acknowledged.
    pub async fn more(&mut self, count: u64) {
        let from = self.line().acknowledged;
        self.until("writing on", |line| line.acknowledged >= from + count).await;
    }

    /// Ends it; returns the last line and the journal.
    pub async fn end(self) -> (Line, PathBuf) {
        self.stop.store(true, Ordering::Relaxed);
        let line = tokio::time::timeout(Duration::from_secs(30), self.task).await;
        let line = line.expect("a load that ends when it is told to");
        (line.expect("a task that does not panic").expect("a journal that can be written"), self.journal)
    }

    /// The journal so far.
    pub fn journal(&self) -> &Path {
        &self.journal
    }
}
