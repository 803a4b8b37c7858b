//! Drives a change of layout where there is no operator: over the admin service, with the record in a local file.
//!
//! The rules are [`dynamo_ring::change`]'s; this asks the members, writes the record by compare-and-swap, and tells
//! them. It keeps nothing in memory that the file does not say, so it may be stopped at any point, and started again.
//!
//! | module | what it is for |
//! |---|---|
//! | [`file`] | the record, written whole or not at all |
//! | [`book`] | where each node that was ever named can be dialled |
//! | [`report`] | a node's status, read as what a change has to know. Pure |
//! | [`form`] | the first layout |
//! | [`driver`] | the rounds |

pub mod book;
pub mod driver;
pub mod file;
pub mod form;
pub mod report;

pub use driver::{DriveError, Driver, Look, Turn};
