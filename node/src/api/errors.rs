//! What a client sees of an error: a gRPC status with the google.rpc details that a program can act on.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::ErrorStatus;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::coordinate::CoordinateError;
use crate::limits::Crowded;

/// Trailing metadata of "too many versions": the key's current context.
pub const CONTEXT: &str = "dynamo-context-bin";

/// Reason of an answer that is too long for one message.
pub const ANSWER_TOO_LARGE: &str = "ANSWER_TOO_LARGE";

/// The domain of every ErrorInfo.
pub const DOMAIN: &str = "dynamokv.dev";

/// When to try again: after a queue was full, and after members could not be reached.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_millis(200);

/// Fields of a request that can never be right as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<(String, String)>);

impl Violations {
    /// Notes what is wrong with a field.
    pub fn add(&mut self, field: &str, what: impl Into<String>) {
        self.0.push((field.to_owned(), what.into()));
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// INVALID_ARGUMENT with a BadRequest.
    pub fn status(self) -> Status {
        let said: Vec<_> = self.0.iter().map(|(field, what)| format!("`{field}`: {what}")).collect();
        let fields: Vec<_> =
            self.0.into_iter().map(|(field, what)| FieldViolation::new(field, what)).collect();
        let details = ErrorDetails::with_bad_request(fields);
        Status::with_error_details(Code::InvalidArgument, said.join("; "), details)
    }
}

/// RESOURCE_EXHAUSTED: nothing was begun.
pub fn crowded(why: Crowded) -> Status {
    let details = ErrorDetails::with_retry_info(Some(SOON));
    Status::with_error_details(Code::ResourceExhausted, why.to_string(), details)
}

/// OUT_OF_RANGE: the answer is too long for one message.
pub fn too_large(bytes: usize, limit: usize) -> Status {
    let message = format!(
        "the versions of the key have {bytes} bytes together, and one message takes {limit}: read them with GetStream, \
         or settle them with a write"
    );
    let metadata = [("bytes", bytes), ("limit", limit)].map(|(name, n)| (name.to_owned(), n.to_string()));
    let details = ErrorDetails::with_error_info(ANSWER_TOO_LARGE, DOMAIN, HashMap::from(metadata));
    Status::with_error_details(Code::OutOfRange, message, details)
}

/// The status of a request that was not carried out.
pub fn status(why: CoordinateError) -> Status {
    let message = why.to_string();
    match why {
        CoordinateError::Quorum { name, .. } => {
            let mut violations = Violations::default();
            violations.add(name, message);
            violations.status()
        }
        CoordinateError::TooFew { answered, needed, .. } => {
            let counts = [("answered", answered), ("needed", needed)];
            unavailable("TOO_FEW_ANSWERS", message, &counts, LATER)
        }
        CoordinateError::Behind { answered } => {
            unavailable("BEHIND", message, &[("answered", answered)], LATER)
        }
        CoordinateError::NoHolder => unavailable("NO_HOLDER", message, &[("answered", 0)], LATER),
        CoordinateError::CoordinatorSilent(_) => unavailable("COORDINATOR_SILENT", message, &[], LATER),
        CoordinateError::NotServing => unavailable("NOT_SERVING", message, &[], LATER),
        CoordinateError::Stopping => unavailable("STOPPING", message, &[], SOON),
        CoordinateError::NotMine => unavailable("LAYOUT_CHANGING", message, &[], SOON),
        CoordinateError::Disk(_) => unavailable("DISK", message, &[], LATER),
        CoordinateError::TooManyVersions { context, .. } => {
            let details = ErrorDetails::with_error_info("TOO_MANY_VERSIONS", DOMAIN, HashMap::new());
            let status = Status::with_error_details(Code::FailedPrecondition, message, details);
            with_context(status, &context)
        }
        CoordinateError::Overloaded => {
            let details = ErrorDetails::with_retry_info(Some(SOON));
            Status::with_error_details(Code::ResourceExhausted, message, details)
        }
        CoordinateError::Forwarded(forwarded) => unpack(forwarded),
        CoordinateError::Fault(_) => Status::internal(message),
    }
}

fn unavailable(reason: &str, message: String, counts: &[(&str, usize)], retry: Duration) -> Status {
    let counts: HashMap<_, _> =
        counts.iter().map(|(name, count)| ((*name).to_owned(), count.to_string())).collect();
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, counts);
    details.set_retry_info(Some(retry));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// The same status with the key's current context in its metadata.
fn with_context(mut status: Status, context: &[u8]) -> Status {
    if !context.is_empty() {
        status.metadata_mut().insert_bin(CONTEXT, MetadataValue::from_bytes(context));
    }
    status
}

/// A status as it travels to the member that forwarded the request.
pub fn pack(status: &Status) -> ErrorStatus {
    let context = status.metadata().get_bin(CONTEXT).and_then(|context| context.to_bytes().ok());
    ErrorStatus {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Bytes::copy_from_slice(status.details()),
        context: context.unwrap_or_default(),
    }
}

/// A status that came from the member that coordinated.
fn unpack(forwarded: ErrorStatus) -> Status {
    let ErrorStatus { code, message, details, context } = forwarded;
    let metadata = MetadataMap::new();
    let status = Status::with_details_and_metadata(Code::from_i32(code), message, details, metadata);
    with_context(status, &context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(CoordinateError, Code)> {
        let too_many = CoordinateError::TooManyVersions {
            message: "65 versions".into(),
            context: Bytes::from_static(b"c"),
        };
        vec![
            (CoordinateError::NotServing, Code::Unavailable),
            (CoordinateError::Quorum { name: "w", given: 4, n: 3 }, Code::InvalidArgument),
            (CoordinateError::TooFew { answered: 1, needed: 2, write: true }, Code::Unavailable),
            (CoordinateError::Behind { answered: 3 }, Code::Unavailable),
            (CoordinateError::NoHolder, Code::Unavailable),
            (CoordinateError::CoordinatorSilent("x".into()), Code::Unavailable),
            (too_many, Code::FailedPrecondition),
            (CoordinateError::Overloaded, Code::ResourceExhausted),
            (CoordinateError::Disk("full".into()), Code::Unavailable),
            (CoordinateError::Stopping, Code::Unavailable),
            (CoordinateError::NotMine, Code::Unavailable),
            (CoordinateError::Fault("x".into()), Code::Internal),
        ]
    }

    #[test]
    fn every_error_has_its_code_and_what_can_be_retried_says_when() {
        for (why, code) in all() {
            let status = super::status(why.clone());
            assert_eq!(status.code(), code, "{why:?}");
            let retry = status.get_details_retry_info().is_some();
            assert_eq!(retry, matches!(code, Code::Unavailable | Code::ResourceExhausted), "{why:?}");
        }
    }

    #[test]
    fn too_few_answers_are_counted_and_a_write_says_that_it_may_appear() {
        let status = super::status(CoordinateError::TooFew { answered: 1, needed: 2, write: true });
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TOO_FEW_ANSWERS", DOMAIN));
        assert_eq!((info.metadata["answered"].as_str(), info.metadata["needed"].as_str()), ("1", "2"));
        assert_eq!(
            status.message(),
            "1 of the 2 members wanted have answered; the write may appear later, or never"
        );
    }

    #[test]
    fn a_forwarded_error_reaches_the_client_as_it_was() {
        for (why, _) in all() {
            let sent = super::status(why);
            let came = super::status(CoordinateError::Forwarded(pack(&sent)));
            assert_eq!((came.code(), came.message()), (sent.code(), sent.message()));
            assert_eq!(came.details(), sent.details());
            assert_eq!(came.metadata().get_bin(CONTEXT), sent.metadata().get_bin(CONTEXT));
        }
    }

    #[test]
    fn an_answer_that_is_too_large_says_how_large_and_what_to_do() {
        let status = too_large(70, 40);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (Code::OutOfRange, ANSWER_TOO_LARGE));
        assert_eq!((info.metadata["bytes"].as_str(), info.metadata["limit"].as_str()), ("70", "40"));
        assert!(status.message().contains("GetStream"), "{}", status.message());
    }

    #[test]
    fn what_is_wrong_is_said_by_field() {
        let mut violations = Violations::default();
        violations.add("key", "empty; a key has 1 to 4096 bytes");
        violations.add("write_id", "3 bytes; send 16 random bytes, or none");
        let status = violations.status();
        let bad = status.get_details_bad_request().unwrap();
        let fields: Vec<_> = bad.field_violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["key", "write_id"]);
        assert_eq!(
            status.message(),
            "`key`: empty; a key has 1 to 4096 bytes; `write_id`: 3 bytes; send 16 random bytes, or none"
        );
    }
}
