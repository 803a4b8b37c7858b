//! A cluster in one process, under one seed: virtual time, a network that delays, cuts and breaks, clients' requests that
//! are lost and repeated, disks that lose what was not synced, crashes at any point, pauses, clocks that are off.
//!
//! The nodes are [`dynamo_node::engine::Engine`]: the code that runs in production, on [`MemoryStore`], with a commit pump
//! that the simulation turns. One thread, one seeded runtime, one seeded source of chance: the same seed gives the same
//! history, to the byte.
//!
//! | module | what it is for |
//! |---|---|
//! | [`chance`] | what the seed decides |
//! | [`net`], `pipe` | the network between members |
//! | [`host`] | one machine: disk, clock, process |
//! | [`world`] | all machines, the layout, the end |
//! | [`nemesis`] | what goes wrong, and when |
//! | [`book`] | the layout record |
//! | [`clients`] | requests, and what was answered |
//! | [`moved`] | a machine that comes back at another address |
//! | [`set_back`] | a volume that is put back to an older copy |
//! | [`change`] | a membership that does not stand still |
//! | [`tally`] | how often what happened |
//! | [`run`] | one seed from the beginning to its verdict |
//!
//! [`MemoryStore`]: dynamo_node::store::MemoryStore

pub mod book;
pub mod chance;
pub mod change;
pub mod clients;
pub mod host;
pub mod moved;
pub mod nemesis;
pub mod net;
mod pipe;
pub mod run;
pub mod set_back;
pub mod tally;
pub mod world;
