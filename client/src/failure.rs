//! What a gRPC status means: for the caller, for the next attempt, and for the address that it came from.

use std::collections::HashMap;

use dynamo_proto::v1 as proto;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::Error;
use crate::retry::Kind;
use crate::value::{Context, Seen};

/// Trailing metadata of "too many versions": the key's current context.
const CONTEXT: &str = "dynamo-context-bin";

/// Reason of an answer that is too large for one message, or for this client.
const ANSWER_TOO_LARGE: &str = "ANSWER_TOO_LARGE";

/// Reasons of a node that takes no requests: it has left the cluster, has not joined it yet, or is stopping.
const OUT_OF_SERVICE: [&str; 2] = ["NOT_SERVING", "STOPPING"];

/// A failed attempt, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For the next attempt.
    pub(crate) kind: Kind,
    /// The address did not answer at all, or takes no requests: ask it last from now on.
    pub(crate) suspect: bool,
    answered: Option<u32>,
    needed: Option<u32>,
    outcome: Outcome,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Invalid,
    TooManyVersions(Context),
    /// The answer is too large for one message, or for this client.
    TooLarge,
    Denied,
    Unavailable,
    Answer,
}

impl Failure {
    /// The attempt's own time ran out without an answer.
    pub(crate) fn timed_out(address: &str) -> Self {
        let text = format!("{address} gave no answer in time");
        Self { text, ..Self::of(address, &Status::deadline_exceeded("")) }
    }

    /// The answer of `address`.
    pub(crate) fn of(address: &str, status: &Status) -> Self {
        let info = status.get_details_error_info();
        let wait = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        let busy = Kind::Busy { wait };
        let too_large = info.as_ref().is_some_and(|info| info.reason == ANSWER_TOO_LARGE);
        // Nothing was done, and it says nothing of the others: the next one is asked at once.
        let out_of_service = info.as_ref().is_some_and(|info| OUT_OF_SERVICE.contains(&info.reason.as_str()));
        let (kind, suspect, outcome) = match status.code() {
            Code::OutOfRange if too_large => (Kind::Final, false, Outcome::TooLarge),
            Code::InvalidArgument | Code::OutOfRange | Code::NotFound | Code::AlreadyExists => {
                (Kind::Final, false, Outcome::Invalid)
            }
            Code::FailedPrecondition => (Kind::Final, false, Outcome::TooManyVersions(context(status))),
            Code::Unauthenticated | Code::PermissionDenied => (Kind::Final, false, Outcome::Denied),
            Code::Unimplemented | Code::Ok => (Kind::Final, false, Outcome::Answer),
            Code::ResourceExhausted | Code::Aborted => (busy, false, Outcome::Unavailable),
            // A coordinator that counted too few answers says so with details; a connection that failed has none.
            Code::Unavailable if (info.is_some() || wait.is_some()) && !out_of_service => {
                (busy, false, Outcome::Unavailable)
            }
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::DataLoss => (Kind::Unreachable, true, Outcome::Unavailable),
        };
        let count = |name: &str| info.as_ref()?.metadata.get(name)?.parse().ok();
        Self {
            kind,
            suspect,
            answered: count("answered"),
            needed: count("needed"),
            outcome,
            text: format!("{address}: {}", words(status)),
        }
    }

    /// What the caller is told if this was the last attempt.
    pub(crate) fn into_error(self, attempts: u32) -> Error {
        match self.outcome {
            Outcome::Invalid => Error::Invalid(self.text),
            Outcome::TooManyVersions(context) => Error::TooManyVersions { message: self.text, context },
            Outcome::TooLarge => Error::TooLarge(self.text),
            Outcome::Denied => Error::Denied(self.text),
            Outcome::Answer => Error::Answer(self.text),
            Outcome::Unavailable => {
                Error::Unavailable { attempts, answered: self.answered, needed: self.needed, last: self.text }
            }
        }
    }

    /// In words.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The status of an answer in pieces that is more than this client takes.
pub(crate) fn too_large(message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(ANSWER_TOO_LARGE, "", HashMap::new());
    Status::with_error_details(Code::OutOfRange, message, details)
}

fn context(status: &Status) -> Context {
    let bytes = status.metadata().get_bin(CONTEXT).and_then(|value| value.to_bytes().ok());
    Context(bytes.unwrap_or_default())
}

/// The message, or what caused it: tonic's own "transport error" says nothing without its sources.
pub(crate) fn words(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    let mut text = match status.message() {
        "" => format!("{:?}", status.code()),
        message => message.to_owned(),
    };
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The status of an item of a batch, as if the item had been called alone.
pub(crate) fn unpack(status: proto::ErrorStatus) -> Status {
    let proto::ErrorStatus { code, message, details, context } = status;
    let mut metadata = MetadataMap::new();
    if !context.is_empty() {
        metadata.insert_bin(CONTEXT, MetadataValue::from_bytes(&context));
    }
    Status::with_details_and_metadata(Code::from_i32(code), message, details, metadata)
}

/// What a delete is answered with is what a put is.
pub(crate) fn as_put(answer: proto::DeleteResponse) -> proto::PutResponse {
    let proto::DeleteResponse { context, answered, sloppy, epoch, siblings, witness } = answer;
    proto::PutResponse { context, answered, sloppy, epoch, siblings, witness }
}

/// Both kinds of write answer alike.
pub(crate) fn written(answer: proto::PutResponse) -> crate::value::Written {
    let proto::PutResponse { context, answered, sloppy, epoch, siblings, witness } = answer;
    let seen = (!witness.is_empty()).then_some(Seen(witness));
    let context = (!context.is_empty()).then_some(Context(context));
    crate::value::Written { seen, context, answered, sloppy, epoch, siblings }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn too_few_answers_are_busy_and_carry_the_count() {
        let mut details = ErrorDetails::new();
        let counts =
            HashMap::from([("answered".to_owned(), "1".to_owned()), ("needed".to_owned(), "2".to_owned())]);
        details.set_error_info("QUORUM", "dynamo", counts).set_retry_info(Some(Duration::from_millis(250)));
        let status = Status::with_error_details(Code::Unavailable, "too few", details);
        let failure = Failure::of("a:1", &status);
        assert_eq!(failure.kind, Kind::Busy { wait: Some(Duration::from_millis(250)) });
        assert!(!failure.suspect);
        let Error::Unavailable { answered, needed, attempts: 3, .. } = failure.into_error(3) else {
            panic!("not unavailable")
        };
        assert_eq!((answered, needed), (Some(1), Some(2)));
    }

    #[test]
    fn a_broken_connection_makes_a_suspect() {
        for code in
            [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled, Code::DeadlineExceeded]
        {
            let failure = Failure::of("a:1", &Status::new(code, "x"));
            assert_eq!((failure.kind, failure.suspect), (Kind::Unreachable, true), "{code:?}");
        }
    }

    /// Writes waited for 200 ms each that still went to a member that had just left.
    #[test]
    fn a_node_that_takes_no_requests_is_passed_over_at_once() {
        for reason in ["NOT_SERVING", "STOPPING"] {
            let mut details = ErrorDetails::with_error_info(reason, "dynamo", HashMap::new());
            details.set_retry_info(Some(Duration::from_millis(200)));
            let status = Status::with_error_details(Code::Unavailable, "left", details);
            let failure = Failure::of("a:1", &status);
            assert_eq!((failure.kind, failure.suspect), (Kind::Unreachable, true), "{reason}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_request_is_final() {
        let cases = [
            (Code::InvalidArgument, "invalid"),
            (Code::FailedPrecondition, "too_many_versions"),
            (Code::Unauthenticated, "denied"),
            (Code::Unimplemented, "answer"),
        ];
        for (code, kind) in cases {
            let failure = Failure::of("a:1", &Status::new(code, "x"));
            assert_eq!(failure.kind, Kind::Final);
            assert_eq!(failure.into_error(1).kind(), kind);
        }
    }

    #[test]
    fn an_answer_that_is_too_large_is_told_from_a_wrong_request() {
        let large = Failure::of("a:1", &too_large("70 bytes"));
        assert_eq!((large.kind, large.suspect), (Kind::Final, false));
        assert_eq!(large.into_error(1).kind(), "too_large");
        let other = Failure::of("a:1", &Status::out_of_range("x"));
        assert_eq!(other.into_error(1).kind(), "invalid");
    }

    #[test]
    fn the_current_context_comes_with_too_many_versions() {
        let mut metadata = MetadataMap::new();
        metadata.insert_bin(CONTEXT, MetadataValue::from_bytes(b"ctx"));
        let status = Status::with_metadata(Code::FailedPrecondition, "too many", metadata);
        let Error::TooManyVersions { context, .. } = Failure::of("a:1", &status).into_error(1) else {
            panic!("another error")
        };
        assert_eq!(context.0.as_ref(), b"ctx");
    }
}
