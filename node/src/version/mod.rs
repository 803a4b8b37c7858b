//! What a key holds: a dotted version vector set.
//!
//! Pure. The invariants, from the design:
//!
//! - A key's [`State`] is a context (a version vector: what has been seen) and its siblings (what of it still stands),
//!   each with the [`Dot`] of the write that made it. A dot per sibling is what keeps concurrent writes from multiplying.
//! - A put discards the siblings that its client's context covers and adds one. A merge keeps a sibling that both
//!   copies have, or that one has and the other has not seen. Nothing else ever drops a sibling.
//! - An entry of a context is contiguous, so it must stand for a coordinator that held all it covers. Hence the key of
//!   an entry is a [`Writer`]: an actor, and a birth that it took when it met the key anew.
//!
//! | module | what it says |
//! |---|---|
//! | [`actor`] | who wrote: actors, births, dots |
//! | [`vector`] | what has been seen |
//! | [`state`] | what a key holds, how a put and a merge change it |
//! | [`codec`] | the stored format, one sequence of bytes for one state |
//! | [`context`] | what of it a client carries from a read to the next write |

pub mod actor;
pub mod codec;
pub mod context;
pub mod state;
pub mod vector;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod wire;

pub use actor::{ActorId, Birth, Dot, Writer};
pub use codec::{CodecError, StateHash};
pub use context::{Context, ContextError};
pub use state::{Sibling, State, View, WriteId};
pub use vector::VersionVector;
