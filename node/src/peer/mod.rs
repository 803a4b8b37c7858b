//! The other members: one long-lived stream to each, many requests to a frame.
//!
//! | module | what it says |
//! |---|---|
//! | [`network`] | what the node asks of the network, whatever it is made of |
//! | [`answer`] | which answer belongs to which question |
//! | [`error`] | why there was no answer, and whether the request may have been carried out |
//! | [`wire`] | ids and stamps as they travel |
//! | [`voice`] | what this node says of itself with every frame |
//! | [`pool`], `link`, `dial`, `connection` | the caller's side: to all members, to one of them, how it is found, one stream |
//! | [`hearsay`] | what is known of members beyond the layout: where else they may be, and who is suspected |
//! | `fetch` | takes the layout record that another goes by |
//! | [`transport`], [`grpc`], [`carried`] | what carries a stream: the seam, production's side of it, and its bytes |
//! | [`serve`], [`share`], [`streams`] | the called side of one stream; what a member may have in service; which of its streams counts |
//! | [`lanes`], [`outbox`] | what waits to be sent, within bounds, and in which order it goes |
//! | [`parts`], [`room`] | large messages in parts; the memory that they may take |
//! | `pending` | whose answers are waited for |

pub mod answer;
pub mod carried;
mod connection;
mod dial;
pub mod error;
mod fetch;
pub mod grpc;
pub mod hearsay;
pub mod lanes;
mod link;
pub mod network;
pub mod outbox;
pub mod parts;
mod pending;
pub mod pool;
pub mod room;
pub mod serve;
pub mod share;
pub mod streams;
pub mod transport;
pub mod voice;
pub mod wire;

pub use answer::Answer;
pub use connection::{MAX_FRAME, SLOWEST};
pub use error::{PeerError, Refused};
pub use fetch::fetch_layout;
pub use hearsay::Hearsay;
pub use lanes::Bounds;
pub use link::OnHello;
pub use network::{Network, PullStream, ask};
pub use pool::{Dialling, Peers};
pub use serve::{Handler, Within, exchange};
pub use share::ShareLimits;
pub use streams::Streams;
pub use transport::{ConnectError, Downward, Transport, Upward, Wire};
pub use voice::Voice;
pub use wire::{Sender, WireError};
