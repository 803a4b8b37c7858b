//! How a command ends when it does not succeed: a sentence for a person, a number for a script.

use std::fmt::Display;
use std::process::ExitCode;

/// Something could not be done, now or at all.
pub(crate) const FAILED: u8 = 1;
/// The command line asks for something that makes no sense. The number that clap uses too.
pub(crate) const USAGE: u8 = 2;
/// The key does not exist.
pub(crate) const ABSENT: u8 = 3;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) struct Fail {
    /// Nothing is said if it is empty: the reader has gone, see [`out`](crate::out).
    pub(crate) message: String,
    pub(crate) code: u8,
}

/// What a command ends in.
pub(crate) type Outcome = Result<ExitCode, Fail>;

impl Fail {
    /// What was given makes no sense.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { message: message.to_string(), code: USAGE }
    }
}

/// A request that the store did not serve: the caller's mistake is told from its own trouble.
pub(crate) fn refused(error: dynamo_client::Error) -> Fail {
    match error {
        dynamo_client::Error::Invalid(message) => Fail::usage(message),
        other => other.into(),
    }
}

/// What a command could not do.
impl<E: std::error::Error> From<E> for Fail {
    fn from(error: E) -> Self {
        Self { message: error.to_string(), code: FAILED }
    }
}
