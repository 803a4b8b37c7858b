//! The smart client: it knows the ring, so that a request reaches a coordinator without a detour, and it retries within
//! the caller's deadline and never beyond.
//!
//! ```no_run
//! # async fn example() -> Result<(), dynamo_client::Error> {
//! use dynamo_client::{Client, Context, Options, ReadOptions, WriteOptions};
//!
//! let client = Client::connect(["cart:7070"], Options::default()).await?;
//! client.put(b"anna", "one apple", &Context::default(), &WriteOptions::default()).await?;
//! let read = client.get(b"anna", &ReadOptions::default()).await?;
//! // The context says which versions the next write has seen, so that it replaces those and no other.
//! client.put(b"anna", "two apples", &read.context, &WriteOptions::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`client`], [`batch`], [`list`] | the calls: get, put, delete; many at once; keys by the page |
//! | [`update`], [`session`] | read, change and write a key; reads that see one's own writes |
//! | [`options`], [`value`], [`error`] | what goes in and what comes out |
//! | `large`, `pieces` | answers that are too large for one message |
//! | [`resolve`], [`orset`] | what to do with siblings; a set that merges by itself |
//! | [`router`], [`retry`], [`health`], [`hedge`] | the decisions: whom to ask, whether to ask again. Pure |
//! | [`pool`] | one channel for each address |
//! | [`admin`] | the calls that take the cluster's token |
//! | [`change`] | drives a change of layout where there is no operator |
//! | [`local`] | a cluster of processes on this machine |

pub mod admin;
mod attempt;
pub mod batch;
pub mod change;
pub mod client;
pub mod error;
mod failure;
pub mod health;
pub mod hedge;
mod keeper;
mod knowledge;
mod large;
pub mod list;
pub mod local;
pub mod options;
pub mod orset;
mod pieces;
pub mod pool;
pub mod resolve;
pub mod retry;
pub mod router;
pub mod session;
mod spans;
pub mod statistics;
pub mod update;
pub mod value;

pub use admin::{Admin, AdminError, Token};
pub use batch::BatchWrite;
pub use client::Client;
pub use error::Error;
pub use list::{ListOptions, Listed};
pub use options::{Options, ReadOptions, WriteOptions};
pub use session::Session;
pub use statistics::Statistics;
pub use value::{Context, Seen, Sibling, Value, Written};

/// The examples of the guide are compiled along with those here.
#[cfg(doctest)]
#[doc = include_str!("../../docs/client.md")]
struct Guide;
