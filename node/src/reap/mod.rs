//! Reaping: deletes, and values past their time to live, go for good. On facts, never by a clock (lessons 2, 5 and 6).
//!
//! A tombstone may go when nothing is left anywhere that it would have to cover: no replica, no hint, no message, no
//! repair. That is established in a round, for one partition under one settled layout:
//!
//! ```text
//! initiator                          every living member
//! lists past keys     -- look ---->  a holder: exactly this state is on my disk, shows nothing, nobody is owed it
//!                                    anybody else: nothing of the key is here            (how many hints I ever took)
//! keeps what all say  -- finish -->  waits for all that it had begun; sends a barrier down its stream to each other
//!                                    member; waits for theirs; looks once more           (no hint taken since)
//! keeps what all say  -- reap ---->  holders: remove what still has the listed hash, birth mark and all
//! ```
//!
//! Why that is enough. After the first look every holder has the tombstone on disk and nobody else has anything, so
//! whatever begins from then on carries the tombstone or something newer. An older version can come only from work that
//! had begun before: the second step waits for its end at its member, and the barrier, which comes after all that this
//! member ever sent, for its arrival. A stream that broke takes its unread messages with it ([`crate::peer::streams`]). The
//! second look then sees all that there will ever be. An older version that came in meanwhile at a holder is covered
//! there by the tombstone; at anybody else it is a hint, and the round leaves without result.
//!
//! "Could not ask" ends a round. So does any change of the layout record, from the proposal to the settling. Rounds do
//! not know of each other: each stands on its own facts, and two of one partition do no harm. What one member has removed
//! and another not yet, anti-entropy may bring back: a tombstone, never a value, and the next round takes it.
//!
//! | module | what it says |
//! |---|---|
//! | [`fit`] | pure: whether the layout that stands allows a round, who takes part, who begins it |
//! | [`round`] | the machine of the member that begins |
//! | [`vote`] | the machine of each member that takes part |
//! | [`serve`], `drive` | the drivers of the two |
//! | [`worker`] | begins rounds, partition after partition |
//! | [`wire`] | lists and votes as they travel |
//! | [`metrics`] | how many rounds, how they ended, what they removed |

mod drive;
pub mod fit;
pub mod metrics;
pub mod round;
pub mod serve;
pub mod vote;
pub mod wire;
pub mod worker;

#[cfg(test)]
mod tests;

pub use metrics::ReapMetrics;
pub use serve::{Participant, Parts};
pub use worker::{ReapSettings, Reaper};
