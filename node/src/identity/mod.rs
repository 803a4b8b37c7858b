//! Whether a node that starts is still who it was: may it go on under its actor id, and has its data been set back to an
//! older copy?
//!
//! Peers remember, for each node id, the highest commit numbers that they were told (see [`crate::store::PeerMark`]).
//! * The actor id is kept only after a clean stop, and only if every other member answers that it knows no commit number
//!   above this node's own: after a crash some dots of the old actor may live on other replicas only.
//! * A node was set back if, and only if, a peer knows a *synced* commit number of it above its own, at start or later.
//!   Then it stops, its data is set aside, and the next start joins empty under a new node id.
//!
//! | module | what it is for |
//! |---|---|
//! | [`decide`] | the decision, pure |
//! | [`start`] | asks the other members, and carries the decision out |
//! | [`alarm`] | tells the server, at any time, that the node was set back |

pub mod alarm;
pub mod decide;
pub mod start;

pub use alarm::{Alarm, SetBack};
pub use decide::{Known, NewActorBecause, Start};
pub use start::{known_of, settle};
