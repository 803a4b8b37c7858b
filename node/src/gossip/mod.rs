//! What members tell each other of themselves, once a second, and whom this node suspects to be gone.
//!
//! Gossip spreads what each member alone knows: where it can be dialled, how far its layout record, its commits and its
//! transfers are. It decides nothing: the layout is made in one place, and a member that it no longer names is forgotten
//! here, whatever others still tell of it.
//!
//! | module | what it is for |
//! |---|---|
//! | [`fact`] | what a member tells of itself |
//! | [`table`] | what is known of everybody, and what another lacks of it |
//! | [`phi`] | how unlikely it is that a silent member lives |
//! | [`machine`] | rounds, answers, suspicion: from events to effects |
//! | [`wire`] | all of it as it travels |
//! | [`handle`] | what other rooms see |
//! | [`worker`] | the driver |
//! | [`metrics`] | how much this node gossips |

pub mod fact;
pub mod handle;
pub mod machine;
pub mod metrics;
pub mod phi;
pub mod table;
pub mod wire;
pub mod worker;

pub use fact::Fact;
pub use handle::Gossip;
pub use machine::{Effect, Event, GossipSettings, Machine};
pub use metrics::GossipMetrics;
pub use worker::{Gossiper, GossiperParts, heed};
