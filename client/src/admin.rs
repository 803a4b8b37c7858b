//! The calls on one node that take the cluster's token: what it is, what it holds, which layout it is to take.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1 as proto;
use dynamo_proto::v1::admin_client::AdminClient;
use dynamo_ring::{ClusterId, NodeId, Partition, Record};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::error::Error;
use crate::failure::words;
use crate::pool::{self, LARGEST_MESSAGE};

/// The cluster's token. It is never printed.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error(
        "the token file {path} cannot be read: {source}; it holds the token that the nodes were started with"
    )]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Empty, or not made of visible ASCII characters.
    #[error("the token is empty or holds characters other than visible ASCII")]
    Malformed,
}

impl Token {
    /// A token; white space around it is no part of it.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Malformed);
        }
        let mut value: MetadataValue<Ascii> =
            format!("Bearer {text}").parse().map_err(|_| TokenError::Malformed)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The token in this file.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TokenError::Read { path: path.display().to_string(), source })?;
        Self::new(&text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Why a node did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// Not an address.
    #[error(transparent)]
    Address(#[from] Error),
    /// It did not answer, or not in time. What was asked may have been done.
    #[error("{address} gave no answer: {reason}")]
    Silent {
        /// The node.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// The token is not that of this cluster.
    #[error("{address} does not take this token: {reason}; use the one that its cluster was started with")]
    Denied {
        /// The node.
        address: String,
        /// Its words.
        reason: String,
    },
    /// The node may not do it. To ask again as it is makes no sense.
    #[error("{address} refused: {reason}")]
    Refused {
        /// The node.
        address: String,
        /// Its words.
        reason: String,
    },
}

/// The admin service of one node.
#[derive(Debug, Clone)]
pub struct Admin {
    address: String,
    within: Duration,
    client: AdminClient<InterceptedService<Channel, Token>>,
}

impl Admin {
    /// The node at `address` (`host:port`), each call to end within `within`. Nothing is dialled yet.
    pub fn new(address: &str, token: &Token, within: Duration) -> Result<Self, Error> {
        let channel = pool::endpoint(address, within)?.connect_lazy();
        Ok(Self::on(channel, address, token, within))
    }

    /// The same over a channel that exists.
    pub fn on(channel: Channel, address: &str, token: &Token, within: Duration) -> Self {
        let client = AdminClient::with_interceptor(channel, token.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Self { address: address.to_owned(), within, client }
    }

    /// What the node says of itself.
    pub async fn status(&self) -> Result<proto::NodeStatus, AdminError> {
        let request = self.request(proto::StatusRequest {});
        self.answer(self.client.clone().status(request).await)
    }

    /// Gives the node this record. Returns when it is durable there and every request begun under an older one has
    /// ended; a node that needs longer than this call may take acknowledges in a later status.
    ///
    /// Meant for `node` only: another one that answers at this address by now refuses, and promises nothing.
    pub async fn set_layout(
        &self,
        record: &Record,
        node: NodeId,
    ) -> Result<proto::SetLayoutReply, AdminError> {
        let request = self.request(proto::SetLayoutRequest {
            record: record.to_json().into(),
            node_id: Bytes::copy_from_slice(node.as_bytes()),
        });
        self.answer(self.client.clone().set_layout(request).await)
    }

    /// Asks the node to leave for good. Only `retired` in the reply is proof.
    pub async fn retire(&self, cluster: ClusterId, node: NodeId) -> Result<proto::RetireReply, AdminError> {
        let request = self.request(proto::RetireRequest {
            cluster_id: Bytes::copy_from_slice(cluster.as_bytes()),
            node_id: Bytes::copy_from_slice(node.as_bytes()),
        });
        self.answer(self.client.clone().retire(request).await)
    }

    /// Merkle root, keys and bytes of these partitions as they are at the node; of all it holds if none is named.
    pub async fn holdings(&self, partitions: &[Partition]) -> Result<Vec<proto::Holding>, AdminError> {
        let partitions = partitions.iter().map(|p| u32::from(p.0)).collect();
        let request = self.request(proto::HoldingsRequest { partitions });
        Ok(self.answer(self.client.clone().holdings(request).await)?.holdings)
    }

    /// Every partition that a change of layout brings to the node or takes from it; of these, if some are named.
    pub async fn moves(&self, partitions: &[Partition]) -> Result<proto::MovesReply, AdminError> {
        let partitions = partitions.iter().map(|p| u32::from(p.0)).collect();
        let request = self.request(proto::MovesRequest { partitions });
        self.answer(self.client.clone().moves(request).await)
    }

    /// This replica's own state of `key`, without asking anyone else, with the first `value_bytes` of each value, 1 KiB
    /// if 0.
    pub async fn inspect(&self, key: &[u8], value_bytes: u32) -> Result<proto::InspectReply, AdminError> {
        let request = self.request(proto::InspectRequest { key: Bytes::copy_from_slice(key), value_bytes });
        self.answer(self.client.clone().inspect(request).await)
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.set_timeout(self.within);
        request
    }

    fn answer<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, AdminError> {
        answer.map(tonic::Response::into_inner).map_err(|status| refusal(&self.address, &status))
    }
}

fn refusal(address: &str, status: &Status) -> AdminError {
    let (address, reason) = (address.to_owned(), words(status));
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => AdminError::Denied { address, reason },
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::OutOfRange
        | Code::NotFound
        | Code::AlreadyExists => AdminError::Refused { address, reason },
        _ => AdminError::Silent { address, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_sent_and_never_shown() {
        let mut token = Token::new(" secret\n").unwrap();
        let sent = token.call(Request::new(())).unwrap();
        assert_eq!(sent.metadata().get("authorization").unwrap(), "Bearer secret");
        assert!(!format!("{token:?} {:?}", sent.metadata()).contains("secret"));
        assert!(Token::new(" \n").is_err() && Token::new("a\nb").is_err());
        assert!(Token::read(Path::new("/nowhere/token")).unwrap_err().to_string().contains("/nowhere/token"));
    }

    #[test]
    fn could_not_ask_is_told_from_may_not() {
        let of = |code| refusal("a:1", &Status::new(code, "x"));
        assert!(matches!(of(Code::Unavailable), AdminError::Silent { .. }));
        assert!(matches!(of(Code::DeadlineExceeded), AdminError::Silent { .. }));
        assert!(matches!(of(Code::FailedPrecondition), AdminError::Refused { .. }));
        assert!(matches!(of(Code::Unauthenticated), AdminError::Denied { .. }));
    }
}
