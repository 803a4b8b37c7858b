//! How much changes of layout move, held against the least that is possible, and against other ways to place keys.
//!
//! Two programs: `movement-plans` makes the changes with the planner of `dynamo-ring` and prints them as plain tables;
//! `movement-bound` knows nothing of that planner, reads the tables, computes for each what any placement at all would
//! have to move, and writes the figures of `docs/rebalancing.md`. `make movement` runs both.
//!
//! | module | what it is for |
//! |---|---|
//! | [`case`] | a change of layout as plain tables, one line of JSON each |
//! | [`plans`] | the changes, as the planner makes them |
//! | [`bound`] | the most even loads, and the fewest moves, by other means than the planner's |
//! | [`exact`] | the fewest moves exactly, where the bound cannot be reached |
//! | [`verdict`] | one change, and many together, held against those |
//! | [`hashing`] | consistent hashing, and the partitioning strategies of the Dynamo paper |
//! | [`figures`] | those strategies on the same sizes and steps |
//! | [`plot`] | pictures |

pub mod bound;
pub mod case;
pub mod exact;
pub mod figures;
pub mod hashing;
pub mod plans;
pub mod plot;
pub mod verdict;
