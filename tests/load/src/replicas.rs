//! Asks single members, with the cluster's token: what a replica itself holds, without a quorum's help.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use dynamo_proto::v1::admin_client::AdminClient;
use dynamo_proto::v1::{Holding, HoldingsRequest, InspectReply, InspectRequest};
use dynamo_ring::Layout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

const PATIENCE: Duration = Duration::from_secs(10);

/// Why a member could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The token cannot be read.
    #[error("the token file {path}: {reason}")]
    Token {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The member is not in the layout that this reader was made for.
    #[error("{0} is no member of the layout")]
    Unknown(String),
    /// It answered with an error, or not at all.
    #[error("{member}: {status}")]
    Answer {
        /// The member.
        member: String,
        /// What it said.
        status: Box<Status>,
    },
    /// Its address is none.
    #[error("{member}: {reason}")]
    Address {
        /// The member.
        member: String,
        /// Why.
        reason: String,
    },
}

/// Connections to all members of one layout.
#[derive(Debug, Clone)]
pub struct Replicas {
    token: MetadataValue<Ascii>,
    members: BTreeMap<String, AdminClient<Channel>>,
}

impl Replicas {
    /// For the members of `layout`; they are connected to when they are asked.
    pub fn of(layout: &Layout, token_file: &Path) -> Result<Self, ReplicaError> {
        let fail = |reason: String| ReplicaError::Token { path: token_file.display().to_string(), reason };
        let token = std::fs::read_to_string(token_file).map_err(|e| fail(e.to_string()))?;
        let token = format!("Bearer {}", token.trim()).parse().map_err(|_| fail("it is no token".into()))?;
        let mut members = BTreeMap::new();
        for member in layout.members() {
            let endpoint = Endpoint::from_shared(format!("http://{}", member.address))
                .map_err(|e| ReplicaError::Address { member: member.name.clone(), reason: e.to_string() })?;
            let channel = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy();
            let client = AdminClient::new(channel).max_decoding_message_size(64 << 20);
            members.insert(member.name.clone(), client);
        }
        Ok(Self { token, members })
    }

    /// Root, keys and bytes of every partition that `member` holds.
    pub async fn holdings(&self, member: &str) -> Result<Vec<Holding>, ReplicaError> {
        let mut client = self.client(member)?;
        let answer = client.holdings(self.request(HoldingsRequest { partitions: Vec::new() })).await;
        answer.map(|reply| reply.into_inner().holdings).map_err(|status| answered(member, status))
    }

    /// What `member` itself has of `key`.
    pub async fn inspect(&self, member: &str, key: &[u8]) -> Result<InspectReply, ReplicaError> {
        let mut client = self.client(member)?;
        let request = InspectRequest { key: bytes::Bytes::copy_from_slice(key) };
        let answer = client.inspect(self.request(request)).await;
        answer.map(tonic::Response::into_inner).map_err(|status| answered(member, status))
    }

    fn client(&self, member: &str) -> Result<AdminClient<Channel>, ReplicaError> {
        self.members.get(member).cloned().ok_or_else(|| ReplicaError::Unknown(member.to_owned()))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }
}

fn answered(member: &str, status: Status) -> ReplicaError {
    ReplicaError::Answer { member: member.to_owned(), status: Box::new(status) }
}
