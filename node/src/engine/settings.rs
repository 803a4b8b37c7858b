//! What of a node can be set, apart from where it listens and where its data is.

use std::time::Duration;

use crate::api::door::Door;
use crate::coordinate::Patience;
use crate::gossip::GossipSettings;
use crate::limits::RequestLimits;
use crate::peer::room::Room;
use crate::peer::{Bounds, ShareLimits};
use crate::reap::ReapSettings;
use crate::repair;

/// The settings of an engine.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What requests have to be like.
    pub door: Door,
    /// What may be under way.
    pub requests: RequestLimits,
    /// The longest that a request may take.
    pub request_cap: Duration,
    /// How patient a coordinator is.
    pub patience: Patience,
    /// Bounds of what waits on the stream to each member.
    pub bounds: Bounds,
    /// What each member may have in service here.
    pub share: ShareLimits,
    /// Bytes of large messages of members that are held at a time.
    pub large_bytes: usize,
    /// Bytes of answers that are on their way to clients at a time.
    pub answer_bytes: usize,
    /// Bytes per second that copying, handing over, hints and repairs may take, each; 0 is no limit. All of them give way
    /// to requests besides.
    pub background_bytes_per_second: u64,
    /// Between two rounds of anti-entropy.
    pub anti_entropy_interval: Duration,
    /// When rounds of reaping are begun.
    pub reap: ReapSettings,
    /// How it gossips.
    pub gossip: GossipSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            door: Door::default(),
            requests: RequestLimits::default(),
            request_cap: Duration::from_secs(10),
            patience: Patience::default(),
            bounds: Bounds::default(),
            share: ShareLimits::default(),
            large_bytes: Room::BYTES,
            answer_bytes: Room::BYTES,
            background_bytes_per_second: 0,
            anti_entropy_interval: repair::INTERVAL,
            reap: ReapSettings::default(),
            gossip: GossipSettings::default(),
        }
    }
}
