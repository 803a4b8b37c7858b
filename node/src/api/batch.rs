//! Many items on one stream, each with a result of its own. No more than a bounded number is worked on at a time, and
//! no further item is taken while the client does not read answers: the wait is in the sender's own buffers.

use std::future::Future;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::time::Instant;
use tonic::Status;

use super::deadline;

/// Items of one stream that are under way at a time.
pub const AT_ONCE: usize = 64;

/// How long the items of one stream may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// None longer than this.
    pub cap: Duration,
    /// When the whole stream has to have ended, if its client said so.
    pub until: Option<Instant>,
}

impl Times {
    /// What an item may take that is begun now, and whose client gave it `deadline_ms`; 0 is none of its own.
    pub fn within(self, deadline_ms: u32, now: Instant) -> Duration {
        let own = (deadline_ms > 0).then(|| Duration::from_millis(deadline_ms.into()));
        let left = self.until.map(|until| until.saturating_duration_since(now));
        let asked = match (own, left) {
            (Some(own), Some(left)) => Some(own.min(left)),
            (own, left) => own.or(left),
        };
        deadline::granted(asked, self.cap)
    }
}

/// The answers to `items`, in the order in which they are there. Nothing is taken any more once `stopping` is over; what
/// was begun is ended.
pub fn answers<I, A, F>(
    items: impl Stream<Item = Result<I, Status>> + Send + 'static,
    stopping: impl Future<Output = ()> + Send + 'static,
    carry_out: impl Fn(I) -> F + Send + 'static,
) -> BoxStream<'static, Result<A, Status>>
where
    I: Send + 'static,
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    let one = move |item: Result<I, Status>| {
        let begun = item.map(&carry_out);
        async move {
            match begun {
                Ok(answer) => Ok(answer.await),
                // The stream itself is broken.
                Err(status) => Err(status),
            }
        }
    };
    items.take_until(Box::pin(stopping)).map(one).buffer_unordered(AT_ONCE).boxed()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::stream;
    use tokio::sync::{Notify, Semaphore};

    use super::*;

    #[tokio::test]
    async fn no_more_than_a_window_is_begun_and_none_while_answers_are_not_read() {
        let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let items = stream::iter((0..1000).map(Ok));
        let (seen, gate) = (Arc::clone(&begun), Arc::clone(&go));
        let mut answers = answers(items, pending(), move |item: usize| {
            let (seen, gate) = (Arc::clone(&seen), Arc::clone(&gate));
            async move {
                seen.fetch_add(1, Ordering::Relaxed);
                gate.acquire().await.unwrap().forget();
                item
            }
        });
        assert!(futures::poll!(answers.next()).is_pending());
        assert_eq!(begun.load(Ordering::Relaxed), AT_ONCE);
        go.add_permits(1000);
        for read in 1..=1000 {
            answers.next().await.unwrap().unwrap();
            assert!(begun.load(Ordering::Relaxed) <= read + AT_ONCE, "{read} were read");
        }
        assert!(answers.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stop_ends_what_was_begun_and_takes_nothing_more() {
        let (stop, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        // The sender keeps the stream open.
        let items = stream::iter((0..3).map(Ok)).chain(stream::pending());
        let (stopping, gate) = (Arc::clone(&stop), Arc::clone(&go));
        let mut answers = answers(items, async move { stopping.notified().await }, move |item: usize| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                item
            }
        });
        assert!(futures::poll!(answers.next()).is_pending());
        stop.notify_one();
        go.add_permits(3);
        let mut ended: Vec<usize> = Vec::new();
        while let Some(answer) = answers.next().await {
            ended.push(answer.unwrap());
        }
        ended.sort_unstable();
        assert_eq!(ended, [0, 1, 2]);
    }

    #[tokio::test]
    async fn a_broken_stream_says_so() {
        let items = stream::iter([Ok(1), Err(Status::out_of_range("too large"))]);
        let answers: Vec<_> = answers(items, pending(), ready).collect().await;
        assert!(answers.iter().any(|answer| matches!(answer, Ok(1))));
        assert!(answers.iter().any(|answer| answer.as_ref().is_err_and(|s| s.message() == "too large")));
    }

    #[test]
    fn an_item_has_the_least_of_its_own_time_the_streams_and_the_cap() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let capped = Times { cap: 10 * second, until: None };
        assert_eq!(capped.within(0, now), 10 * second);
        assert_eq!(capped.within(60_000, now), 10 * second);
        assert_eq!(
            capped.within(100, now),
            Duration::from_millis(95),
            "a little is kept back for the answer"
        );
        let ending = Times { until: Some(now + 2 * second), ..capped };
        assert_eq!(ending.within(0, now), Duration::from_millis(1950));
        assert_eq!(ending.within(100, now), Duration::from_millis(95));
        assert_eq!(ending.within(60_000, now + 3 * second), Duration::ZERO);
    }
}
