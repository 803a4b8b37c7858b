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
//! | `put`, `forward`, `get`, [`list`] | the drivers: from an order to its answer, and what goes on behind it |
//! | [`outlines`] | pages of keys, and how those of several members are merged |
//! | [`copy`] | what a member tells of its copy: the whole state, or its hash |
//! | [`drive`] | what the drivers share: one copy of a key stored or fetched |
//! | [`metrics`] | what is counted |

pub mod copy;
pub mod drive;
pub mod error;
mod forward;
mod get;
pub mod list;
pub mod metrics;
pub mod order;
pub mod outlines;
mod put;
pub mod quorum;
pub mod read;
pub mod remembered;
pub mod targets;
pub mod write;

pub use drive::{Coordinator, Parts, Patience};
pub use error::CoordinateError;
pub use list::{ListAnswer, ListOrder};
pub use metrics::CoordinateMetrics;
pub use order::{ReadAnswer, ReadOrder, Terms, WriteAnswer, WriteOrder};
pub use quorum::Quorum;
pub use targets::{Own, ReadTargets, Route, Side, Sides, WriteTargets};
