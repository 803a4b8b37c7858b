//! Coordinating requests: whom to ask, whom to count, who stands in, and when to answer.
//!
//! What is promised, from the design: a write is acknowledged when W distinct members of the stable layout, and while a
//! change is under way W of the target too, have it on disk; a read when R members of the layout that serves reads have
//! answered. A member that is down or late is replaced by the next healthy one, with a hint (Dynamo, 4.6), unless
//! the request is strict.
//!
//! | module | what it says |
//! |---|---|
//! | [`targets`] | who holds a key, who would stand in, and who coordinates |
//! | [`quorum`] | distinct members, counted for each layout |
//! | [`write`], [`read`] | the two machines: events in, effects out; no clock, no socket, no disk |
//! | [`order`], [`error`] | what is asked for, what is answered, what may go wrong |
//! | [`remembered`] | write ids of the last minutes, whose versions may have gone meanwhile |
//! | [`drive`] | performs the effects: the driver that both share |
//! | [`put`], [`get`] | from an order to its answer: forward, retry under a new layout, repair behind the answer |

pub mod quorum;
pub mod read;
pub mod targets;
pub mod write;

pub use quorum::Quorum;
pub use targets::{Own, ReadTargets, Route, Side, Sides, WriteTargets};
