//! The context of the last get or write of each key from this machine, so that `--context last` needs no copying.

use std::fs;
use std::path::{Path, PathBuf};

use dynamo_client::Context;
use dynamo_ring::{ClusterId, Position};

use crate::fail::Fail;

/// Where this program keeps what it remembers: the XDG state folder, or one below the folder for passing things.
pub(crate) fn folder() -> PathBuf {
    let from_env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = from_env("XDG_STATE_HOME").or_else(|| Some(from_env("HOME")?.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("dynamo")
}

/// The contexts of one cluster's keys.
#[derive(Debug)]
pub(crate) struct Remembered(PathBuf);

impl Remembered {
    /// Of the cluster; a folder is made when the first context is kept.
    pub(crate) fn of(state: &Path, cluster: Option<ClusterId>) -> Self {
        let cluster = cluster.map_or_else(|| "none".to_owned(), |id| id.to_string());
        Self(state.join("contexts").join(cluster))
    }

    /// Keeps the context of a key. What cannot be kept is not there next time, and that is said then.
    pub(crate) fn keep(&self, key: &[u8], context: &Context) {
        if fs::create_dir_all(&self.0).is_ok() {
            let _ = fs::write(self.path(key), &context.0);
        }
    }

    /// Forgets the context of a key: other versions survive beside the last write.
    pub(crate) fn forget(&self, key: &[u8]) {
        let _ = fs::remove_file(self.path(key));
    }

    /// The context of the last get or write of this key.
    pub(crate) fn last(&self, key: &[u8]) -> Result<Context, Fail> {
        match fs::read(self.path(key)) {
            Ok(bytes) => Ok(Context(bytes.into())),
            Err(_) => Err(Fail::usage(
                "no context of this key is remembered here: get the key first, then write with --context last",
            )),
        }
    }

    fn path(&self, key: &[u8]) -> PathBuf {
        self.0.join(crate::text::hex(Position::of(key).as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_and_key_has_its_own() {
        let state = tempfile::tempdir().unwrap();
        let of = |byte| Remembered::of(state.path(), Some(ClusterId([byte; 16])));
        let context = Context(b"seen"[..].into());
        assert!(of(1).last(b"anna").is_err());
        of(1).keep(b"anna", &context);
        assert_eq!(of(1).last(b"anna").unwrap(), context);
        assert!(of(1).last(b"bert").is_err() && of(2).last(b"anna").is_err());
        of(1).forget(b"anna");
        assert!(of(1).last(b"anna").is_err());
    }
}
