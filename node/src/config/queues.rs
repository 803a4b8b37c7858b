//! The flags of the node's queues: to the disk, and to and from each member. Who is turned away by one tries another
//! member, or later; none of them grows.

use clap::Args;

use super::size;
use crate::peer::{Bounds, ShareLimits};
use crate::store::QueueLimits;

/// Bounds of queues.
#[derive(Debug, Clone, Copy, Args)]
pub struct Queues {
    /// Operations that may wait for the disk.
    #[arg(long, env = "DYNAMO_COMMIT_QUEUE_OPERATIONS", default_value_t = 8192,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub commit_queue_operations: u64,

    /// Bytes that may wait for the disk: so many of operations up to 1 MiB, and so many of larger ones. One that is larger
    /// waits alone.
    #[arg(long, env = "DYNAMO_COMMIT_QUEUE_BYTES", default_value_t = 64 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub commit_queue_bytes: u64,

    /// Operations that share one sync of the disk.
    #[arg(long, env = "DYNAMO_COMMIT_BATCH_OPERATIONS", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub commit_batch_operations: u64,

    /// Bytes that share one sync of the disk, but for one operation that is larger.
    #[arg(long, env = "DYNAMO_COMMIT_BATCH_BYTES", default_value_t = 8 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 10..))]
    pub commit_batch_bytes: u64,

    /// Messages that may wait to be sent to one member, and answers that may wait for it.
    #[arg(long, env = "DYNAMO_PEER_QUEUE_MESSAGES", default_value_t = 4096,
          value_parser = clap::value_parser!(u64).range(16..=1_000_000))]
    pub peer_queue_messages: u64,

    /// Bytes of them: so many of messages up to 1 MiB, and so many of larger ones. One that is larger waits alone.
    #[arg(long, env = "DYNAMO_PEER_QUEUE_BYTES", default_value_t = 32 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub peer_queue_bytes: u64,

    /// Messages to a member that travel in one frame.
    #[arg(long, env = "DYNAMO_PEER_FRAME_MESSAGES", default_value_t = 256,
          value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub peer_frame_messages: u64,

    /// Bytes of messages to a member that travel in one frame, but for one message that is larger, up to 1 MiB.
    #[arg(long, env = "DYNAMO_PEER_FRAME_BYTES", default_value_t = 512 << 10,
          value_parser = clap::value_parser!(u64).range(1 << 10..=1 << 20))]
    pub peer_frame_bytes: u64,

    /// Requests of one member that may be in service here.
    #[arg(long, env = "DYNAMO_PEER_REQUESTS", default_value_t = 4096,
          value_parser = clap::value_parser!(u64).range(16..=1_000_000))]
    pub peer_requests: u64,

    /// Bytes of requests of one member that may be in service here, and of answers that may wait beside its queue.
    #[arg(long, env = "DYNAMO_PEER_REQUEST_BYTES", default_value_t = 96 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub peer_request_bytes: u64,

    /// Clients' requests that one member has forwarded and that may be in service here.
    #[arg(long, env = "DYNAMO_PEER_FORWARDS", default_value_t = 512,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub peer_forwards: u64,
}

impl Queues {
    /// In front of the disk.
    pub fn commit(&self) -> QueueLimits {
        QueueLimits {
            waiting: size(self.commit_queue_operations),
            waiting_bytes: size(self.commit_queue_bytes),
            batch: size(self.commit_batch_operations),
            batch_bytes: size(self.commit_batch_bytes),
        }
    }

    /// In front of the stream to each member.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            waiting: size(self.peer_queue_messages),
            waiting_bytes: size(self.peer_queue_bytes),
            frame: size(self.peer_frame_messages),
            frame_bytes: size(self.peer_frame_bytes),
        }
    }

    /// What each member may have in service.
    pub fn share(&self) -> ShareLimits {
        ShareLimits {
            requests: size(self.peer_requests),
            bytes: size(self.peer_request_bytes),
            forwards: size(self.peer_forwards),
        }
    }
}
