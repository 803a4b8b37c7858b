//! Moving data with the layout: copying what a target gives this node, handing over what a commit took from it.
//!
//! | module | what it says |
//! |---|---|
//! | [`sync`] | when a partition counts as synced: the pure machine |
//! | [`copy`] | its driver: the worker that copies |
//! | [`pull`] | one partition from one holder, batch by batch |
//! | [`hand_over`] | the worker that hands over, and only then drops |
//! | [`compare`] | two replicas of a partition brought together by their Merkle trees |
//! | [`exchange`] | the messages all of these use |
//! | [`serve`] | the other side of them |
//! | [`facts`] | how far each partition has been copied, as it lies on disk |
//! | [`progress`] | the same as figures for a person |
//! | [`purge`] | dropping what is no longer this node's |

pub mod compare;
pub mod copy;
pub mod exchange;
pub mod facts;
pub mod hand_over;
pub mod progress;
pub mod pull;
pub mod purge;
pub mod serve;
pub mod sync;

pub use copy::Copier;
pub use exchange::{Exchange, ExchangeError};
pub use hand_over::Giver;
pub use progress::Progress;
