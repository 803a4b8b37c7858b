//! Counting what goes over the connections to other members, as TCP carries it: a stream that counts its bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes over the connections that this node has opened to members. Each connection is opened by one of the two, so the
/// sums over all nodes count every byte once. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    sent: Counter,
    received: Counter,
}

impl Carried {
    /// Registers the figures.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Bytes sent on connections that this node opened to members";
        registry.register("peer_sent_bytes", help, self.sent.clone());
        let help = "Bytes received on connections that this node opened to members";
        registry.register("peer_received_bytes", help, self.received.clone());
    }

    /// A stream whose bytes are counted.
    pub(super) fn count<S>(&self, stream: S) -> Counted<S> {
        Counted { stream, carried: self.clone() }
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    carried: Carried,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.carried.received.inc_by(buf.filled().len().saturating_sub(before) as u64);
        polled
    }
}

impl<S: AsyncWrite + Unpin> Counted<S> {
    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.carried.sent.inc_by(*bytes as u64);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn both_ways_are_counted() {
        let carried = Carried::default();
        let (here, mut there) = duplex(64);
        let mut here = carried.count(here);
        here.write_all(b"hello").await.unwrap();
        there.write_all(b"world!!").await.unwrap();
        let mut buf = [0; 7];
        here.read_exact(&mut buf).await.unwrap();
        assert_eq!((&buf, carried.sent.get(), carried.received.get()), (b"world!!", 5, 7));
    }
}
