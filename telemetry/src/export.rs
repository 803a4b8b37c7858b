//! Sending spans to a collector by OTLP over gRPC.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::TARGET;

/// How long the last spans may take to go out when the process ends.
const FLUSH: Duration = Duration::from_secs(2);

/// What is sent, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// The collector, `http://host:4317`.
    pub endpoint: String,
    /// `service.name` of what is sent.
    pub service: &'static str,
    /// `service.instance.id` of what is sent.
    pub instance: String,
    /// Which part of the traces that begin here is made, 0 to 1. Those that a caller began are made if the caller says
    /// so, whatever this is.
    pub ratio: f64,
}

/// No spans can be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to {endpoint}: {why}; it has to be like http://host:4317")]
pub struct ExportError {
    endpoint: String,
    why: ExporterBuildError,
}

/// Sends spans in batches, from a thread of its own. What the collector does not take is dropped: requests never wait
/// for it.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Begins to send. Within a tokio runtime, which carries the connection.
    pub fn start(to: Destination) -> Result<Self, ExportError> {
        let Destination { endpoint, service, instance, ratio } = to;
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(&endpoint).build();
        let exporter = exporter.map_err(|why| ExportError { endpoint, why })?;
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.instance.id", instance))
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .with_sampler(sampler)
            .build();
        Ok(Self(provider))
    }

    /// The layer that takes what is meant for traces.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let only_traces = Targets::new().with_target(TARGET, LevelFilter::INFO);
        tracing_opentelemetry::layer().with_tracer(self.0.tracer(TARGET)).with_filter(only_traces)
    }

    /// Sends what is left. Blocking, for two seconds at most.
    pub fn finish(self) {
        if let Err(why) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::debug!(%why, "the last spans could not be sent");
        }
    }
}
