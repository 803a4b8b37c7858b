//! The services: what clients, peers and the operator call.
//!
//! | module | what it says |
//! |---|---|
//! | [`door`], [`deadline`], [`token`] | what a request has to be like, how long it may take, who may call Admin |
//! | [`requests`], [`batch`], [`listing`] | a client's request from the wire to the coordinator and back; many on one stream; keys by the page |
//! | [`pieces`], [`answers`] | large answers in pieces; what an answer holds until it has gone |
//! | [`admission`] | whether a member's request is served |
//! | [`kv`], [`replica`], [`admin`], [`http`] | the services |
//! | `inspect` | what is here of one key |
//! | [`errors`], [`record`], [`metrics`] | statuses, the layout record as text, figures |

pub mod admin;
pub mod admission;
pub mod answers;
pub mod batch;
pub mod deadline;
pub mod door;
pub mod errors;
pub mod http;
mod inspect;
pub mod kv;
pub mod listing;
pub mod metrics;
pub mod pieces;
pub mod record;
pub mod replica;
pub mod requests;
pub mod token;
