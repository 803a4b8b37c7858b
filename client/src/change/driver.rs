//! The rounds of a change: look, decide, do one thing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynamo_proto::v1 as proto;
use dynamo_ring::change::{self, Next, Reports, Waiting};
use dynamo_ring::record::TransitionRefused;
use dynamo_ring::{Member, NodeId, Record};
use futures::future::join_all;

use super::book::Book;
use super::file::{FileError, RecordFile};
use super::form::FormError;
use super::report::{node_id, report};
use crate::admin::{Admin, AdminError, Token};
use crate::error::Error;
use crate::pool::Pool;

/// How long a node may take to say how it is.
const ASK: Duration = Duration::from_secs(2);
/// How long it may take to acknowledge a step: its running requests end first, and those may take 10 s. What it has
/// not done by then a later look shows.
const TELL: Duration = Duration::from_secs(12);
/// Between two rounds that had nothing to do.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a change cannot go on. Nothing is undone: a driver that is started again goes on from the record.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// There is no record.
    #[error("there is no layout record yet: form the cluster first")]
    NoRecord,
    /// There is one already.
    #[error("there is a layout record already: this cluster was formed before")]
    Formed,
    /// The record's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The first layout cannot be made.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The change asked for cannot be made now.
    #[error(transparent)]
    Transition(#[from] TransitionRefused),
    /// It did not end in time; it may be driven on.
    #[error("the change did not end within {} s; it stands at: {state}", within.as_secs())]
    Late {
        /// How long it had.
        within: Duration,
        /// What it was waiting for.
        state: String,
    },
}

/// What the members say at one moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// The record as the file has it.
    pub record: Record,
    /// By the node id that was asked; none for one that gave no answer, or answered under another id.
    pub statuses: BTreeMap<NodeId, Option<proto::NodeStatus>>,
}

impl Look {
    fn reports(&self) -> Reports {
        self.statuses.iter().map(|(id, status)| (*id, status.as_ref().and_then(report))).collect()
    }

    /// What is to be done next.
    pub fn next(&self) -> Next {
        change::next(&self.record, &self.reports())
    }
}

/// What a round did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// A record was written, or members were told; the refusals and silences are for a person to see.
    Acted(Vec<String>),
    /// There is nothing to do but to look again.
    Waiting(Waiting),
    /// Settled, and every member knows.
    Done,
}

/// Drives the changes of one cluster.
#[derive(Debug, Clone)]
pub struct Driver {
    file: RecordFile,
    book: Book,
    token: Token,
    pool: Arc<Pool>,
}

impl Driver {
    /// With the record in `folder/layout.json` and the addresses in `folder/addresses.json`.
    pub fn new(folder: &Path, token: Token) -> Self {
        let (file, book) =
            (RecordFile::new(folder.join("layout.json")), Book::new(folder.join("addresses.json")));
        Self { file, book, token, pool: Arc::new(Pool::new(ASK)) }
    }

    /// The record as it stands.
    pub fn record(&self) -> Result<Option<Record>, DriveError> {
        Ok(self.file.read()?)
    }

    /// Makes the first record. The nodes are told by the rounds that follow.
    pub fn form(&self, record: &Record) -> Result<(), DriveError> {
        if self.file.read()?.is_some() {
            return Err(DriveError::Formed);
        }
        self.book.note(record.stable().members())?;
        Ok(self.file.replace(None, record)?)
    }

    /// Writes a target with exactly these members, in place of one that is not frozen yet.
    pub fn propose(&self, members: &[Member]) -> Result<Record, DriveError> {
        let record = self.file.read()?.ok_or(DriveError::NoRecord)?;
        let next = record.propose(members)?;
        self.book.note(members)?;
        self.file.replace(Some(&record), &next)?;
        Ok(next)
    }

    /// Notes that a node is lost for ever: its disk is gone. A node that still answers is not lost.
    pub fn lost(&self, node: &NodeId) -> Result<Record, DriveError> {
        let record = self.file.read()?.ok_or(DriveError::NoRecord)?;
        let next = record.lost(node)?;
        self.file.replace(Some(&record), &next)?;
        Ok(next)
    }

    /// Asks everyone who may hold data.
    pub async fn look(&self) -> Result<Look, DriveError> {
        let record = self.file.read()?.ok_or(DriveError::NoRecord)?;
        let addresses = self.book.addresses(&record)?;
        let ask = change::to_ask(&record).map(|id| {
            let address = addresses.get(&id);
            async move {
                let status = match address {
                    Some(address) => self.status(address).await.ok(),
                    None => None,
                };
                (id, status.filter(|status| node_id(&status.node_id) == Some(id)))
            }
        });
        let statuses = join_all(ask.collect::<Vec<_>>()).await.into_iter().collect();
        Ok(Look { record, statuses })
    }

    /// What the node at `address` says of itself.
    pub async fn status(&self, address: &str) -> Result<proto::NodeStatus, AdminError> {
        self.admin(address, ASK)?.status().await
    }

    fn admin(&self, address: &str, within: Duration) -> Result<Admin, Error> {
        Ok(Admin::on(self.pool.channel(address)?, address, &self.token, within))
    }

    /// One round: does the next thing that `look` asks for.
    pub async fn turn(&self, look: &Look) -> Result<Turn, DriveError> {
        match look.next() {
            Next::Done => Ok(Turn::Done),
            Next::Wait(waiting) => Ok(Turn::Waiting(waiting)),
            // Before anyone is told.
            Next::Write(next) => match self.file.replace(Some(&look.record), &next) {
                // If another driver was faster, the next look shows what it wrote.
                Ok(()) | Err(FileError::Changed { .. }) => Ok(Turn::Acted(Vec::new())),
                Err(error) => Err(error.into()),
            },
            Next::Tell(ids) => {
                let record = &look.record;
                let tell = async |node: Admin, id| node.set_layout(record, id).await.map(|_| None);
                Ok(Turn::Acted(self.each(look, &ids, tell).await?))
            }
            Next::Retire(ids) => {
                let (record, cluster) = (&look.record, look.record.cluster_id());
                let retire = async |node: Admin, id| {
                    // Settling leaves the stamp as it is, so nobody was told of it; but a leaver retires only under a
                    // record that names it no more, and the one it has still shows the layout that did.
                    node.set_layout(record, id).await?;
                    let reply = node.retire(cluster, id).await?;
                    Ok((!reply.retired).then(|| format!("{id} cannot retire yet: {}", reply.reason)))
                };
                Ok(Turn::Acted(self.each(look, &ids, retire).await?))
            }
        }
    }

    /// Calls these nodes side by side; returns what a person should know of the answers.
    async fn each(
        &self,
        look: &Look,
        ids: &[NodeId],
        call: impl AsyncFn(Admin, NodeId) -> Result<Option<String>, AdminError>,
    ) -> Result<Vec<String>, DriveError> {
        let addresses = self.book.addresses(&look.record)?;
        let known = ids.iter().filter_map(|id| Some((*id, addresses.get(id)?)));
        let calls = known.map(async |(id, address)| match self.admin(address, TELL) {
            Ok(node) => call(node, id).await.unwrap_or_else(|error| Some(error.to_string())),
            Err(error) => Some(error.to_string()),
        });
        Ok(join_all(calls.collect::<Vec<_>>()).await.into_iter().flatten().collect())
    }

    /// Rounds until the change is over. `see` is shown each look and what was done after it.
    pub async fn drive(&self, within: Duration, mut see: impl FnMut(&Look, &Turn)) -> Result<(), DriveError> {
        let begun = Instant::now();
        loop {
            let look = self.look().await?;
            let turn = self.turn(&look).await?;
            see(&look, &turn);
            let state = match turn {
                Turn::Done => return Ok(()),
                Turn::Acted(words) if words.is_empty() => None,
                Turn::Acted(words) => Some(words.join("; ")),
                Turn::Waiting(waiting) => Some(waiting.to_string()),
            };
            if begun.elapsed() >= within {
                let state = state.unwrap_or_else(|| look.record.stamp().to_string());
                return Err(DriveError::Late { within, state });
            }
            if state.is_some() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
