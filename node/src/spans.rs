//! The spans of a request, as they appear in traces (docs/tracing.md): taken from a client, asked of members, answered
//! for a member, written to the disk, gone on with behind the answer. None is made while nobody collects them.
//!
//! Keys and values are in none of them.

use dynamo_proto::v1::Request;
use dynamo_proto::v1::request::Op;
use dynamo_ring::NodeId;
use dynamo_telemetry::{TARGET, propagate};
use tonic::Code;
use tonic::metadata::MetadataMap;
use tracing::field::Empty;
use tracing::{Span, info_span};

/// A client's request, from its arrival to its answer.
pub fn request(op: &'static str, metadata: &MetadataMap) -> Span {
    let span = served(op);
    propagate::extract(&span, metadata);
    span
}

/// An item of a stream that came with this `traceparent`.
pub fn item(op: &'static str, traceparent: &str) -> Span {
    let span = served(op);
    propagate::adopt(&span, traceparent);
    span
}

fn served(op: &'static str) -> Span {
    info_span!(
        target: TARGET, parent: None, "request",
        otel.name = op, otel.kind = "server", otel.status_code = Empty,
        rpc.grpc.status_code = Empty, dynamo.answered = Empty, dynamo.sloppy = Empty, dynamo.epoch = Empty,
    )
}

/// Says how many answered the current request, whether any stood in, and under which layout.
pub fn quorum(answered: usize, sloppy: bool, epoch: u64) {
    let span = Span::current();
    span.record("dynamo.answered", answered);
    span.record("dynamo.sloppy", sloppy);
    span.record("dynamo.epoch", epoch);
}

/// Says how the current request ended.
pub fn ended(code: Code) {
    let span = Span::current();
    span.record("rpc.grpc.status_code", code as i32);
    // What the client did wrong is no fault of this node (OpenTelemetry's conventions for gRPC servers).
    if matches!(code, Code::Unknown | Code::DeadlineExceeded | Code::Unimplemented | Code::Internal)
        || matches!(code, Code::Unavailable | Code::DataLoss)
    {
        span.record("otel.status_code", "ERROR");
    }
}

/// A member is asked, from the queue to its answer.
pub fn asks(op: &Op, to: NodeId) -> Span {
    let Some(name) = name(op).filter(|_| traced()) else { return Span::none() };
    let hinted = matches!(op, Op::Store(store) if !store.hint_for.is_empty());
    info_span!(
        target: TARGET, "ask", otel.name = name, otel.kind = "client", dynamo.member = %to, dynamo.hinted = hinted,
    )
}

/// A member's request is answered.
pub fn answers(request: &Request, from: NodeId) -> Span {
    let traced = !request.traceparent.is_empty();
    let Some(name) = request.op.as_ref().filter(|_| traced).and_then(name) else { return Span::none() };
    let span = info_span!(
        target: TARGET, parent: None, "answer", otel.name = name, otel.kind = "server", dynamo.member = %from,
        // Of a client's request that a member forwards.
        otel.status_code = Empty, rpc.grpc.status_code = Empty,
        dynamo.answered = Empty, dynamo.sloppy = Empty, dynamo.epoch = Empty,
    );
    propagate::adopt(&span, &request.traceparent);
    span
}

/// A write of this node's own disk, from its place in the queue to its sync.
pub fn commit() -> Span {
    if traced() { info_span!(target: TARGET, "commit") } else { Span::none() }
}

/// What is left to do when the client has its answer. It is part of the request's trace, and outlives its span.
pub fn behind(what: &'static str) -> Span {
    let Some(traceparent) = propagate::outgoing() else { return Span::none() };
    let span = info_span!(target: TARGET, parent: None, "behind", otel.name = what);
    propagate::adopt(&span, &traceparent);
    span
}

/// Whether this is done for a request that is traced. What members do by themselves makes no traces.
fn traced() -> bool {
    !Span::current().is_disabled()
}

/// The name of what is asked in the course of a client's request; nothing for what members do by themselves.
const fn name(op: &Op) -> Option<&'static str> {
    Some(match op {
        Op::Store(_) => "Store",
        Op::Fetch(_) => "Fetch",
        Op::ForwardGet(_) => "ForwardGet",
        Op::ForwardPut(_) => "ForwardPut",
        Op::ForwardDelete(_) => "ForwardDelete",
        Op::ListPartition(_) => "ListPartition",
        _ => return None,
    })
}
