//! Performs what `supervise` decides: a cluster of processes under one folder.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dynamo_ring::{ClusterId, Partitions, Quorum};
use futures::future::join_all;

use super::process::{NodeProcess, Place};
use super::site::Site;
use super::supervise::{Effect, Observed, decide, member, name};
use crate::admin::{Token, TokenError};
use crate::change::form::{self, Candidate};
use crate::change::{DriveError, Driver, Turn};

/// How long a node may take to stop in good order: its running requests may take 10 s.
const STOP: Duration = Duration::from_secs(15);

/// Why the cluster cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A folder or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// The token in the folder.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The layout.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// A node ended by itself.
    #[error("{name} ended by itself ({status}); the end of its log:\n{log}")]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: String,
        /// Its last words.
        log: String,
    },
    /// There are no ports for so many.
    #[error("there is no place for node {0}: use fewer nodes, or a lower base port")]
    NoPlace(u16),
}

fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> LocalError {
    let what = what.into();
    move |source| LocalError::Io { what, source }
}

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program.
    pub binary: PathBuf,
    /// Where everything lies.
    pub folder: PathBuf,
    /// Where the nodes run, by ordinal.
    pub sites: Vec<Site>,
    /// Q.
    pub partitions: Partitions,
    /// N, R and W.
    pub quorum: Quorum,
    /// Further arguments of each node.
    pub node_args: Vec<String>,
}

/// The processes, and the driver of their layout.
#[derive(Debug)]
pub struct LocalCluster {
    plan: Plan,
    driver: Driver,
    nodes: BTreeMap<u16, NodeProcess>,
}

/// What one round did, for a person to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// What was done, in words.
    pub did: Vec<String>,
    /// The cluster has the wanted members, and nothing is under way.
    pub quiet: bool,
}

impl LocalCluster {
    /// A cluster under the plan's folder, as it was left there, or a new one. Nothing is started yet.
    pub fn open(plan: Plan) -> Result<Self, LocalError> {
        fs::create_dir_all(&plan.folder).map_err(io(format!("the folder {}", plan.folder.display())))?;
        let token = token(&token_file(&plan.folder))?;
        let driver = Driver::new(&plan.folder, token);
        Ok(Self { plan, driver, nodes: BTreeMap::new() })
    }

    /// The file with the token of its nodes.
    pub fn token_file(&self) -> PathBuf {
        token_file(&self.plan.folder)
    }

    /// Drives its layout.
    pub const fn driver(&self) -> &Driver {
        &self.driver
    }

    /// The address of the node with this ordinal.
    pub fn address(&self, ordinal: u16) -> Result<String, LocalError> {
        Ok(self.place(ordinal)?.address())
    }

    /// The running processes by ordinal.
    pub const fn nodes(&mut self) -> &mut BTreeMap<u16, NodeProcess> {
        &mut self.nodes
    }

    /// Starts one node.
    pub fn start(&mut self, ordinal: u16) -> Result<(), LocalError> {
        let place = self.place(ordinal)?;
        self.start_at(ordinal, &place, &[])
    }

    /// Starts one node at another address than the layout has. It tells the others where it is.
    pub fn start_moved(&mut self, ordinal: u16, host: IpAddr) -> Result<(), LocalError> {
        let mut place = self.place(ordinal)?;
        place.site.host = host;
        self.start_at(ordinal, &place, &["--advertise".into(), host.to_string()])
    }

    fn start_at(&mut self, ordinal: u16, place: &Place, more: &[String]) -> Result<(), LocalError> {
        let (plan, token_file) = (&self.plan, self.token_file());
        let args = [&plan.node_args, more].concat();
        let node = NodeProcess::start(&plan.binary, place, &plan.folder, &token_file, &args)
            .map_err(io(format!("starting {} as {}", plan.binary.display(), place.name)))?;
        self.nodes.insert(ordinal, node);
        Ok(())
    }

    /// One round towards `wanted` members.
    pub async fn round(&mut self, wanted: u16) -> Result<Round, LocalError> {
        let observed = self.observe().await?;
        let mut round = Round { did: Vec::new(), quiet: false };
        for effect in decide(wanted, &observed) {
            match effect {
                Effect::Start(ordinal) => {
                    self.start(ordinal)?;
                    round.did.push(format!("started {}", name(ordinal)));
                }
                Effect::Stop(ordinal) => {
                    if let Some(node) = self.nodes.remove(&ordinal) {
                        node.stop(STOP).await.map_err(io(format!("stopping {}", name(ordinal))))?;
                        round.did.push(format!("stopped {}", name(ordinal)));
                    }
                }
                Effect::Form(ordinals) => {
                    self.form(&ordinals, &observed)?;
                    round.did.push(format!("formed a cluster of {}", ordinals.len()));
                }
                Effect::Propose(ordinals) => {
                    let members = ordinals.iter().filter_map(|o| {
                        let place = self.place(*o).ok()?;
                        member(observed.answers.get(o)?, place.address())
                    });
                    let record = self.driver.propose(&members.collect::<Vec<_>>())?;
                    round.did.push(format!("proposed {} members: {}", ordinals.len(), record.id()));
                }
                Effect::Turn => round.quiet = self.turn(&mut round.did).await? && round.did.is_empty(),
            }
        }
        let size = observed.record.map_or(0, |record| record.stable().members().len());
        round.quiet &= size == usize::from(wanted);
        Ok(round)
    }

    /// Rounds until `wanted` members are settled, or the time is over; returns whether they are.
    pub async fn settle(&mut self, wanted: u16, within: Duration) -> Result<bool, LocalError> {
        let until = tokio::time::Instant::now() + within;
        loop {
            if self.round(wanted).await?.quiet {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops every node in good order.
    pub async fn stop(&mut self) -> Result<(), LocalError> {
        let nodes = std::mem::take(&mut self.nodes);
        let stopped = join_all(nodes.into_values().map(|node| node.stop(STOP))).await;
        stopped.into_iter().try_for_each(|status| status.map(|_| ())).map_err(io("stopping the nodes"))
    }

    /// A node that has ended by itself, which nothing here asks of it.
    pub fn ended(&mut self) -> Option<LocalError> {
        self.nodes.values_mut().find_map(|node| {
            let status = node.ended()?;
            let name = node.place().name.clone();
            Some(LocalError::Ended { name, status: status.to_string(), log: node.log_tail(20) })
        })
    }

    async fn turn(&self, did: &mut Vec<String>) -> Result<bool, LocalError> {
        let look = self.driver.look().await?;
        let before = look.record.stamp();
        match self.driver.turn(&look).await? {
            Turn::Done => return Ok(true),
            Turn::Waiting(_) => {}
            Turn::Acted(words) => {
                did.extend(words);
                let now = self.driver.record()?.map(|record| record.stamp());
                if let Some(now) = now.filter(|now| *now != before) {
                    did.push(format!("layout: {now}"));
                }
            }
        }
        Ok(false)
    }

    async fn observe(&mut self) -> Result<Observed, LocalError> {
        // A process that has ended does not run; the next round starts it again if it is needed.
        self.nodes.retain(|_, node| node.ended().is_none());
        let asked = self.nodes.keys().copied().map(|ordinal| {
            let place = self.place(ordinal);
            let driver = &self.driver;
            async move { Some((ordinal, driver.status(&place.ok()?.address()).await.ok()?)) }
        });
        let answers = join_all(asked.collect::<Vec<_>>()).await.into_iter().flatten();
        // Another process may listen where ours was to.
        let answers = answers.filter(|(ordinal, status)| status.name == name(*ordinal)).collect();
        Ok(Observed { running: self.nodes.keys().copied().collect(), answers, record: self.driver.record()? })
    }

    fn form(&self, ordinals: &[u16], observed: &Observed) -> Result<(), LocalError> {
        let candidates = ordinals.iter().map(|o| {
            let address = self.place(*o)?.address();
            Ok(Candidate { address, zone: String::new(), status: observed.answers.get(o).cloned() })
        });
        let candidates: Vec<_> = candidates.collect::<Result<_, LocalError>>()?;
        let cluster_id = ClusterId(rand::random());
        let record = form::first(&candidates, self.plan.partitions, self.plan.quorum, cluster_id)
            .map_err(DriveError::from)?;
        Ok(self.driver.form(&record)?)
    }

    fn place(&self, ordinal: u16) -> Result<Place, LocalError> {
        let site = self.plan.sites.get(usize::from(ordinal)).ok_or(LocalError::NoPlace(ordinal))?;
        Ok(Place { name: name(ordinal), site: site.clone() })
    }
}

fn token_file(folder: &Path) -> PathBuf {
    folder.join("token")
}

/// The token in the file; a new one, that only its owner may read, if there is none yet.
fn token(path: &Path) -> Result<Token, LocalError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = match made {
        Ok(mut file) => writeln!(file, "{:032x}", rand::random::<u128>()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    };
    written.map_err(io(format!("the token file {}", path.display())))?;
    Ok(Token::read(path)?)
}
