//! Why a peer gave no answer, and what that says about whether the request was carried out.

use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::refusal::Reason;
use dynamo_ring::NodeId;

/// A call to a member that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// There is no connection. Nothing was sent.
    #[error("member {0} cannot be reached")]
    Down(NodeId),
    /// The connection broke before the answer came. The request may have been carried out, or not.
    #[error("the connection to member {0} broke before it answered")]
    Lost(NodeId),
    /// No answer in time. The request may have been carried out, or not, or may still be.
    #[error("member {node} has not answered within {within:?}")]
    Timeout {
        /// Who was asked.
        node: NodeId,
        /// How long it had.
        within: Duration,
    },
    /// What waits to be sent to this member is at its bound. Nothing was sent; try another, or later.
    #[error("too much waits to be sent to member {0}; try another member, or later")]
    Overloaded(NodeId),
    /// The answer is large and came at a time when too many others did. The request has been carried out.
    #[error(
        "the answer of member {node} has {bytes} bytes and finds no room beside others ({room} bytes in all, \
         --max-large-bytes); try again, or another member"
    )]
    NoRoom {
        /// Who was asked.
        node: NodeId,
        /// How long the answer is.
        bytes: usize,
        /// What there is for all large messages together.
        room: usize,
    },
    /// The member will not do it. Nothing was done.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The member answered something else than was asked. A fault of one of the two programs.
    #[error("a member answered out of place: {0}")]
    Strange(String),
}

/// A member's refusal. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused ({reason:?}): {message}")]
pub struct Refused {
    /// Why, as far as a program can act on it.
    pub reason: Reason,
    /// Why, for a person.
    pub message: String,
    /// The member's layout record (JSON) where it helps; empty otherwise.
    pub record: Bytes,
}

impl PeerError {
    /// Whether the request was certainly not carried out, so that asking another member repeats nothing.
    pub const fn nothing_done(&self) -> bool {
        matches!(self, Self::Down(_) | Self::Overloaded(_) | Self::Refused(_))
    }

    /// Whether the request was made under a layout that has passed: it has to be made again under the new one.
    pub const fn is_old_layout(&self) -> bool {
        matches!(self, Self::Refused(Refused { reason: Reason::OldLayout, .. }))
    }
}
