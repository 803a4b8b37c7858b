//! The services: what clients, peers and the operator call.

pub mod admin;
