//! The processes: formed, filled, and changed in size, with what that cost.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dynamo_client::change::Look;
use dynamo_client::local::cluster::Plan;
use dynamo_client::local::{LocalCluster, binary};
use dynamo_client::{Admin, BatchWrite, Client, Context, Options, Token, WriteOptions};
use dynamo_cluster_tests::ports;
use dynamo_ring::{Partitions, Quorum, Step};
use futures::{StreamExt, TryStreamExt, stream};
use tempfile::TempDir;

use crate::counters::{Counters, Memory};
use crate::error::{BenchError, io};
use crate::load::key;
use crate::plain::{self, Plain};

/// The most processes.
const MOST: u16 = 4;
/// Between two looks at a change.
const PAUSE: Duration = Duration::from_millis(100);
/// A bound against hanging.
const PATIENCE: Duration = Duration::from_mins(10);
/// Keys of one batch of the filling, and batches side by side.
const BATCH: u64 = 200;
const ABREAST: usize = 8;

/// A cluster of processes.
pub(crate) struct Fleet {
    cluster: LocalCluster,
    counters: Counters,
    partitions: Partitions,
    _folder: TempDir,
}

/// What one change of size cost.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Moved {
    /// From the proposal until every partition of the target was synced.
    pub(crate) copy_seconds: f64,
    /// From the proposal until the change was settled, drops and retirement included.
    pub(crate) whole_seconds: f64,
    /// It was settled; else it was given up after so long.
    pub(crate) settled: bool,
    /// Bytes of keys and states of the replicas that moved, as stored.
    pub(crate) stored_bytes: u64,
    /// Bytes over connections between members, both ways, from the proposal until it was settled.
    pub(crate) wire_bytes: u64,
    /// Resident memory of each process.
    pub(crate) memory: Vec<Memory>,
}

impl Fleet {
    /// Three settled members under a new folder in `folder`.
    pub(crate) async fn start(
        program: Option<&Path>,
        folder: &Path,
        partitions: u16,
    ) -> Result<Self, BenchError> {
        std::fs::create_dir_all(folder).map_err(io("the folder of the figures"))?;
        let folder = TempDir::with_prefix_in("rebalance-", folder).map_err(io("a folder for the data"))?;
        let partitions =
            Partitions::new(partitions.into()).map_err(|why| BenchError::Other(why.to_string()))?;
        let plan = Plan {
            binary: binary::find(program)?,
            folder: folder.path().to_owned(),
            sites: ports::free_sites(MOST.into()),
            partitions,
            quorum: Quorum { n: 3, r: 2, w: 2 },
            node_args: Vec::new(),
        };
        let cluster = LocalCluster::open(plan)?;
        let mut fleet = Self { cluster, counters: Counters::default(), partitions, _folder: folder };
        if !fleet.cluster.settle(3, PATIENCE).await? {
            return Err(BenchError::Other("three members did not come up".into()));
        }
        Ok(fleet)
    }

    /// A client that knows the first three.
    pub(crate) async fn client(&self) -> Result<Client, BenchError> {
        let seeds = (0..3).map(|o| self.cluster.address(o)).collect::<Result<Vec<_>, _>>()?;
        Ok(Client::connect(seeds, Options::default()).await?)
    }

    /// Writes keys, all to every holder, and waits until nobody is owed anything; says how long that took.
    pub(crate) async fn fill(&mut self, keys: u64, value_bytes: usize) -> Result<Duration, BenchError> {
        let begun = Instant::now();
        let client = self.client().await?;
        let options = WriteOptions { w: Some(3), deadline: Some(PATIENCE), ..WriteOptions::default() };
        let batches = (0..keys.div_ceil(BATCH)).map(|batch| {
            let (client, options) = (&client, &options);
            async move {
                let writes = (batch * BATCH..keys.min((batch + 1) * BATCH)).map(|n| BatchWrite::Put {
                    key: key(n),
                    // No two values are alike, and none can be made smaller.
                    value: std::iter::repeat_with(rand::random::<u8>).take(value_bytes).collect::<Bytes>(),
                    context: Context::default(),
                });
                let results = client.write_many(writes.collect(), options).await;
                results.into_iter().try_for_each(|result| result.map(drop))
            }
        });
        stream::iter(batches).buffer_unordered(ABREAST).try_collect::<Vec<()>>().await?;
        while self.look().await?.statuses.values().any(|s| s.as_ref().is_none_or(|status| status.hints > 0)) {
            if begun.elapsed() > PATIENCE {
                return Err(BenchError::Other("the members are owed hints still".into()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(begun.elapsed())
    }

    async fn look(&self) -> Result<Look, BenchError> {
        self.cluster.driver().look().await.map_err(|why| BenchError::Other(why.to_string()))
    }

    /// Looks at every process that runs.
    async fn count(&mut self) {
        let running: Vec<_> =
            self.cluster.nodes().iter().map(|(o, node)| (*o, node.pid(), node.place().site.http())).collect();
        for (ordinal, pid, http) in running {
            self.counters.look(ordinal, pid, http).await;
        }
    }

    /// Stored bytes of each partition at each running node.
    async fn holdings(&mut self) -> Result<BTreeMap<(u16, u32), u64>, BenchError> {
        let ordinals: Vec<u16> = self.cluster.nodes().keys().copied().collect();
        let token = Token::read(&self.cluster.token_file());
        let token = token.map_err(|why| BenchError::Other(why.to_string()))?;
        let mut held = BTreeMap::new();
        for ordinal in ordinals {
            let admin = Admin::new(&self.cluster.address(ordinal)?, &token, Duration::from_secs(10))?;
            let holdings = admin.holdings(&[]).await?.into_iter();
            held.extend(holdings.map(|holding| ((ordinal, holding.partition), holding.bytes)));
        }
        Ok(held)
    }

    /// Changes the size, and says what that cost. Looks at all processes so often: beside requests not much oftener than an
    /// operator would, since they feel it.
    pub(crate) async fn resize(&mut self, to: u16, often: Duration) -> Result<Moved, BenchError> {
        // A new process is up before the change begins, so that its start is no part of it.
        let running = u16::try_from(self.cluster.nodes().len()).unwrap_or(MOST);
        for ordinal in running..to {
            self.cluster.start(ordinal)?;
            let address = self.cluster.address(ordinal)?;
            while self.cluster.driver().status(&address).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let before = self.holdings().await?;
        self.count().await;
        let running: Vec<_> = self.cluster.nodes().iter().map(|(o, node)| (*o, node.pid())).collect();
        self.counters.cut(|ordinal, pid| running.contains(&(ordinal, pid)));
        let (wire, mut proposed, mut copied) = (self.counters.wire(), None, None);
        let waiting = Instant::now();
        let settled = loop {
            let quiet = self.cluster.round(to).await?.quiet;
            self.count().await;
            let look = self.look().await?;
            let changing =
                look.record.target().is_some() || look.record.stable().members().len() == usize::from(to);
            if proposed.is_none() && changing {
                proposed = Some(Instant::now());
            }
            let synced = look.record.step() != Step::Proposed || all_synced(&look);
            if proposed.is_some() && copied.is_none() && synced {
                copied = Some(Instant::now());
            }
            // A change that takes too long is a figure too.
            if quiet || waiting.elapsed() > PATIENCE {
                break quiet;
            }
            tokio::time::sleep(often).await;
        };
        let ended = Instant::now();
        let since =
            |at: Option<Instant>| proposed.zip(at).map_or(0.0, |(from, to)| (to - from).as_secs_f64());
        let after = self.holdings().await?;
        let arrived = after.iter().filter(|(place, _)| !before.contains_key(place));
        Ok(Moved {
            copy_seconds: since(copied),
            whole_seconds: since(Some(ended)),
            settled,
            stored_bytes: arrived.map(|(_, bytes)| bytes).sum(),
            wire_bytes: self.counters.wire() - wire,
            memory: self.counters.memory(),
        })
    }

    /// Copies plainly what the member of this ordinal has, from the others.
    pub(crate) async fn copy_plainly(&mut self, ordinal: u16) -> Result<Plain, BenchError> {
        let look = self.look().await?;
        let member = look.record.stable().members().get(usize::from(ordinal));
        let who = member.ok_or_else(|| BenchError::Other(format!("there is no member {ordinal}")))?.node_id;
        plain::copy(&look.record, who, self.partitions).await
    }

    /// Ends every process in good order.
    pub(crate) async fn stop(mut self) -> Result<(), BenchError> {
        Ok(self.cluster.stop().await?)
    }
}

/// Every member has everything that the target gives it.
fn all_synced(look: &Look) -> bool {
    let mut wanted = 0;
    let all = look.statuses.values().all(|status| {
        let target = status.as_ref().and_then(|status| status.target.as_ref());
        target.is_some_and(|target| {
            wanted += target.partitions_wanted;
            target.partitions_synced == target.partitions_wanted
        })
    });
    all && wanted > 0
}
