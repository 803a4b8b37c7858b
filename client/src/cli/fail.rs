//! How a command ends when it does not succeed: a sentence for a person, a number for a script.

use std::fmt::Display;
use std::io;
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
    /// Nothing is said if it is empty.
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

/// A line of a long list was printed, or its reader has seen enough (`| head`): then the command ends, and well.
pub(crate) fn printed(line: io::Result<()>) -> Result<(), Fail> {
    match line {
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Err(Fail { message: String::new(), code: 0 }),
        line => line.map_err(Fail::from),
    }
}

/// What a command could not do.
impl<E: std::error::Error> From<E> for Fail {
    fn from(error: E) -> Self {
        Self { message: error.to_string(), code: FAILED }
    }
}
