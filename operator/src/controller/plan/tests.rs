//! Scenarios, each a fault that someone paid for; and every order of events that chance can find.

mod lessons;
mod orders;
