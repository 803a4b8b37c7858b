//! Moving data with the layout: copying what a target gives this node, handing over what a commit took from it.
//!
//! | module | what it says |
//! |---|---|
//! | [`sync`] | when a partition counts as synced: the pure machine |
//! | [`copy`] | its driver: the worker that copies |
//! | [`pull`] | one partition from one holder, batch by batch |
//! | [`choose`] | from which holder, and when from another: pure |
//! | [`checksum`] | what shows that a batch was damaged |
//! | [`hand_over`] | the worker that hands over, and only then drops |
//! | [`compare`] | two replicas of a partition brought together by their Merkle trees |
//! | [`exchange`] | the messages all of these use |
//! | [`serve`] | the other side of them |
//! | [`facts`] | how far each partition has been copied, as it lies on disk |
//! | [`figures`] | the same for a person: states, bytes, rates, what is left; pure |
//! | [`rate`] | how fast something goes, from samples; pure |
//! | [`progress`] | the figures, as the workers tell them and others ask |
//! | [`metrics`] | how much was pulled, and what went wrong with it |
//! | [`purge`] | dropping what is no longer this node's |

pub mod checksum;
pub mod choose;
pub mod compare;
pub mod copy;
pub mod exchange;
pub mod facts;
pub mod figures;
pub mod hand_over;
pub mod metrics;
pub mod progress;
pub mod pull;
pub mod purge;
pub mod rate;
pub mod serve;
pub mod sync;

pub use copy::Copier;
pub use exchange::{Exchange, ExchangeError};
pub use hand_over::Giver;
pub use metrics::TransferMetrics;
pub use progress::Progress;
pub use pull::Means;
