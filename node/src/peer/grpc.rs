//! The transport of production: one HTTP/2 connection to each member.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dynamo_proto::v1::replica_client::ReplicaClient;
use dynamo_proto::v1::{Frame, PullRequest};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;
use tonic::codegen::{Service, http::Uri};
use tonic::transport::{Channel, Endpoint};

use super::carried::{Carried, Counted};
use super::connection::MAX_FRAME;
use super::error::PeerError;
use super::network::PullStream;
use super::transport::{ConnectError, Downward, Transport, Upward, Wire};

/// How long a connection may take, the look-up of its name included.
const CONNECT: Duration = Duration::from_secs(1);

/// A peer whose process or network has stopped is noticed after both of these together.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_millis(1500);

/// Connects over TCP, and counts what goes over it.
#[derive(Debug, Clone, Default)]
pub struct Grpc(Carried);

impl Grpc {
    /// A way to reach members whose bytes are counted here.
    pub const fn new(carried: Carried) -> Self {
        Self(carried)
    }
}

/// One connection.
#[derive(Debug)]
struct GrpcWire(ReplicaClient<Channel>);

impl Transport for Grpc {
    fn connect(&self, address: &str) -> BoxFuture<'static, Result<Arc<dyn Wire>, ConnectError>> {
        let (address, carried) = (address.to_owned(), self.0.clone());
        async move {
            let endpoint = match Endpoint::from_shared(format!("http://{address}")) {
                Ok(endpoint) => endpoint,
                Err(why) => return Err(ConnectError::Address { address, why: why.to_string() }),
            };
            let endpoint = endpoint
                .http2_keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PING_TIMEOUT)
                .keep_alive_while_idle(true)
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(16 << 20);
            // The name is resolved here, so at each attempt: a pod that has moved is found again.
            let channel = timeout(CONNECT, endpoint.connect_with_connector(Dial(carried))).await;
            let channel = channel.map_err(|_| ConnectError::Silent)?;
            let channel = channel.map_err(|why| ConnectError::Refused(why.to_string()))?;
            let client = ReplicaClient::new(channel)
                .max_decoding_message_size(MAX_FRAME)
                .max_encoding_message_size(MAX_FRAME);
            Ok(Arc::new(GrpcWire(client)) as Arc<dyn Wire>)
        }
        .boxed()
    }
}

/// Opens a connection whose bytes are counted.
#[derive(Debug, Clone)]
struct Dial(Carried);

impl Service<Uri> for Dial {
    type Response = TokioIo<Counted<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let carried = self.0.clone();
        async move {
            // The brackets of an IPv6 address belong to the URI.
            let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
            let stream = TcpStream::connect((host, to.port_u16().unwrap_or(80))).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(carried.count(stream)))
        }
        .boxed()
    }
}

impl Wire for GrpcWire {
    fn exchange(&self, frames: Upward) -> BoxFuture<'static, Result<Downward, Status>> {
        let mut client = self.0.clone();
        async move {
            let answers = client.exchange(Frames(frames)).await?;
            Ok(answers.into_inner().boxed())
        }
        .boxed()
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'static, Result<PullStream, PeerError>> {
        let mut client = self.0.clone();
        async move {
            match client.pull(request).await {
                Ok(batches) => Ok(batches.into_inner().boxed()),
                Err(status) => Err(PeerError::Strange(format!("{} ({:?})", status.message(), status.code()))),
            }
        }
        .boxed()
    }
}

/// The upward half of a stream. A type of its own: with the bare boxed stream the compiler cannot prove that the call
/// may move between threads.
struct Frames(Upward);

impl Stream for Frames {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.0.poll_next_unpin(cx)
    }
}
