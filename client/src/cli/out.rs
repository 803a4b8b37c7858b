//! Everything that is printed goes through here.
//!
//! Whoever reads it may have seen enough (`| head`) and be gone. Then what was asked for is done: the command ends, and
//! well. What it only tells on the way is lost, and it goes on.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write, stderr, stdout};

use crate::fail::Fail;

/// Prints what was asked for, as it is.
pub(crate) fn print(text: impl Display) -> Result<(), Fail> {
    printed(write!(stdout().lock(), "{text}"))
}

/// Prints a line of what was asked for.
pub(crate) fn line(text: impl Display) -> Result<(), Fail> {
    printed(writeln!(stdout().lock(), "{text}"))
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Fail> {
    printed(stdout().lock().write_all(bytes))
}

/// Tells, on standard output, how something goes that goes on whether or not anybody reads.
pub(crate) fn tell(text: impl Display) {
    drop(writeln!(stdout().lock(), "{text}"));
}

/// The same on standard error, beside what is printed.
pub(crate) fn tell_aside(text: impl Display) {
    drop(writeln!(stderr().lock(), "{text}"));
}

/// Nothing stays behind: what has no end of line would only be written, or be found to have no reader, after the end.
fn printed(written: io::Result<()>) -> Result<(), Fail> {
    match written.and_then(|()| stdout().lock().flush()) {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Err(Fail { message: String::new(), code: 0 }),
        written => written.map_err(Fail::from),
    }
}
