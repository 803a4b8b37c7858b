//! Why a request was not carried out, and what its client can do.

use bytes::Bytes;
use dynamo_proto::v1::ErrorStatus;

use crate::store::{OpError, SubmitError};

/// A request that did not end well.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CoordinateError {
    /// Try another node.
    #[error("this node has no layout that names it yet; try another node")]
    NotServing,
    /// INVALID_ARGUMENT.
    #[error("{name} = {given} is not possible: the cluster keeps {n} replicas, so {name} is 1 to {n}")]
    Quorum {
        /// `r` or `w`.
        name: &'static str,
        /// As the client has it.
        given: u32,
        /// Replicas.
        n: u8,
    },
    /// Too few members answered.
    #[error("{answered} of the {needed} members wanted have answered{}", if *.write { "; the write may appear later, or never" } else { "" })]
    TooFew {
        /// Distinct members that did.
        answered: usize,
        /// Members wanted.
        needed: usize,
        /// It was a write, and may have an effect all the same.
        write: bool,
    },
    /// The members that answered have not seen all that the client has.
    #[error(
        "{answered} members have answered, and none of them knows all that the request has to cover; \
         try again once faults have healed, or without `at_least`"
    )]
    Behind {
        /// Distinct members that did.
        answered: usize,
    },
    /// Nobody who holds the key can be reached, and the request allows no stand-in. Nothing was begun.
    #[error(
        "none of the key's own members can be reached, and the request is strict; try again, or without it"
    )]
    NoHolder,
    /// The connection to the member that was to coordinate broke, or it did not answer in time.
    #[error("the member that coordinates gave no answer ({0}); the write may appear later, or never")]
    CoordinatorSilent(String),
    /// FAILED_PRECONDITION: the key holds too many versions.
    #[error("{message}")]
    TooManyVersions {
        /// What the store says.
        message: String,
        /// What has been seen of the key, as the client carries it.
        context: Bytes,
    },
    /// RESOURCE_EXHAUSTED. Nothing was begun.
    #[error("too many writes wait for the disk; try again a little later")]
    Overloaded,
    /// The disk is full, or has failed. Nothing was kept here.
    #[error("the disk of this node cannot take it: {0}")]
    Disk(String),
    /// The node is stopping. Nothing was begun.
    #[error("the node is stopping; try another")]
    Stopping,
    /// It came forwarded, and this node does not hold the key. The one that forwarded it looks again.
    #[error("this node does not hold the key, and the request was forwarded once already")]
    NotMine,
    /// The member that coordinated it ended it with an error, meant for the client as it is.
    #[error("{}", .0.message)]
    Forwarded(ErrorStatus),
    /// What is stored, or what a member sent, makes no sense.
    #[error("{0}")]
    Fault(String),
}

impl From<SubmitError> for CoordinateError {
    fn from(why: SubmitError) -> Self {
        match why {
            SubmitError::Overloaded => Self::Overloaded,
            SubmitError::Stopped => Self::Stopping,
            SubmitError::Fatal(_) => Self::Disk(why.to_string()),
        }
    }
}

impl CoordinateError {
    /// From what the store said of a put to `key`.
    pub(super) fn of_store(key: &[u8], why: &OpError) -> Self {
        match why {
            OpError::TooManySiblings { context, .. } => Self::TooManyVersions {
                message: why.to_string(),
                context: crate::version::Context::encode(key, context),
            },
            OpError::Store(_) | OpError::Fatal(_) => Self::Disk(why.to_string()),
            OpError::Stopped => Self::Stopping,
            OpError::NotHeld(_) => Self::NotMine,
            OpError::NoLayout => Self::NotServing,
            other => Self::Fault(other.to_string()),
        }
    }
}
