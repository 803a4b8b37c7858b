//! Holds a history of requests against what the store promises, and no more than that.
//!
//! A history is what clients saw: when each request began and ended, what it carried, what it was answered; and what the
//! replicas held at the end, when every fault had healed. Pure: no clock, no disk, no network.
//!
//! | module | what it says |
//! |---|---|
//! | [`history`] | requests, answers, the end |
//! | [`lines`] | the same as lines of JSON |
//! | [`cover`] | which writes a write replaced: for certain, or possibly |
//! | [`rules`] | the promises, each with the history that breaks it |

pub mod cover;
pub mod history;
pub mod lines;
pub mod rules;

#[cfg(test)]
mod tests;

pub use history::{End, History, Op, OpId, Outcome, Request, Terms, Value};
pub use lines::{Line, LineError};
pub use rules::{Violation, check};
