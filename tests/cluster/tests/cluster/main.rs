//! Real `dynamo-node` processes on loopback: keys, the shopping cart, bad input, failures, changes of size, and that the
//! verifier sees a loss.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is the report

mod cart;
mod failures;
mod inputs;
mod keys;
mod large;
mod moved;
mod resize;
mod traces;
mod verifier;
