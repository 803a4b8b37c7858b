//! Traces across processes: which spans are meant for them, how they travel, and where they are sent.
//!
//! Spans of requests carry the target [`TARGET`]. Where nobody collects them they are not even made: logs leave them out,
//! and a process without an exporter has no other layer. They travel as W3C trace context (`traceparent`).
//!
//! | module | what it is for |
//! |---|---|
//! | [`propagate`] | a span's place in its trace, on its way to another process |
//! | [`export`] | sending spans to a collector by OTLP |

pub mod export;
pub mod propagate;

/// The target of spans that are meant for traces, and for nothing else.
pub const TARGET: &str = "dynamo_trace";
