//! Why a node does not start, and why it ends: one sentence each, with the remedy.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::api::token::TokenError;
use crate::engine::Unfit;
use crate::identity::SetBack;
use crate::store::{OpenError, StoreError};

/// Exit codes for whoever starts the process again (docs/limits.md); 74 and 75 are EX_IOERR and EX_TEMPFAIL.
const FAILED: u8 = 1;
const STORE_FAILED: u8 = 74;
const SET_BACK: u8 = 75;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody could be told apart from the operator.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The address is taken, or is not this machine's.
    #[error("cannot listen on {address} ({why}); free it or give another with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        why: io::Error,
        /// What sets it.
        flag: &'static str,
    },
    /// Two processes must never share one directory.
    #[error("{0} is in use by another process; stop that one, or give another directory with --data-dir")]
    InUse(PathBuf),
    /// The file system refuses.
    #[error(
        "the data directory {path} cannot be used ({why}); check that it is mounted and writable by this user"
    )]
    Directory {
        /// The path that it was about.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// The database cannot be read.
    #[error(
        "the data in {path} cannot be opened ({why}); set it aside and let the node join empty: replicas have it"
    )]
    Data {
        /// The data directory.
        path: PathBuf,
        /// What the store says.
        why: StoreError,
    },
    /// It opened, but cannot go on.
    #[error(transparent)]
    Unfit(Unfit),
    /// The descriptors of the services make no sense: a fault of this build.
    #[error("the reflection service cannot be built: {0}")]
    Reflection(String),
    /// The data is an older copy; it has been set aside.
    #[error("{set_back}{}", .aside.as_ref().map(|path| format!(" (set aside as {})", path.display())).unwrap_or_default())]
    SetBack {
        /// Who knows.
        set_back: SetBack,
        /// Where the data is now.
        aside: Option<PathBuf>,
    },
}

impl StartError {
    /// What the process ends with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::SetBack { .. } => SET_BACK,
            _ => FAILED,
        }
    }

    /// From opening the data directory.
    pub(super) fn of_open(path: PathBuf, why: OpenError) -> Self {
        match why {
            OpenError::Locked(path) => Self::InUse(path),
            OpenError::Io { path, why } => Self::Directory { path, why },
            OpenError::Store(why) => Self::Data { path, why },
        }
    }
}

/// Why a running node ended, other than being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// What was not synced may be lost, and no later sync can tell.
    #[error(
        "the store has failed, so the node ends at once; its next start goes on from what is on disk: {0}"
    )]
    Store(String),
    /// The data is an older copy; it has been set aside.
    #[error("{set_back}{}", .aside.as_ref().map(|path| format!(" (set aside as {})", path.display())).unwrap_or_default())]
    SetBack {
        /// Who knows.
        set_back: SetBack,
        /// Where the data is now.
        aside: Option<PathBuf>,
    },
    /// A server ended by itself.
    #[error("the {0} server has ended ({1})")]
    Server(&'static str, String),
    /// The last words could not be written. The next start takes a new actor id, and loses nothing.
    #[error("stopped, but not cleanly: {0}")]
    Unclean(String),
}

impl Fatal {
    /// What the process ends with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Store(_) => STORE_FAILED,
            Self::SetBack { .. } => SET_BACK,
            Self::Server(..) | Self::Unclean(_) => FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesson_15_a_node_whose_sync_failed_says_so_and_ends_with_a_code_of_its_own() {
        let fatal = Fatal::Store(StoreError::SyncFailed("EIO".to_owned()).to_string());
        assert_eq!(fatal.exit_code(), 74);
        let said = fatal.to_string();
        assert!(said.contains("a sync to disk failed") && said.contains("EIO"), "{said}");
        assert_eq!(Fatal::Unclean("x".to_owned()).exit_code(), 1);
    }
}
