//! A span's place in its trace, on its way to another process: the `traceparent` of W3C Trace Context, level 1.

use std::collections::HashMap;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{MetadataMap, MetadataValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header, and the key of gRPC metadata.
pub const HEADER: &str = "traceparent";

/// The current span's place in its trace; `None` if no trace is being made.
pub fn outgoing() -> Option<String> {
    let span = Span::current();
    if span.is_disabled() {
        return None;
    }
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    headers.remove(HEADER)
}

/// Makes `span` a part of the trace that another process is making. What is no `traceparent` is passed over: it comes
/// from outside, and a request does not fail for its trace.
pub fn adopt(span: &Span, traceparent: &str) {
    if span.is_disabled() || traceparent.is_empty() {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&One(traceparent));
    if parent.span().span_context().is_valid() {
        // Only a span that has begun already refuses, and then keeps the parent that it has.
        let _ = span.set_parent(parent);
    }
}

/// Puts the current span's place in its trace into a call's metadata.
pub fn inject(metadata: &mut MetadataMap) {
    if let Some(value) = outgoing().and_then(|text| MetadataValue::try_from(text).ok()) {
        metadata.insert(HEADER, value);
    }
}

/// Makes `span` a part of the trace that a call's metadata names.
pub fn extract(span: &Span, metadata: &MetadataMap) {
    adopt(span, of(metadata));
}

/// The `traceparent` of a call; empty if there is none.
pub fn of(metadata: &MetadataMap) -> &str {
    metadata.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// One header.
struct One<'a>(&'a str);

impl Extractor for One<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == HEADER).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![HEADER]
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tracing::info_span;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::TARGET;

    fn collecting() -> (InMemorySpanExporter, tracing::subscriber::DefaultGuard) {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        (spans, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
    }

    #[test]
    fn a_span_goes_on_in_another_process_under_the_same_trace() {
        let (spans, _guard) = collecting();
        let mut metadata = MetadataMap::new();
        info_span!(target: TARGET, "asks").in_scope(|| inject(&mut metadata));
        let answers = info_span!(target: TARGET, "answers");
        extract(&answers, &metadata);
        answers.in_scope(|| ());
        drop(answers);
        let spans = spans.get_finished_spans().unwrap();
        let [asks, answers] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(asks.span_context.trace_id(), answers.span_context.trace_id());
        assert_eq!(asks.span_context.span_id(), answers.parent_span_id);
    }

    #[test]
    fn nonsense_from_outside_begins_a_trace_of_its_own() {
        let (spans, _guard) = collecting();
        for nonsense in ["", "00", "00-0-0-0", "00-00000000000000000000000000000000-0000000000000000-01", "é"]
        {
            let span = info_span!(target: TARGET, "answers");
            adopt(&span, nonsense);
            drop(span);
        }
        let spans = spans.get_finished_spans().unwrap();
        assert_eq!(spans.len(), 5);
        assert!(spans.iter().all(|span| span.parent_span_id == opentelemetry::trace::SpanId::INVALID));
    }

    #[test]
    fn without_a_collector_nothing_travels() {
        let span = info_span!(target: TARGET, "asks");
        assert_eq!(span.in_scope(outgoing), None);
    }
}
