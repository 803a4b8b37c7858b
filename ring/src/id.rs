//! Names: of nodes, of clusters, of layouts.
//!
//! A node id and a cluster id are 128 random bits, made at the edge (this crate makes none) and written as 32 hex
//! digits wherever a person or a document sees them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an id: 32 hex digits are needed")]
pub struct IdError {
    given: String,
}

fn parse_hex(text: &str) -> Result<[u8; 16], IdError> {
    let refuse = || IdError { given: text.chars().take(64).collect() };
    // `from_str_radix` alone would take a sign.
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    u128::from_str_radix(text, 16).map(u128::to_be_bytes).map_err(|_| refuse())
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

hex_id! {
    /// A data directory's name for itself, made when the directory was empty. A wiped disk is a new node.
    NodeId
}

hex_id! {
    /// One cluster, for life. Volumes are matched by it, so data finds its cluster again.
    ClusterId
}

hex_id! {
    /// The first 128 bits of the SHA-256 of a layout's canonical encoding; see [`Layout::id`](crate::Layout::id).
    LayoutHash
}

/// The name of a layout. The epoch orders layouts; the hash makes sure that two of one epoch are never confused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutId {
    /// Rises with every proposal, replacements and aborts too.
    pub epoch: u64,
    /// What the layout says.
    pub hash: LayoutHash,
}

impl fmt::Display for LayoutId {
    /// `7@3f2a...`: short enough for a log line, and still unambiguous beside the epoch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = self.hash.to_string();
        write!(f, "{}@{}", self.epoch, &hash[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_json() {
        let id = NodeId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"000102030405060708090a0b0c0d0eff\"");
        assert_eq!(serde_json::from_str::<NodeId>(&json).unwrap(), id);
    }

    #[test]
    fn what_is_not_32_hex_digits_is_refused() {
        for bad in
            ["", "00", "+00102030405060708090a0b0c0d0eff", "g00102030405060708090a0b0c0d0eff", "é", "0x01"]
        {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
            assert!(serde_json::from_str::<NodeId>(&format!("\"{bad}\"")).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_order_as_their_digits() {
        assert!(NodeId([1; 16]) < NodeId([2; 16]));
        let early = LayoutId { epoch: 1, hash: LayoutHash([9; 16]) };
        let late = LayoutId { epoch: 2, hash: LayoutHash([0; 16]) };
        assert!(early < late);
        assert_eq!(early.to_string(), "1@09090909");
    }
}
