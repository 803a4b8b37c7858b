//! The other members: one long-lived stream to each, many requests to a frame.
//!
//! | module | what it says |
//! |---|---|
//! | [`network`] | what the node asks of the network, whatever it is made of |
//! | [`answer`] | which answer belongs to which question |
//! | [`error`] | why there was no answer, and whether the request may have been carried out |
//! | [`wire`] | ids and stamps as they travel |

pub mod answer;
pub mod error;
pub mod network;
pub mod wire;

pub use answer::Answer;
pub use error::{PeerError, Refused};
pub use network::{Network, PullStream, ask};
pub use wire::Sender;
