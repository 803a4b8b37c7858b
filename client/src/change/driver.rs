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
use super::report::{self, node_id};
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
        self.statuses.iter().map(|(id, status)| (*id, status.as_ref().and_then(report::report))).collect()
    }

    /// What is to be done next.
    ///
    /// Settling, and the noting of a fate, leave the stamp as it is, so that an acknowledgement does not show whether
    /// a member has heard of it. But a leaver retires only under a record that names it no more, and a client that
    /// asks a member takes a change for unfinished. So the end waits until everyone has the very record.
    pub fn next(&self) -> Next {
        let next = change::next(&self.record, &self.reports());
        match (&next, self.unheard()) {
            (Next::Done | Next::Retire(_), unheard) if !unheard.is_empty() => Next::Tell(unheard),
            _ => next,
        }
    }

    /// Those that answer, may still be told, and have another record than the one that stands. A node that has none takes
    /// no record that does not name it: one that an abandoned target named, and that was never told so, hears nothing
    /// more before it retires.
    fn unheard(&self) -> Vec<NodeId> {
        let named = |id: &NodeId| self.record.layouts().any(|layout| layout.names(id));
        let differs = |id: &NodeId, status: &proto::NodeStatus| match report::record(status) {
            _ if status.stage() == proto::Stage::Retired => false,
            Some(None) => named(id),
            has => has != Some(Some(self.record.clone())),
        };
        let answered = self.statuses.iter().filter_map(|(id, status)| Some((id, status.as_ref()?)));
        answered.filter(|(id, status)| differs(id, status)).map(|(id, _)| *id).collect()
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
                let cluster = look.record.cluster_id();
                let retire = async |node: Admin, id| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::form::tests::{member, record};

    fn sent(record: &Record) -> proto::Stamp {
        let hash = record.id().hash.as_bytes().to_vec().into();
        proto::Stamp { epoch: record.stamp().epoch, step: record.step() as u32 + 1, hash }
    }

    /// Everyone has acknowledged and done all of `has`, which is what each of them has on disk.
    fn look(record: &Record, has: &Record) -> Look {
        let status = |id: NodeId| proto::NodeStatus {
            node_id: id.as_bytes().to_vec().into(),
            stage: proto::Stage::Serving.into(),
            record: has.to_json().into(),
            acked: Some(sent(has)),
            hand_over: Some(proto::HandOver { committed: Some(sent(has)), done: true, ..Default::default() }),
            ..proto::NodeStatus::default()
        };
        let statuses = change::to_ask(record).map(|id| (id, Some(status(id)))).collect();
        Look { record: record.clone(), statuses }
    }

    fn shrunk() -> Record {
        let three: Vec<_> = (0..3).map(member).collect();
        let proposed = record(4).propose(&three).unwrap();
        proposed.freeze().unwrap().switch().unwrap().commit().unwrap()
    }

    #[test]
    fn who_has_not_heard_of_the_end_is_told_before_anyone_retires() {
        let committed = shrunk();
        let settled = committed.settle().unwrap();
        let all: Vec<_> = (0..4).map(|i| member(i).node_id).collect();
        assert_eq!(look(&settled, &committed).next(), Next::Tell(all));
        assert_eq!(look(&settled, &settled).next(), Next::Retire(vec![member(3).node_id]));
    }

    #[test]
    fn the_end_is_over_when_all_have_the_very_record() {
        let settled = shrunk().settle().unwrap();
        let over = settled.retired(&member(3).node_id).unwrap();
        let three: Vec<_> = (0..3).map(|i| member(i).node_id).collect();
        assert_eq!(look(&over, &settled).next(), Next::Tell(three));
        assert_eq!(look(&over, &over).next(), Next::Done);
    }

    #[test]
    fn a_node_that_an_abandoned_target_named_and_nobody_told_holds_up_no_end() {
        let five: Vec<_> = (0..5).map(member).collect();
        let four: Vec<_> = (0..4).map(member).collect();
        let abandoned = record(4).propose(&five).unwrap().propose(&four).unwrap();
        let settled = abandoned.freeze().unwrap().switch().unwrap().commit().unwrap().settle().unwrap();
        let mut look = look(&settled, &settled);
        let outsider = look.statuses.get_mut(&member(4).node_id).unwrap().as_mut().unwrap();
        outsider.record = bytes::Bytes::new();
        outsider.acked = None;
        outsider.hand_over = None;
        outsider.set_stage(proto::Stage::Dormant);
        assert_eq!(look.next(), Next::Retire(vec![member(4).node_id]));
    }

    #[test]
    fn a_node_that_has_retired_is_told_nothing_more() {
        let settled = shrunk().settle().unwrap();
        let mut look = look(&settled, &settled);
        let leaver = look.statuses.get_mut(&member(3).node_id).unwrap().as_mut().unwrap();
        leaver.record = shrunk().to_json().into();
        leaver.set_stage(proto::Stage::Retired);
        assert!(
            matches!(look.next(), Next::Write(next) if *next == settled.retired(&member(3).node_id).unwrap())
        );
    }
}
