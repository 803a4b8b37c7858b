//! Replicas brought together without being asked (SOSP 2007, section 4.7).
//!
//! What a read finds stale is repaired behind the read, by [`coordinate`](crate::coordinate). What nobody reads is found
//! by [`anti_entropy`]: each member compares its Merkle trees with those of one other member at a time.
//!
//! | module | what it says |
//! |---|---|
//! | [`rota`] | pure: with whom to compare what, and whose turn it is |
//! | [`anti_entropy`] | the worker that does it |
//! | [`standoff`] | pure: whether a repair that ended well has changed anything |
//! | [`rebuild`] | making trees anew that are in doubt |
//! | [`metrics`] | how many rounds, and what they moved |

pub mod anti_entropy;
pub mod metrics;
pub mod rebuild;
pub mod rota;
pub mod standoff;

#[cfg(test)]
mod tests;

pub use anti_entropy::{AntiEntropy, INTERVAL};
pub use metrics::RepairMetrics;
