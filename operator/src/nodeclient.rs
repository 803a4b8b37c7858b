//! Asking one member: what it is, to take a layout record, to retire.
//!
//! A member that could not be asked has said nothing. There is no default answer here, and no answer of another node is
//! taken for its own (lessons 2 and 6 of operators).

mod answer;
mod grpc;

use std::future::Future;

use dynamo_ring::{ClusterId, NodeId, Record};

pub use self::grpc::Grpc;
use crate::controller::observed::Answer;

/// Where a member is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The pod's name, which the member has to give as its own.
    pub name: String,
    /// Its stable name, `host:port`.
    pub address: String,
    /// The pod's present address, as Kubernetes has it.
    pub ip: Option<String>,
    /// What the Admin service asks for.
    pub token: String,
}

/// Why a member did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It does not answer, or not in time. It may still have done it.
    #[error("{0} could not be reached: {1}")]
    Unreachable(String, String),
    /// It answers, and will not.
    #[error("{0} refuses: {1}")]
    Refused(String, String),
    /// Someone else answers, or something that cannot be read.
    #[error("{0} cannot be understood: {1}")]
    Unreadable(String, String),
}

/// Calls to members. Each ends within a few seconds.
pub trait NodeClient: Send + Sync + 'static {
    /// What the member says of itself.
    fn status(&self, at: &Target) -> impl Future<Output = Result<Answer, CallError>> + Send;

    /// Gives `record` to `node_id`; done when it is durable there and the requests begun before have ended.
    fn set_layout(
        &self,
        at: &Target,
        node_id: NodeId,
        record: &Record,
    ) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Tells `node_id` how fast it may move data; 0 is no limit.
    fn set_pace(
        &self,
        at: &Target,
        node_id: NodeId,
        bytes_per_second: u64,
    ) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Asks `node_id` to leave for good. `true` is the proof; anything else is none.
    fn retire(
        &self,
        at: &Target,
        cluster_id: ClusterId,
        node_id: NodeId,
    ) -> impl Future<Output = Result<bool, CallError>> + Send;
}
