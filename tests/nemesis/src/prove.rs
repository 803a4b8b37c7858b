//! Shows, before anything is judged, that the faults are faults: what is cut is cut, what is full is full.

use std::time::Duration;

use dynamo_client::{Client, Error, Options, WriteOptions};
use dynamo_ring::Position;

use crate::ground::disk::DiskError;
use crate::ground::network::ProofError;
use crate::scene::{QUORUM, Scene};

/// The node whose disk is tried.
const NODE: u16 = 0;

/// What is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A cut.
    #[error(transparent)]
    Cut(#[from] ProofError),
    /// A disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The store, where all is well.
    #[error("a write that needs every holder failed though all are well: {0}")]
    Well(#[from] Error),
    /// A node on a full disk.
    #[error("a node whose disk is full took a write")]
    Took,
    /// No key of the node.
    #[error("dev-{NODE} holds none of 1000 keys")]
    NoKey,
}

/// Everything that the scene's ground allows. Returns what was shown, in words.
///
/// # Errors
/// [`ProveError`]: the run would prove nothing.
pub async fn all(scene: &Scene) -> Result<Vec<&'static str>, ProveError> {
    let mut shown = Vec::new();
    if let Some(network) = &scene.ground.network {
        network.prove().await?;
        shown.push("a cut drops what one node sends another, not what comes back, and ends");
    }
    if let Some(disk) = scene.ground.disks.get(usize::from(NODE)) {
        tokio::task::block_in_place(|| disk.prove_stall())?;
        shown.push("a stalled disk takes no write until it goes on");
        full(scene, disk).await?;
        shown.push("a node whose disk is full refuses writes, and takes them again when there is room");
    }
    Ok(shown)
}

async fn full(scene: &Scene, disk: &crate::ground::disk::Disk) -> Result<(), ProveError> {
    let client = Client::connect(scene.addresses().to_vec(), Options::default()).await?;
    let key = key_of(scene, &client)?;
    let put = async |deadline: Duration| {
        // A write that every holder has to have: nobody can stand in for the one whose disk is tried.
        let (w, deadline) = (Some(QUORUM.n.into()), Some(deadline));
        let options = WriteOptions { w, strict: true, deadline, ..WriteOptions::default() };
        let context = client.get(&key, &dynamo_client::ReadOptions::default()).await?.context;
        client.put(&key, "probe", &context, &options).await.map(drop)
    };
    put(Duration::from_secs(30)).await?;
    disk.take_room().await?;
    let refused = put(Duration::from_secs(2)).await;
    disk.give_room()?;
    match refused {
        Ok(()) => return Err(ProveError::Took),
        Err(Error::Unavailable { .. }) => {}
        Err(other) => return Err(other.into()),
    }
    Ok(put(Duration::from_secs(30)).await?)
}

/// A key that the node holds.
fn key_of(scene: &Scene, client: &Client) -> Result<Vec<u8>, ProveError> {
    let record = client.layout().ok_or(ProveError::NoKey)?;
    let (layout, address) = (record.stable(), scene.addresses().get(usize::from(NODE)));
    let holds = |key: &Vec<u8>| {
        let partition = Position::of(key).partition(layout.partitions());
        layout.holders(partition).any(|member| Some(&member.address) == address)
    };
    (0..1000).map(|n| format!("probe-{n}").into_bytes()).find(holds).ok_or(ProveError::NoKey)
}
