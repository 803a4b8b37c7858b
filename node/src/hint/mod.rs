//! Hinted handoff (SOSP 2007, section 4.6): what this node keeps for members that could not be reached, and how they get
//! it.
//!
//! A hint is a durable note (target, key) that points to the key's state; see [`crate::store::Hint`]. It goes when the
//! target has the state on its disk, and in no other way but two: the key has other holders now, and each of them is
//! owed it instead; or this node leaves for good, and enough members have both the state and the hint. Nothing is kept
//! in memory that a restart could lose: every turn asks the store who is owed something.
//!
//! | module | what it says |
//! |---|---|
//! | [`aim`] | pure: what becomes of one hint under the layout that stands |
//! | [`queue`] | pure: whose hints to look at next, from where on, and how long to wait after a failure |
//! | [`deliver`] | the worker that does it |
//! | [`metrics`] | how many, how old, and what became of them |

pub mod aim;
pub mod deliver;
pub mod metrics;
pub mod queue;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use aim::Aim;
pub use deliver::Deliverer;
pub use metrics::HintMetrics;
pub use queue::Queue;
