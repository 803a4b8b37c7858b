//! The store: one member of a cluster, from the versions of a key up to the services that clients and peers call.

pub mod api;
pub mod begun;
pub mod clock;
pub mod config;
pub mod coordinate;
pub mod engine;
pub mod entropy;
pub mod gossip;
pub mod hint;
pub mod identity;
pub mod layout;
pub mod limits;
pub mod log;
pub mod merkle;
pub mod metrics;
pub mod peer;
pub mod phase;
pub mod planted;
pub mod reap;
pub mod repair;
pub mod server;
pub mod spans;
pub mod store;
pub mod transfer;
pub mod version;
pub mod worker;
