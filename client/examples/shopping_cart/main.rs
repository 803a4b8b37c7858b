//! The shopping cart of the Dynamo paper (SOSP 2007, section 4.4) on a cluster of its own: what a union keeps, the
//! deleted item that it brings back, and how an observed-remove set keeps it away.
//!
//!     cargo run --example shopping_cart
//!
//! Starts three `dynamo-node` processes on free loopback ports under a temporary folder, and stops them at the end.

mod cart;

use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cart::Scene;
use dynamo_client::local::cluster::Plan;
use dynamo_client::local::{LocalCluster, Site, binary};
use dynamo_client::{Client, Options};
use dynamo_ring::{Partitions, Quorum};

const NODES: u16 = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut cluster = LocalCluster::open(plan(folder.path())?)?;
    let told = tell(&mut cluster).await;
    cluster.stop().await?;
    told
}

async fn tell(cluster: &mut LocalCluster) -> Result<(), Box<dyn Error>> {
    println!("starting {NODES} nodes; every cart below is on all of them, n=3 r=2 w=2");
    if !cluster.settle(NODES, Duration::from_mins(1)).await? {
        return Err("the nodes did not form a cluster within a minute".into());
    }
    let seeds = (0..NODES).map(|ordinal| cluster.address(ordinal)).collect::<Result<Vec<_>, _>>()?;
    let client = Client::connect(seeds, Options::default()).await?;

    println!("\nThe cart is milk, eggs. The phone adds bread while the laptop adds apples.");
    show("the union", &cart::both_adds_stay(&client).await?, "no add is lost");
    println!("\nThe cart is milk, eggs. The phone removes milk while the laptop adds apples.");
    show("the union", &cart::the_deleted_item_comes_back(&client).await?, "the milk is back");
    println!("\nThe same, and the cart is an observed-remove set.");
    show("the merge", &cart::the_deleted_item_stays_away(&client).await?, "the milk stays away");
    println!("\nTen devices add an item each at the same time, each by `update`.");
    show("the merge", &cart::no_add_of_many_is_lost(&client, 10).await?, "all ten are there");
    Ok(())
}

fn show(how: &str, scene: &Scene, so: &str) {
    for (at, version) in scene.versions.iter().enumerate() {
        println!("  version {}   {}", at + 1, version.join(", "));
    }
    println!("  {how}   {}   <- {so}", scene.merged.join(", "));
}

fn plan(folder: &Path) -> Result<Plan, Box<dyn Error>> {
    // All are held until all are known, so that none is given twice.
    let listeners =
        (0..2 * NODES).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
    let ports =
        listeners.iter().map(|one| Ok(one.local_addr()?.port())).collect::<std::io::Result<Vec<_>>>()?;
    let (pairs, _) = ports.as_chunks::<2>();
    Ok(Plan {
        binary: node()?,
        folder: folder.to_owned(),
        sites: pairs.iter().map(|&[grpc, http]| Site::loopback(grpc, http)).collect(),
        partitions: Partitions::new(32)?,
        quorum: Quorum { n: 3, r: 2, w: 2 },
        node_args: Vec::new(),
    })
}

/// The program of a node, built if it is not there yet.
fn node() -> Result<PathBuf, Box<dyn Error>> {
    if let Ok(found) = binary::find(None) {
        return Ok(found);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo).args(["build", "--package", "dynamo-node"]).status()?;
    Ok(binary::find(None)?)
}
