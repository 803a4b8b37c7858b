//! Five nodes and what they stand on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dynamo_client::Token;
use dynamo_client::local::cluster::{LocalError, Plan};
use dynamo_client::local::{LocalCluster, Site, binary};
use dynamo_cluster_tests::ports::free_sites;
use dynamo_ring::{Partitions, Quorum};
use tokio::sync::{Mutex, MutexGuard};

use crate::fault::Kind;
use crate::ground::disk::{Disk, RESERVE};
use crate::ground::network::Network;

/// Nodes of a scene.
pub const NODES: u16 = 5;
/// Their quorums.
pub const QUORUM: Quorum = Quorum { n: 3, r: 2, w: 2 };

const PARTITIONS: u32 = 32;
const PORT: u16 = 7070;
/// A bound against hanging: the machine may have other things to do.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why there is no scene.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The program.
    #[error(transparent)]
    Binary(#[from] binary::NotFound),
    /// The nodes.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The token.
    #[error(transparent)]
    Token(#[from] dynamo_client::admin::TokenError),
    /// A number of partitions that cannot be.
    #[error("{0}")]
    Partitions(String),
    /// They did not come up.
    #[error("{NODES} members were not settled within {PATIENCE:?}: see the nodes' logs under {0}")]
    NotSettled(String),
}

/// What the nodes can stand on; what is absent could not be made on this machine.
#[derive(Debug, Default)]
pub struct Ground {
    /// A network namespace each.
    pub network: Option<Network>,
    /// A disk each.
    pub disks: Vec<Disk>,
}

impl Ground {
    /// The faults that it allows.
    pub fn kinds(&self) -> Vec<Kind> {
        let possible = |kind: &Kind| {
            (self.network.is_some() || !kind.needs_network())
                && (!self.disks.is_empty() || !kind.needs_disk())
        };
        Kind::ALL.into_iter().filter(possible).collect()
    }
}

/// The nodes.
#[derive(Debug)]
pub struct Scene {
    /// What they stand on.
    pub ground: Ground,
    cluster: Mutex<LocalCluster>,
    addresses: Vec<String>,
    folder: PathBuf,
    token: Token,
}

impl Scene {
    /// Settled nodes under `folder`.
    ///
    /// # Errors
    /// [`SceneError`].
    pub async fn open(folder: &Path, ground: Ground) -> Result<Self, SceneError> {
        let mut sites = free_sites(usize::from(NODES));
        for (node, site) in (0..NODES).zip(&mut sites) {
            if let Some(network) = &ground.network {
                (site.host, site.port, site.http_port) = (network.host(node), PORT, PORT + 1);
                site.enter = Network::enter(node);
            }
            site.disk = ground.disks.get(usize::from(node)).map(|disk| disk.mount().to_owned());
        }
        let addresses = sites.iter().map(|site: &Site| site.address().to_string()).collect();
        // Often, so that every round of faults meets them.
        let mut arguments: Vec<String> =
            ["--anti-entropy-interval-ms=500", "--reap-interval-ms=500"].map(str::to_owned).into();
        if !ground.disks.is_empty() {
            arguments.push(format!("--reserve-bytes={RESERVE}"));
        }
        let named = std::env::var_os("DYNAMO_NODE_BIN").map(PathBuf::from);
        let mut cluster = LocalCluster::open(Plan {
            binary: binary::find(named.as_deref())?,
            folder: folder.to_owned(),
            sites,
            partitions: Partitions::new(PARTITIONS).map_err(|why| SceneError::Partitions(why.to_string()))?,
            quorum: QUORUM,
            node_args: arguments,
        })?;
        if !cluster.settle(NODES, PATIENCE).await? {
            return Err(SceneError::NotSettled(folder.display().to_string()));
        }
        let token = Token::read(&cluster.token_file())?;
        Ok(Self { ground, cluster: Mutex::new(cluster), addresses, folder: folder.to_owned(), token })
    }

    /// The processes. Held for a moment at a time.
    pub async fn cluster(&self) -> MutexGuard<'_, LocalCluster> {
        self.cluster.lock().await
    }

    /// Where clients dial the nodes.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Of all nodes.
    pub const fn token(&self) -> &Token {
        &self.token
    }

    /// A node's log.
    pub fn log(&self, node: u16) -> PathBuf {
        self.folder.join(format!("dev-{node}/log"))
    }

    /// The nodes stop in good order.
    ///
    /// # Errors
    /// Why one could not be stopped.
    pub async fn close(self) -> Result<(), LocalError> {
        self.cluster.into_inner().stop().await
    }
}
