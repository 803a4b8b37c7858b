//! Why the bench came to no end.

use std::io;

use dynamo_client::admin::AdminError;
use dynamo_client::local::binary::NotFound;
use dynamo_client::local::cluster::LocalError;
use dynamo_node::store::StoreError;

/// Why the bench came to no end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// Files, ports, processes.
    #[error("{0}: {1}")]
    Io(&'static str, #[source] io::Error),
    /// The program.
    #[error(transparent)]
    NoProgram(#[from] NotFound),
    /// The processes, or their layout.
    #[error(transparent)]
    Cluster(#[from] LocalError),
    /// A member's answer to a question about itself.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A client.
    #[error("a client: {0}")]
    Client(#[from] dynamo_client::Error),
    /// The plain copy's store.
    #[error("the plain copy: {0}")]
    Store(#[from] StoreError),
    /// The plain copy's stream.
    #[error("the plain copy: {0}")]
    Pull(#[from] tonic::Status),
    /// A channel to a member.
    #[error("the plain copy: {0}")]
    Channel(#[from] tonic::transport::Error),
    /// The figures could not be written as JSON.
    #[error("the figures: {0}")]
    Json(#[from] serde_json::Error),
    /// Something did not happen in time, or is not as it should be.
    #[error("{0}")]
    Other(String),
}

/// For `map_err`.
pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> BenchError {
    move |why| BenchError::Io(what, why)
}
