//! What is known of members beyond what the layout says and the streams show. `gossip` keeps it.

use std::fmt::Debug;

use dynamo_proto::v1::Introduction;
use dynamo_ring::NodeId;

/// What this node has heard of the others, and tells them of itself.
pub trait Hearsay: Debug + Send + Sync + 'static {
    /// What greetings of this node, and answers to greetings, say of it.
    fn introduction(&self) -> Introduction;

    /// A member's answer to a greeting said this of it.
    fn introduced(&self, node: NodeId, said: Introduction);

    /// Where a member may be found, beside the address in the layout: host and port each.
    fn addresses(&self, node: NodeId) -> Vec<String>;

    /// Whether a member was not heard of for suspiciously long. It may well live.
    fn is_suspected(&self, node: NodeId) -> bool;
}
