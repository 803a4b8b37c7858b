//! A collector of traces on loopback, which keeps what it is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A span that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `service.instance.id` of who made it.
    pub instance: String,
    /// What it is called.
    pub name: String,
    /// Its trace.
    pub trace: Vec<u8>,
    /// The span that it is part of; empty if none.
    pub parent: Vec<u8>,
}

/// A collector, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where spans are sent.
    pub endpoint: String,
    spans: Kept,
    server: tokio::task::JoinHandle<()>,
}

type Kept = Arc<Mutex<BTreeMap<Vec<u8>, Span>>>;

struct Service(Kept);

impl Collector {
    /// Begins to listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let spans = Kept::default();
        let service = TraceServiceServer::new(Service(Arc::clone(&spans)));
        let serving =
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { serving.await.expect("a server on loopback") });
        Self { endpoint, spans, server }
    }

    /// What has come, by span id.
    pub fn spans(&self) -> BTreeMap<Vec<u8>, Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of_one in request.into_inner().resource_spans {
            let instance = of_one.resource.as_ref().map(instance).unwrap_or_default();
            for span in of_one.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let one = Span {
                    instance: instance.clone(),
                    name: span.name,
                    trace: span.trace_id,
                    parent: span.parent_span_id,
                };
                kept.insert(span.span_id, one);
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn instance(resource: &Resource) -> String {
    let named = resource.attributes.iter().find(|attribute| attribute.key == "service.instance.id");
    match named.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}
