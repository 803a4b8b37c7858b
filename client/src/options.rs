//! What a caller may choose: for the client as a whole, and for each request.

use std::time::Duration;

/// Choices for a whole client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a request may take, retries included, where it does not say itself.
    pub deadline: Duration,
    /// How long one attempt may take before another member is asked. Longer than a coordinator takes to replace a
    /// silent member (0.5 s by default), or its work would be thrown away just before it ends.
    pub attempt: Duration,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How often the layout is asked for when nothing hints at a change.
    pub refresh: Duration,
    /// Call members straight. Without it every request goes to a seed, which forwards it: for clients that cannot
    /// dial the members' addresses. (One that cannot and does not know it finds out by itself, at the price of a
    /// failed connection to each member.)
    pub direct: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            attempt: Duration::from_secs(3),
            connect: Duration::from_secs(1),
            refresh: Duration::from_secs(30),
            direct: true,
        }
    }
}

/// Choices for one read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Answers wanted, 1 to n; the cluster's own r if absent.
    pub r: Option<u32>,
    /// Count only the key's own members, no stand-ins.
    pub strict: bool,
    /// Return what was found though fewer than r answered.
    pub allow_partial: bool,
    /// Instead of the client's.
    pub deadline: Option<Duration>,
}

/// Choices for one write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Durable copies wanted, 1 to n; the cluster's own w if absent. With fewer than the cluster's w the write
    /// survives fewer losses.
    pub w: Option<u32>,
    /// Count only the key's own members, no stand-ins.
    pub strict: bool,
    /// How long a put's value is shown, in whole ms: from then on, by the coordinator's clock at the write, it reads as
    /// absent. It lasts if `None`; a delete has none.
    pub ttl: Option<Duration>,
    /// Instead of the client's.
    pub deadline: Option<Duration>,
}
