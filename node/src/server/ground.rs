//! What everything else stands on: the data directory, the commit thread over it, and the layout that is found there.

use std::sync::Arc;

use super::error::StartError;
use crate::config::Config;
use crate::layout::{Keeper, Layouts};
use crate::store::{
    CommitThread, Committer, DataDirectory, FjallStore, Identity, Local, Opened, QueueLimits, Store,
};

/// An open data directory, and the ways to it.
pub(super) struct Ground {
    pub directory: DataDirectory,
    pub store: Arc<FjallStore>,
    pub identity: Identity,
    /// The last stop was clean.
    pub was_clean: bool,
    pub committer: Committer,
    pub thread: CommitThread,
    pub local: Local,
    pub layouts: Layouts,
    pub keeper: Keeper,
}

impl Ground {
    /// Opens the data directory. After a crash that may take a while.
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        let path = config.data_dir.clone();
        let (opening, options) = (path.clone(), config.store());
        let opened = tokio::task::spawn_blocking(move || DataDirectory::open(&opening, options)).await;
        let opened = match opened {
            Ok(opened) => opened.map_err(|why| StartError::of_open(path.clone(), why))?,
            Err(why) => return Err(StartError::Directory { path, why: std::io::Error::other(why) }),
        };
        let Opened { directory, store, identity, was_clean, is_new, set_aside } = opened;
        if let Some(aside) = set_aside {
            tracing::info!(aside = %aside.display(), "the node that was here had retired; its data is set aside");
        }
        tracing::info!(name = config.name, node = %identity.node_id, is_new, was_clean, "data directory is open");

        let failed = |why| StartError::Data { path: path.clone(), why };
        let shared: Arc<dyn Store> = Arc::<FjallStore>::clone(&store);
        let (committer, thread) =
            Committer::start(Arc::clone(&shared), config.key_limits(), QueueLimits::default())
                .map_err(failed)?;
        let local = Local::new(shared);
        let (layouts, keeper) =
            Layouts::open(local.clone(), committer.clone(), identity.node_id).map_err(failed)?;
        Ok(Self { directory, store, identity, was_clean, committer, thread, local, layouts, keeper })
    }
}
