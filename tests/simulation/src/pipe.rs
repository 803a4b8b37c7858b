//! One direction of one stream: what goes in comes out later, in its order, or not at all.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::ReceiverStream;

use crate::net::{Net, Way};

/// Messages that may be on their way.
const ON_THE_WAY: usize = 64;
/// A cut that lasts longer breaks the stream, as pings that nobody answers do.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How often a message that cannot go on tries again.
const RETRY: Duration = Duration::from_millis(10);

/// Carries `from` along a way until it ends, or the way breaks. A stream that breaks loses what is on its way, but for what
/// comes late: the called side may read on for a while after the caller has given up.
pub(crate) fn carry<T: Send + 'static>(
    net: Net,
    way: Way,
    from: impl Stream<Item = T> + Send + 'static,
) -> BoxStream<'static, T> {
    let (give, take) = mpsc::channel(ON_THE_WAY);
    tokio::spawn(async move {
        let mut from = std::pin::pin!(from);
        let mut last = Instant::now();
        loop {
            // Who has nobody to give to reads no more: the other end has gone.
            let message = tokio::select! {
                biased;
                () = give.closed() => return,
                () = net.broken(way) => return,
                message = from.next() => message,
            };
            let Some(message) = message else { return };
            last = last.max(Instant::now() + net.delay());
            let (give, due, net) = (give.clone(), last, net.clone());
            sleep_until(due).await;
            let until = Instant::now() + PATIENCE;
            while !net.is_open(way) {
                if net.is_deserted(way) || Instant::now() > until {
                    return;
                }
                sleep(RETRY).await;
            }
            if net.is_deserted(way) || give.send(message).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(take).boxed()
}
