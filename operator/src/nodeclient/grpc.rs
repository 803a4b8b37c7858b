//! The calls, over gRPC.

use std::time::Duration;

use dynamo_proto::v1 as proto;
use dynamo_proto::v1::admin_client::AdminClient;
use dynamo_ring::{ClusterId, NodeId, Record};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::{CallError, NodeClient, Target, answer};
use crate::controller::observed::Answer;
use crate::names::GRPC_PORT;

/// For a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// For a status.
const ASK: Duration = Duration::from_secs(3);
/// For a step: requests begun before it have to end first. What takes longer is asked for again.
const TELL: Duration = Duration::from_secs(5);

/// Dials anew for each call: members come and go, and their addresses with them.
///
/// The pod's own address is tried before its name. It comes straight from Kubernetes, while the name of a new pod may
/// take 30 s to appear in DNS (lesson 7 of operators), and that of a remade one may still lead to the old pod. Neither
/// is trusted: whoever answers has to give the right name, and, for a change, the right node id.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grpc;

impl NodeClient for Grpc {
    async fn status(&self, at: &Target) -> Result<Answer, CallError> {
        let mut client = connect(at).await?;
        let status = client.status(within(proto::StatusRequest {}, ASK)).await;
        let status = status.map_err(|e| refusal(at, &e))?.into_inner();
        answer::read(&at.name, &status).map_err(|why| CallError::Unreadable(at.name.clone(), why))
    }

    async fn set_layout(&self, at: &Target, node_id: NodeId, record: &Record) -> Result<(), CallError> {
        let request =
            proto::SetLayoutRequest { record: record.to_json().into(), node_id: node_id.0.to_vec().into() };
        let mut client = connect(at).await?;
        client.set_layout(within(request, TELL)).await.map_err(|e| refusal(at, &e))?;
        Ok(())
    }

    async fn set_pace(&self, at: &Target, node_id: NodeId, bytes_per_second: u64) -> Result<(), CallError> {
        let request = proto::SetPaceRequest {
            node_id: node_id.0.to_vec().into(),
            background_bytes_per_second: bytes_per_second,
        };
        let mut client = connect(at).await?;
        client.set_pace(within(request, ASK)).await.map_err(|e| refusal(at, &e))?;
        Ok(())
    }

    async fn retire(&self, at: &Target, cluster_id: ClusterId, node_id: NodeId) -> Result<bool, CallError> {
        let request = proto::RetireRequest {
            cluster_id: cluster_id.0.to_vec().into(),
            node_id: node_id.0.to_vec().into(),
        };
        let mut client = connect(at).await?;
        let reply = client.retire(within(request, TELL)).await.map_err(|e| refusal(at, &e))?.into_inner();
        if !reply.retired {
            tracing::debug!(member = at.name, reason = reply.reason, "not yet retired");
        }
        Ok(reply.retired)
    }
}

type Client = AdminClient<InterceptedService<Channel, Token>>;

async fn connect(at: &Target) -> Result<Client, CallError> {
    let unreachable = |why: String| CallError::Unreachable(at.name.clone(), why);
    let token =
        format!("Bearer {}", at.token).parse().map_err(|_| unreachable("the token is malformed".into()))?;
    let by_ip = at.ip.as_ref().map(|ip| {
        // An IPv6 address needs its brackets.
        if ip.contains(':') { format!("[{ip}]:{GRPC_PORT}") } else { format!("{ip}:{GRPC_PORT}") }
    });
    let mut last = String::new();
    for address in by_ip.iter().chain([&at.address]) {
        match dial(address).await {
            Ok(channel) => return Ok(AdminClient::with_interceptor(channel, Token(token))),
            Err(why) => last = why.to_string(),
        }
    }
    Err(unreachable(last))
}

async fn dial(address: &str) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(CONNECT).connect().await
}

/// The client's own clock ends the call, and the member hears how long it has.
fn within<T>(message: T, time: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(time);
    request
}

/// Bears the token of the cluster.
#[derive(Clone)]
struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

fn refusal(at: &Target, status: &Status) -> CallError {
    let why = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument | Code::Unauthenticated | Code::PermissionDenied => {
            CallError::Refused(at.name.clone(), why)
        }
        _ => CallError::Unreachable(at.name.clone(), why),
    }
}
