//! The two servers of a node: gRPC, and HTTP for figures and probes.

use std::sync::Arc;
use std::time::Duration;

use dynamo_proto::v1::admin_server::AdminServer;
use dynamo_proto::v1::kv_server::KvServer;
use dynamo_proto::v1::replica_server::ReplicaServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::error::StartError;
use crate::api::door::Door;
use crate::api::pieces::AROUND_A_VALUE;
use crate::api::token::TokenGuard;
use crate::api::{answers, http};
use crate::engine::Engine;
use crate::peer::MAX_FRAME;
use crate::phase::Life;

/// Requests of one connection that may be under way. The gate bounds all of them together, and says so; a request beyond
/// this number would wait at the client without a word.
const STREAMS: u32 = 8192;

/// Clients and peers whose machine has gone are noticed after both of these together.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// What the servers are made of.
pub(super) struct Services<'a> {
    pub engine: &'a Engine,
    pub token: TokenGuard,
    pub door: Door,
}

/// A server, by the name that its end is told under.
pub(super) type Served = (&'static str, JoinHandle<Result<(), String>>);

impl Services<'_> {
    /// Serves on both listeners until `stopped` becomes true. The second task reports health; abort it at the end.
    pub(super) fn serve(
        self,
        grpc: TcpListener,
        http_listener: TcpListener,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(Vec<Served>, JoinHandle<()>), StartError> {
        let Engine { kv, replica, admin, life, metrics, .. } = self.engine;
        let (kv, replica, admin) = (kv.clone(), replica.clone(), admin.clone());
        let token = self.token;
        let (health, health_service) = tonic_health::server::health_reporter();
        let reporting = tokio::spawn(report_health(health, life.clone()));

        let largest = self.door.max_value + AROUND_A_VALUE;
        let router = Server::builder()
            .layer(axum::middleware::map_response(answers::hold::<tonic::body::Body>))
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .max_concurrent_streams(Some(STREAMS))
            .add_service(KvServer::new(kv).max_decoding_message_size(largest))
            .add_service(
                ReplicaServer::new(replica)
                    .max_decoding_message_size(MAX_FRAME)
                    .max_encoding_message_size(MAX_FRAME),
            )
            .add_service(AdminServer::with_interceptor(admin, move |request| token.check(request)))
            .add_service(health_service)
            .add_service(reflection()?);
        let incoming = TcpIncoming::from(grpc).with_nodelay(Some(true));
        let stop = stopped.clone();
        let grpc = tokio::spawn(async move {
            router.serve_with_incoming_shutdown(incoming, until(stop)).await.map_err(|why| why.to_string())
        });

        let routes = http::routes(life.clone(), Arc::clone(metrics));
        let stop = stopped.clone();
        let http = tokio::spawn(async move {
            let served = axum::serve(http_listener, routes).with_graceful_shutdown(until(stop));
            served.await.map_err(|why| why.to_string())
        });
        Ok((vec![("gRPC", grpc), ("HTTP", http)], reporting))
    }
}

/// What a person with grpcurl sees.
fn reflection() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    StartError,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(dynamo_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|why| StartError::Reflection(why.to_string()))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that has gone stops it as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Says SERVING exactly while the node is ready.
async fn report_health(health: HealthReporter, life: Life) {
    let mut seen = life.seen();
    loop {
        let ready = life.is_ready();
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        health.set_service_status("", status).await;
        health.set_service_status("dynamo.v1.Kv", status).await;
        if !life.changed(&mut seen).await {
            return;
        }
    }
}
