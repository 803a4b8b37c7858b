//! The transport of production: one HTTP/2 connection to each member.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dynamo_proto::v1::replica_client::ReplicaClient;
use dynamo_proto::v1::{Frame, PullRequest};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::connection::MAX_FRAME;
use super::error::PeerError;
use super::network::PullStream;
use super::transport::{ConnectError, Downward, Transport, Upward, Wire};

/// How long a connection may take, the look-up of its name included.
const CONNECT: Duration = Duration::from_secs(1);

/// A peer whose process or network has stopped is noticed after both of these together.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_millis(1500);

/// Connects over TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grpc;

/// One connection.
#[derive(Debug)]
struct GrpcWire(ReplicaClient<Channel>);

impl Transport for Grpc {
    fn connect(&self, address: &str) -> BoxFuture<'static, Result<Arc<dyn Wire>, ConnectError>> {
        let address = address.to_owned();
        async move {
            let endpoint = match Endpoint::from_shared(format!("http://{address}")) {
                Ok(endpoint) => endpoint,
                Err(why) => return Err(ConnectError::Address { address, why: why.to_string() }),
            };
            let endpoint = endpoint
                .connect_timeout(CONNECT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PING_TIMEOUT)
                .keep_alive_while_idle(true)
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(16 << 20);
            // The name is resolved here, so at each attempt: a pod that has moved is found again.
            let channel = timeout(CONNECT, endpoint.connect()).await;
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
