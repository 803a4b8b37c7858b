//! Clients that go on, request after request, and write down what they see.
//!
//! | module | what it is for |
//! |---|---|
//! | [`choose`] | what is asked next. Pure |
//! | [`values`] | keys and values as bytes |
//! | [`worker`] | asks it |

pub mod choose;
pub mod values;
pub mod worker;

pub use worker::Worker;
