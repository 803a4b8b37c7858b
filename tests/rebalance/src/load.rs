//! Requests at a fixed rate, whatever the answers do: each is due at its own moment, and takes as long as from then to its
//! answer, however late it was begun. So a stall shows in all requests that it holds up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dynamo_client::{Client, Context, ReadOptions, WriteOptions};
use hdrhistogram::Histogram;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// The name of a key.
pub(crate) fn key(n: u64) -> Bytes {
    format!("bench-{n:012}").into()
}

/// What requests felt for a while, in milliseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Latency {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests that failed.
    pub(crate) failed: u64,
    /// Half of them took no longer.
    pub(crate) p50_ms: f64,
    /// All but the slowest hundredth took no longer.
    pub(crate) p99_ms: f64,
    /// The slowest.
    pub(crate) max_ms: f64,
}

#[derive(Debug)]
struct Seen {
    took: Histogram<u64>,
    failed: u64,
}

impl Seen {
    fn new() -> Self {
        // Up to a minute, in microseconds.
        let took = Histogram::new_with_bounds(1, 60_000_000, 3);
        Self { took: took.unwrap_or_else(|_| unreachable!("the bounds are right")), failed: 0 }
    }
}

/// A running load.
#[derive(Debug)]
pub(crate) struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Load {
    /// Begins: half reads of `keys` keys that are there, half writes of new ones.
    pub(crate) fn begin(client: Client, rate: u32, keys: u64) -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Seen::new())), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(run(client, rate, keys, Arc::clone(&seen), Arc::clone(&stop)));
        Self { seen, stop, task }
    }

    /// What was felt since the last cut.
    pub(crate) fn cut(&mut self) -> Latency {
        let seen =
            std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), Seen::new());
        #[allow(clippy::cast_precision_loss, reason = "some seconds in microseconds")]
        let ms = |micros: u64| micros as f64 / 1000.0;
        Latency {
            requests: seen.took.len(),
            failed: seen.failed,
            p50_ms: ms(seen.took.value_at_quantile(0.5)),
            p99_ms: ms(seen.took.value_at_quantile(0.99)),
            max_ms: ms(seen.took.max()),
        }
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A task that has panicked has said so.
        let _ = self.task.await;
    }
}

async fn run(client: Client, rate: u32, keys: u64, seen: Arc<Mutex<Seen>>, stop: Arc<AtomicBool>) {
    let (begun, between) = (Instant::now(), Duration::from_secs(1) / rate.max(1));
    let value: Bytes = vec![7; 1024].into();
    for n in 0u32.. {
        let due = begun + between * n;
        sleep_until(due).await;
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (client, value, seen) = (client.clone(), value.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let done = if n % 2 == 0 {
                let (old, options) = (key(rand::random_range(0..keys)), ReadOptions::default());
                client.get(&old, &options).await.map(drop)
            } else {
                let new = format!("load-{n}");
                let (nothing_seen, options) = (Context::default(), WriteOptions::default());
                client.put(new.as_bytes(), value, &nothing_seen, &options).await.map(drop)
            };
            let took = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.took.saturating_record(took);
            seen.failed += u64::from(done.is_err());
        });
    }
}
