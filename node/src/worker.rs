//! One small shape for everything that a node does without being asked: a loop of turns, each of which says when the
//! next is due. After Garage's workers, by idea only.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is more to do: at once.
    Busy,
    /// There is more to do, but not before this time has passed: a rate is kept, or requests come first. Nothing wakes
    /// it sooner.
    Throttled(Duration),
    /// Nothing to do. Look again after this time, or when woken.
    Idle(Duration),
    /// Nothing will ever be to do again.
    Done,
}

/// Work that goes on behind requests.
pub trait Worker: Send + 'static {
    /// For logs.
    fn name(&self) -> &'static str;

    /// Does a bounded piece of work. It is dropped at a stop, at any point where it waits, so what it leaves behind must
    /// be whole.
    fn turn(&mut self) -> BoxFuture<'_, Turn>;

    /// Ends when an idle worker should look again before its time. Never, unless said otherwise.
    fn woken(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// Runs a worker until it is done, or `stop` becomes true or its sender goes.
pub fn spawn(mut worker: impl Worker, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let name = worker.name();
        let run = async {
            loop {
                match worker.turn().await {
                    // A worker that never waits must not keep others from running.
                    Turn::Busy => tokio::task::yield_now().await,
                    Turn::Throttled(pause) => sleep(pause).await,
                    Turn::Idle(pause) => tokio::select! {
                        () = sleep(pause) => {}
                        () = worker.woken() => {}
                    },
                    Turn::Done => return,
                }
            }
        };
        tokio::select! {
            () = run => tracing::debug!(worker = name, "done"),
            _ = stop.wait_for(|stop| *stop) => tracing::debug!(worker = name, "stopped"),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Script {
        turns: Vec<Turn>,
        taken: Arc<AtomicUsize>,
        wakes: bool,
    }

    impl Worker for Script {
        fn name(&self) -> &'static str {
            "script"
        }

        fn turn(&mut self) -> BoxFuture<'_, Turn> {
            let turn = self.turns.remove(0);
            self.taken.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { turn })
        }

        fn woken(&mut self) -> BoxFuture<'_, ()> {
            let wakes = self.wakes;
            Box::pin(async move {
                if !wakes {
                    std::future::pending::<()>().await;
                }
            })
        }
    }

    fn script(turns: &[Turn], wakes: bool) -> (Script, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        (Script { turns: turns.to_vec(), taken: Arc::clone(&taken), wakes }, taken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_takes_its_turns_when_they_are_due() {
        let (_keep, stop) = watch::channel(false);
        let hour = Duration::from_hours(1);
        let (worker, taken) =
            script(&[Turn::Busy, Turn::Throttled(hour), Turn::Idle(hour), Turn::Done], false);
        let begun = tokio::time::Instant::now();
        spawn(worker, stop.clone()).await.unwrap();
        assert_eq!((taken.load(Ordering::Relaxed), begun.elapsed()), (4, 2 * hour));

        let (woken, _) = script(&[Turn::Idle(hour), Turn::Done], true);
        let begun = tokio::time::Instant::now();
        spawn(woken, stop).await.unwrap();
        assert!(begun.elapsed() < hour);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_an_idle_worker_at_once() {
        let (stopper, stop) = watch::channel(false);
        let (worker, _) = script(&[Turn::Idle(Duration::MAX)], false);
        let task = spawn(worker, stop);
        tokio::task::yield_now().await;
        stopper.send(true).unwrap();
        task.await.unwrap();
    }
}
