//! What other members' movers of data ask of this one. The fence and the membership have been looked at before, but for
//! [`pull`], which does so itself.
//!
//! | module | what it says |
//! |---|---|
//! | [`entries`] | a partition's entries, as a stream of batches |
//! | [`trees`] | the root of its tree, and the nodes |
//! | [`states`] | states by position |
//!
//! All but [`pull`] block for a disk's time: call them on a thread that may.

use bytes::Bytes;
use dynamo_proto::v1::{Entry, Refusal, refusal::Reason};
use dynamo_ring::Partition;

use super::exchange::KeyAndState;
use crate::store::StoreError;

pub mod entries;
pub mod states;
pub mod trees;

#[cfg(test)]
mod fixture;

pub use entries::{Serving, pull};
pub use states::fetch_many;
pub use trees::{merkle_children, merkle_roots};

fn entry((key, state): KeyAndState) -> Entry {
    Entry { data_key: key.as_bytes().clone(), state }
}

fn number(partition: u32) -> Result<Partition, Refusal> {
    u16::try_from(partition).map(Partition).map_err(|_| invalid("no such partition"))
}

fn invalid(why: &str) -> Refusal {
    refusal(Reason::Invalid, why.to_owned())
}

fn storage(why: &StoreError) -> Refusal {
    refusal(Reason::Storage, why.to_string())
}

fn refusal(reason: Reason, message: String) -> Refusal {
    Refusal { reason: reason.into(), message, record: Bytes::new() }
}
