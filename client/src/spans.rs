//! The spans of a call, for applications whose subscriber collects them (docs/tracing.md): the call from its first
//! attempt to its last, and each attempt, which the coordinator goes on with.

use dynamo_telemetry::TARGET;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::error::Error;

/// A call.
pub(crate) fn call(op: &'static str) -> Span {
    info_span!(target: TARGET, "call", otel.name = op, otel.status_code = Empty, otel.status_description = Empty)
}

/// Says how the call of this span ended.
pub(crate) fn ended<T>(span: &Span, answer: Result<T, Error>) -> Result<T, Error> {
    if let Err(why) = &answer
        && !span.is_disabled()
    {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", why.to_string());
    }
    answer
}

/// One attempt, at this address.
pub(crate) fn attempt(address: &str) -> Span {
    info_span!(target: TARGET, "attempt", otel.kind = "client", server.address = address)
}
