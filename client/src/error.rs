//! Why a request failed, by what the caller can do about it.

use std::time::Duration;

use crate::value::Context;

/// What a client call ends in when it does not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No seed was given: at least one address is needed to find the cluster.
    #[error("no seed was given: name at least one address, host:port")]
    NoSeed,
    /// Not an address. Correct it: `host:port`.
    #[error("`{given}` is not an address: {reason}; give host:port, such as cart:7070")]
    Address {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No seed answered. Check the addresses and that the nodes run; nothing was asked of the store.
    #[error("none of the seeds {tried} answered within {}.{:03} s: {last}", within.as_secs(), within.subsec_millis())]
    NoAnswer {
        /// The seeds.
        tried: String,
        /// How long they had.
        within: Duration,
        /// What the last one said.
        last: String,
    },
    /// The request can never succeed as it is: correct what the message names.
    #[error("refused: {0}")]
    Invalid(String),
    /// The key holds too many versions. Read it, resolve, and write with that context.
    #[error("{message}")]
    TooManyVersions {
        /// The node's words, with the limit.
        message: String,
        /// The key's current context, as the node sent it; empty if it did not.
        context: Context,
    },
    /// The versions of the key are more than this client takes of one answer: give it more
    /// ([`Options::largest_answer`](crate::Options)), or write the key with the context of a read that takes them.
    #[error("{0}")]
    TooLarge(String),
    /// The node does not let this caller in: give the cluster's token.
    #[error("not let in: {0}")]
    Denied(String),
    /// Too few members answered in time. A read may be tried again; a write may appear later, or never: try it again
    /// with the same context (it then replaces what this one may have left), or read first.
    #[error("{}", unavailable(*attempts, *answered, *needed, last))]
    Unavailable {
        /// Attempts made within the deadline.
        attempts: u32,
        /// Members that answered the last attempt, if the coordinator said so.
        answered: Option<u32>,
        /// Members that had to answer, if the coordinator said so.
        needed: Option<u32>,
        /// What the last attempt ended in.
        last: String,
    },
    /// A node answered what makes no sense to this client: one of the two is too old, or at fault.
    #[error("the answer makes no sense: {0}; are client and nodes of one version?")]
    Answer(String),
}

impl Error {
    /// A short word for counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoSeed => "no_seed",
            Self::Address { .. } => "address",
            Self::NoAnswer { .. } => "no_answer",
            Self::Invalid(_) => "invalid",
            Self::TooManyVersions { .. } => "too_many_versions",
            Self::TooLarge(_) => "too_large",
            Self::Denied(_) => "denied",
            Self::Unavailable { .. } => "unavailable",
            Self::Answer(_) => "answer",
        }
    }
}

fn unavailable(attempts: u32, answered: Option<u32>, needed: Option<u32>, last: &str) -> String {
    let count = match (answered, needed) {
        (Some(answered), Some(needed)) => format!("{answered} of {needed} members answered"),
        _ => "no coordinator answered".to_owned(),
    };
    format!("{count} in time ({attempts} attempts; the last: {last}); a write may appear later, or never")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_value_and_remedy() {
        let bad = Error::Address { given: "cart".into(), reason: "it has no port".into() };
        assert_eq!(
            bad.to_string(),
            "`cart` is not an address: it has no port; give host:port, such as cart:7070"
        );
        let few = Error::Unavailable { attempts: 4, answered: Some(1), needed: Some(2), last: "x".into() };
        assert!(few.to_string().starts_with("1 of 2 members answered in time (4 attempts"));
        let none =
            Error::NoAnswer { tried: "a:1".into(), within: Duration::from_millis(1500), last: "x".into() };
        assert!(none.to_string().contains("within 1.500 s"));
    }
}
