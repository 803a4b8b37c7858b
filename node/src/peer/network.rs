//! What the rest of the node asks of the network: one call to one member. gRPC in production, a seeded simulation in tests.

use std::time::Duration;

use dynamo_proto::v1::{PullBatch, PullRequest, request::Op, response};
use dynamo_ring::NodeId;
use dynamo_ring::fence::SenderStamp;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::watch;

use super::answer::Answer;
use super::error::PeerError;

/// The entries of a partition, as they come.
pub type PullStream = BoxStream<'static, Result<PullBatch, tonic::Status>>;

/// The way to the other members.
///
/// Every call ends by itself, with an answer or an error, after `within` at the latest.
pub trait Network: Send + Sync + 'static {
    /// Asks one member. A refusal is an error; if it brought a newer layout record, that has been offered to this node
    /// before the call returns.
    fn call(
        &self,
        to: NodeId,
        op: Op,
        stamp: SenderStamp,
        within: Duration,
    ) -> BoxFuture<'_, Result<response::Result, PeerError>>;

    /// Asks one member for the entries of a partition.
    fn pull(&self, to: NodeId, request: PullRequest) -> BoxFuture<'_, Result<PullStream, PeerError>>;

    /// Whether the member can be asked just now. Local and of the moment: a call may fail all the same.
    fn is_up(&self, node: NodeId) -> bool;

    /// Changes whenever a member comes or goes.
    fn watch_up(&self) -> watch::Receiver<u64>;

    /// Whether nothing was heard of the member for suspiciously long, though its stream may be open. Ask it after others;
    /// never leave it out.
    fn is_suspected(&self, _: NodeId) -> bool {
        false
    }
}

/// Asks one member, and takes only the answer that belongs to the question.
pub async fn ask<A: Answer>(
    network: &dyn Network,
    to: NodeId,
    op: Op,
    stamp: SenderStamp,
    within: Duration,
) -> Result<A, PeerError> {
    A::from_result(network.call(to, op, stamp, within).await?)
        .ok_or_else(|| PeerError::Strange(format!("no {}", A::NAME)))
}
