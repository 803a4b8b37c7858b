//! What a member tells of itself, one fact of each kind.

use std::mem::discriminant;
use std::sync::Arc;

use dynamo_ring::fence::SenderStamp;

use crate::phase::Phase;

/// Addresses that one member may tell, at most.
pub const MOST_ADDRESSES: usize = 8;
/// Bytes of one address, at most: a DNS name and a port.
pub const LONGEST_ADDRESS: usize = 253 + 6;

/// One fact. A newer one of its kind replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Where the member can be dialled, beside the name that the layout has: host and port. Hints, no more: whoever
    /// answers there has to greet as this member.
    Addresses(Arc<[String]>),
    /// How far its layout record is.
    Layout(SenderStamp),
    /// Numbers of the last batch written, and of the last one known to be on disk.
    Commits {
        /// Written.
        last: u64,
        /// On disk.
        synced: u64,
    },
    /// How far it has come with what a target gives it, in partitions.
    Transfer {
        /// Given.
        wanted: u32,
        /// Of these, synced.
        synced: u32,
    },
    /// Where its process is in its life.
    Phase(Phase),
}

impl Fact {
    /// Whether the other replaces this one.
    pub fn is_like(&self, other: &Self) -> bool {
        discriminant(self) == discriminant(other)
    }

    /// Bytes that it takes in a message, at most.
    pub fn weight(&self) -> usize {
        // Version, tags and lengths.
        let around = 24;
        around
            + match self {
                Self::Addresses(addresses) => addresses.iter().map(|address| address.len() + 4).sum(),
                Self::Layout(_) => 40,
                Self::Commits { .. } => 24,
                Self::Transfer { .. } => 16,
                Self::Phase(_) => 4,
            }
    }
}

/// Addresses as they may be told: no empty and no over-long ones, each once, and no more than there may be.
pub fn fit(addresses: impl IntoIterator<Item = String>) -> Arc<[String]> {
    let mut fit: Vec<String> = Vec::new();
    for address in addresses {
        let takes = !address.is_empty() && address.len() <= LONGEST_ADDRESS && !fit.contains(&address);
        if takes && fit.len() < MOST_ADDRESSES {
            fit.push(address);
        }
    }
    fit.into()
}
