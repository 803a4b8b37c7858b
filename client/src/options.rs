//! What a caller may choose: for the client as a whole, and for each request.

use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1 as proto;

use crate::value::{Context, Seen};

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
    /// Bytes of values that one read may bring. A key holds 16 MiB by default, and more after a partition; what is above
    /// one message (4 MiB, or the longest value and 1 MiB) comes in pieces.
    pub largest_answer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            attempt: Duration::from_secs(3),
            connect: Duration::from_secs(1),
            refresh: Duration::from_secs(30),
            direct: true,
            largest_answer: 256 << 20,
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
    /// What the answer has to cover, up to 32. Members are asked, and asked again, until it does or the time is over. See
    /// [`Session`](crate::Session), which keeps it.
    pub at_least: Vec<Seen>,
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

impl ReadOptions {
    /// A read of `key` under these.
    pub(crate) fn request(&self, key: Bytes) -> proto::GetRequest {
        proto::GetRequest {
            key,
            r: self.r,
            strict: self.strict,
            allow_partial: self.allow_partial,
            at_least: self.at_least.iter().map(|seen| seen.0.clone()).collect(),
        }
    }
}

impl WriteOptions {
    /// A put under these, with a name of its own.
    pub(crate) fn put(&self, key: Bytes, value: Bytes, context: &Context) -> proto::PutRequest {
        proto::PutRequest {
            key,
            value,
            context: context.0.clone(),
            w: self.w,
            strict: self.strict,
            write_id: write_id(),
            ttl_ms: self.ttl.map(milliseconds),
        }
    }

    /// A delete under these, with a name of its own.
    pub(crate) fn delete(&self, key: Bytes, context: &Context) -> proto::DeleteRequest {
        let (context, write_id) = (context.0.clone(), write_id());
        proto::DeleteRequest { key, context, w: self.w, strict: self.strict, write_id }
    }
}

fn write_id() -> Bytes {
    Bytes::copy_from_slice(&rand::random::<[u8; 16]>())
}

/// Whole ms, at least one: a value that is never shown would be no value.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}
