//! What carries the streams between members: gRPC in production, a simulated network under a seed in tests.
//!
//! Everything above it is the same in both: greeting, bounds, ids, deadlines, fences.

use std::fmt::Debug;
use std::sync::Arc;

use dynamo_proto::v1::{Frame, PullRequest};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tonic::Status;

use super::error::PeerError;
use super::network::PullStream;

/// Frames that go up: a caller's requests.
pub type Upward = BoxStream<'static, Frame>;
/// Frames that come down: their answers. The end, or an error, means that the stream is gone.
pub type Downward = BoxStream<'static, Result<Frame, Status>>;

/// Why nobody could be reached at an address.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address makes no sense.
    #[error("`{address}` is no address: {why}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody takes the connection.
    #[error("{0}")]
    Refused(String),
    /// Nobody says anything.
    #[error("no connection in time")]
    Silent,
}

/// A way to reach members by their addresses.
pub trait Transport: Debug + Send + Sync + 'static {
    /// Connects to `address` (host and port; the host is resolved at each call), or gives up after a time of its own.
    fn connect(&self, address: &str) -> BoxFuture<'static, Result<Arc<dyn Wire>, ConnectError>>;
}

/// One connection. It notices by itself, within a few seconds, that the other end has gone.
pub trait Wire: Debug + Send + Sync + 'static {
    /// Opens the stream of requests and answers. Frames arrive in the order in which they were sent, or not at all: what
    /// comes after a frame that is lost is lost too.
    fn exchange(&self, frames: Upward) -> BoxFuture<'static, Result<Downward, Status>>;

    /// Asks for a partition's entries, on a stream of their own.
    fn pull(&self, request: PullRequest) -> BoxFuture<'static, Result<PullStream, PeerError>>;
}
