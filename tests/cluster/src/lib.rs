//! A bench for tests on real `dynamo-node` processes: made on free loopback ports under a temporary folder, ended by
//! process id, with the logs printed when a test fails.
//!
//! The program is `DYNAMO_NODE_BIN`, or the `dynamo-node` in the target folder of the tests (`cargo build` first).

#![allow(clippy::expect_used, clippy::missing_panics_doc)] // a panic is a test's report

pub mod collector;
mod load;
pub mod ports;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dynamo_client::change::Look;
use dynamo_client::local::cluster::Plan;
use dynamo_client::local::{LocalCluster, binary};
use dynamo_client::{Client, Options, Token};
use dynamo_load::journal::Acknowledged;
use dynamo_load::verify::{self, Report};
use dynamo_ring::change::Next;
use dynamo_ring::{Partitions, Quorum};
use tempfile::TempDir;

pub use load::Load;

/// Nodes that a bench may have at most.
const MOST: usize = 6;
/// A bound against hanging, not a figure: the machine may have other things to do.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A cluster of processes for one test.
#[derive(Debug)]
pub struct Bench {
    /// The processes, and their driver.
    pub cluster: LocalCluster,
    folder: TempDir,
}

impl Bench {
    /// `size` settled members of n=3, r=2, w=2 and 32 partitions, each started with `node_args` besides.
    pub async fn start(size: u16, node_args: &[&str]) -> Self {
        let folder = TempDir::with_prefix("dynamo-cluster-").expect("a temporary folder");
        let named = std::env::var_os("DYNAMO_NODE_BIN").map(PathBuf::from);
        let plan = Plan {
            binary: binary::find(named.as_deref()).expect("cargo build -p dynamo-node, or DYNAMO_NODE_BIN"),
            folder: folder.path().to_owned(),
            sites: ports::free_sites(MOST),
            partitions: Partitions::new(32).expect("32 is possible"),
            quorum: Quorum { n: 3, r: 2, w: 2 },
            node_args: node_args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        let cluster = LocalCluster::open(plan).expect("a cluster in a new folder");
        let mut bench = Self { cluster, folder };
        bench.settle(size).await;
        bench
    }

    /// Rounds of the supervisor until `size` members are settled and serving. Starts whoever was killed.
    pub async fn settle(&mut self, size: u16) {
        let settled = self.cluster.settle(size, PATIENCE).await.expect("rounds of the change");
        assert!(
            settled,
            "{size} members were not settled within {PATIENCE:?}: {}",
            words(&self.look().await)
        );
    }

    /// What the members say.
    pub async fn look(&self) -> Look {
        self.cluster.driver().look().await.expect("a record")
    }

    /// Rounds towards `size` members until `seen` is true of a look.
    pub async fn until(&mut self, size: u16, what: &str, seen: impl Fn(&Look) -> bool) {
        let begun = Instant::now();
        while !seen(&self.look().await) {
            self.cluster.round(size).await.expect("a round of the change");
            assert!(begun.elapsed() < PATIENCE, "not {what} within {PATIENCE:?}");
        }
    }

    /// Asks again, without rounds, until `seen` is true of a look.
    pub async fn wait(&self, what: &str, seen: impl Fn(&Look) -> bool) {
        let begun = Instant::now();
        while !seen(&self.look().await) {
            assert!(
                begun.elapsed() < PATIENCE,
                "not {what} within {PATIENCE:?}: {}",
                words(&self.look().await)
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A client that knows the first three members.
    pub async fn client(&self) -> Client {
        let seeds = (0..3).map(|o| self.cluster.address(o).expect("a port"));
        Client::connect(seeds, Options::default()).await.expect("a node that answers")
    }

    /// The token of all nodes.
    pub fn token(&self) -> Token {
        Token::read(&self.cluster.token_file()).expect("the token file")
    }

    /// Ends a node at once, without a chance to write anything down.
    pub async fn kill(&mut self, ordinal: u16) {
        let node = self.cluster.nodes().remove(&ordinal).expect("a running node");
        node.kill().await.expect("a process of our own");
    }

    /// Starts it again over its data, and waits until it answers.
    pub async fn restart(&mut self, ordinal: u16) {
        self.cluster.start(ordinal).expect("the program");
        self.answers(ordinal).await;
    }

    /// Waits until a node answers.
    pub async fn answers(&self, ordinal: u16) {
        let address = self.cluster.address(ordinal).expect("a port");
        let begun = Instant::now();
        while self.cluster.driver().status(&address).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "node {ordinal} did not answer within {PATIENCE:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks for every acknowledged write of the journal, from the store and from every replica.
    pub async fn verify(&self, journal: &Path) -> Report {
        let journal = Acknowledged::read(journal).expect("the journal");
        let plan = verify::Plan { every_replica: Some(self.token()), settle: Duration::from_mins(1) };
        let client = self.client().await;
        verify::run(&client, &journal, &plan, |_| {}).await.expect("a cluster that answers")
    }

    /// The same, and all of it must be there.
    pub async fn verify_whole(&self, journal: &Path) {
        let report = self.verify(journal).await;
        assert!(report.keys > 0 && report.passed(true), "not as promised: {report:#?}");
    }

    /// Ends the test well: every node stops in good order.
    pub async fn stop(mut self) {
        self.cluster.stop().await.expect("nodes that stop");
    }

    /// Where journals of this test go.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// What stands, and what it waits for; without the tables, which would hide it.
fn words(look: &Look) -> String {
    let hints: u64 = look.statuses.values().flatten().map(|status| status.hints).sum();
    let next = match look.next() {
        Next::Write(record) => format!("to write {}", record.stamp()),
        other => format!("{other:?}"),
    };
    format!("{}, settled: {}, hints: {hints}, next: {next}", look.record.stamp(), look.record.settled())
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for ordinal in 0..MOST {
                let log = self.folder.path().join(format!("dev-{ordinal}/log"));
                let Ok(text) = std::fs::read(&log) else { continue };
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<_> = text.lines().collect();
                eprintln!("--- node {ordinal}, the end of its log");
                eprintln!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
            }
        }
    }
}
