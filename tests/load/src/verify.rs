//! Reads every acknowledged write back: through the store, and from each replica that the layout names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynamo_client::{Admin, Client, ReadOptions, Token};
use dynamo_ring::{Layout, NodeId, Position, Record};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::history::missing;
use crate::holdings;
use crate::journal::Acknowledged;
use crate::value::{Mark, key};

/// Requests that are under way at one time.
const AT_ONCE: usize = 64;
/// Between two looks at what has not settled yet.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one replica may take to answer about one key.
const INSPECT: Duration = Duration::from_secs(5);
/// So many keys are named in a report.
const SAMPLE: usize = 20;

/// How to look.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Ask each replica too, with this token.
    pub every_replica: Option<Token>,
    /// How long hints, repairs and hand-over may take to bring everything where it belongs.
    pub settle: Duration,
}

/// The verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Keys with at least one acknowledged write.
    pub keys: u64,
    /// Acknowledged writes.
    pub acknowledged: u64,
    /// Keys of which every acknowledged write was found, or causally covered.
    pub found: u64,
    /// Keys of which one was not.
    pub lost: u64,
    /// Keys that could not be read at all. Neither found nor lost.
    pub unread: u64,
    /// Values whose checksum or key was wrong.
    pub corrupt: u64,
    /// A few of the keys that were not found, and what was missing.
    pub lost_keys: Vec<String>,
    /// Replicas asked directly: one for each key and each member that the layout gives it to.
    pub replicas_checked: u64,
    /// Of those, the ones that lacked an acknowledged write or did not answer.
    pub replicas_wrong: u64,
    /// A few of them.
    pub wrong_replicas: Vec<String>,
    /// The holders of each partition have one Merkle root. Not asked for, not claimed.
    pub roots_equal: bool,
    /// Epoch of the layout that was looked at.
    pub epoch: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Nothing lost, and all replicas alike if they were asked.
    pub fn passed(&self, every_replica: bool) -> bool {
        let store = self.lost == 0 && self.found == self.keys && self.corrupt == 0;
        store && (!every_replica || (self.roots_equal && self.replicas_wrong == 0))
    }
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no cluster, or none that has a layout.
    #[error("the cluster has no layout yet: there is nothing to verify")]
    NoLayout,
    /// It cannot be reached.
    #[error(transparent)]
    Client(#[from] dynamo_client::Error),
}

/// What came of looking at one key in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Whole,
    Missing(Vec<u64>),
    Corrupt,
    Unread(String),
}

/// Verifies. `progress` is told what is being done, for a person who waits.
pub async fn run(
    client: &Client,
    journal: &Acknowledged,
    plan: &Plan,
    progress: impl Fn(&str),
) -> Result<Report, VerifyError> {
    let begun = Instant::now();
    let record = settled(client, plan.settle).await?;
    let mut report = Report {
        keys: journal.keys.len() as u64,
        acknowledged: journal.writes(),
        epoch: record.stable().epoch(),
        ..Report::default()
    };
    if let Some(token) = &plan.every_replica {
        progress("comparing Merkle roots");
        report.roots_equal = roots_equal(&record, token, plan.settle, &progress).await;
    }
    progress(&format!("reading {} keys", report.keys));
    through_the_store(client, journal, plan.settle, &mut report).await;
    if let Some(token) = &plan.every_replica {
        progress(&format!("asking every replica of {} keys", report.keys));
        at_each_replica(&record, journal, token, plan.settle, &mut report).await?;
    }
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// The record once no change is under way, or as it is when `patience` has run out.
async fn settled(client: &Client, patience: Duration) -> Result<Arc<Record>, VerifyError> {
    let until = Instant::now() + patience;
    loop {
        let record = client.refresh().await?.ok_or(VerifyError::NoLayout)?;
        if record.settled() || Instant::now() >= until {
            return Ok(record);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn roots_equal(record: &Record, token: &Token, patience: Duration, progress: impl Fn(&str)) -> bool {
    let until = Instant::now() + patience;
    loop {
        let state = match holdings::ask(record, token).await {
            Ok(copies) => match holdings::unequal(record, &copies).as_slice() {
                [] => return true,
                some => format!("{} partitions differ, the first is {}", some.len(), some[0]),
            },
            Err(error) => error.to_string(),
        };
        if Instant::now() >= until {
            progress(&state);
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn through_the_store(client: &Client, journal: &Acknowledged, settle: Duration, report: &mut Report) {
    let until = Instant::now() + settle;
    let look = async |(&index, acknowledged): (&u64, &Vec<u64>)| {
        let name = key(&journal.prefix, index);
        let seen = again(until, async || match client.get(name.as_bytes(), &ReadOptions::default()).await {
            Ok(value) => judge(index, acknowledged, value.siblings.iter().map(|s| s.value.as_ref())),
            Err(error) => Seen::Unread(error.to_string()),
        });
        (name.clone(), seen.await)
    };
    let mut looks = stream::iter(journal.keys.iter().map(look)).buffer_unordered(AT_ONCE);
    while let Some((name, seen)) = looks.next().await {
        match &seen {
            Seen::Whole => report.found += 1,
            Seen::Missing(_) => report.lost += 1,
            Seen::Corrupt => report.corrupt += 1,
            Seen::Unread(_) => report.unread += 1,
        }
        if seen != Seen::Whole && report.lost_keys.len() < SAMPLE {
            report.lost_keys.push(format!("{name}: {}", words(&seen)));
        }
    }
}

async fn at_each_replica(
    record: &Record,
    journal: &Acknowledged,
    token: &Token,
    settle: Duration,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let layout = record.stable();
    let mut nodes: BTreeMap<NodeId, Admin> = BTreeMap::new();
    for member in layout.members() {
        nodes.insert(member.node_id, Admin::new(&member.address, token, INSPECT)?);
    }
    let until = Instant::now() + settle;
    let copies = journal.keys.iter().flat_map(|(&index, acknowledged)| {
        let name = key(&journal.prefix, index);
        let holders: Vec<NodeId> = holders(layout, name.as_bytes());
        holders.into_iter().map(move |holder| (index, acknowledged, holder))
    });
    let look = async |(index, acknowledged, holder): (u64, &Vec<u64>, NodeId)| {
        let name = key(&journal.prefix, index);
        let seen = again(until, async || {
            let Some(node) = nodes.get(&holder) else { return Seen::Unread("no such member".into()) };
            match node.inspect(name.as_bytes(), u32::MAX).await {
                Ok(reply) => {
                    let values = reply.siblings.iter().filter(|s| !s.tombstone).map(|s| s.value.as_ref());
                    judge(index, acknowledged, values)
                }
                Err(error) => Seen::Unread(error.to_string()),
            }
        });
        (name.clone(), holder, seen.await)
    };
    let mut looks = stream::iter(copies.map(look)).buffer_unordered(AT_ONCE);
    while let Some((name, holder, seen)) = looks.next().await {
        report.replicas_checked += 1;
        if seen != Seen::Whole {
            report.replicas_wrong += 1;
            if report.wrong_replicas.len() < SAMPLE {
                let member = layout.member(&holder).map_or("?", |m| m.name.as_str());
                report.wrong_replicas.push(format!("{name} on {member}: {}", words(&seen)));
            }
        }
    }
    Ok(())
}

fn holders(layout: &Layout, key: &[u8]) -> Vec<NodeId> {
    layout.holders(Position::of(key).partition(layout.partitions())).map(|member| member.node_id).collect()
}

/// Looks until what is seen is whole, or the time is over: a sloppy read may be behind, a hint may be on its way.
async fn again(until: Instant, look: impl AsyncFn() -> Seen) -> Seen {
    loop {
        let seen = look().await;
        if seen == Seen::Whole || Instant::now() >= until {
            return seen;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn judge<'a>(index: u64, acknowledged: &[u64], values: impl Iterator<Item = &'a [u8]>) -> Seen {
    let marks: Result<Vec<Mark>, _> = values.map(Mark::read).collect();
    match marks {
        Ok(marks) if marks.iter().all(|mark| mark.index == index) => match missing(acknowledged, &marks) {
            none if none.is_empty() => Seen::Whole,
            some => Seen::Missing(some),
        },
        _ => Seen::Corrupt,
    }
}

fn words(seen: &Seen) -> String {
    match seen {
        Seen::Whole => "whole".into(),
        Seen::Missing(sequences) => format!("acknowledged writes {sequences:?} are missing"),
        Seen::Corrupt => "a value is not what was written".into(),
        Seen::Unread(error) => format!("could not be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        Report {
            keys: 2,
            acknowledged: 3,
            found: 2,
            roots_equal: true,
            replicas_checked: 6,
            ..Report::default()
        }
    }

    #[test]
    fn each_of_these_alone_is_a_failure() {
        assert!(good().passed(true) && good().passed(false));
        assert!(!Report { lost: 1, ..good() }.passed(false));
        assert!(!Report { found: 1, ..good() }.passed(false), "not read is not found");
        assert!(!Report { corrupt: 1, ..good() }.passed(false));
        assert!(!Report { replicas_wrong: 1, ..good() }.passed(true));
        assert!(!Report { roots_equal: false, ..good() }.passed(true));
        assert!(Report { roots_equal: false, ..good() }.passed(false));
    }

    #[test]
    fn a_key_is_judged_by_all_its_acknowledged_writes() {
        let value = |index, sequence, covers| Mark { writer: 0, index, sequence, covers }.value(64);
        let judge = |values: &[bytes::Bytes]| judge(7, &[1, 2], values.iter().map(AsRef::as_ref));
        assert_eq!(judge(&[value(7, 2, 1)]), Seen::Whole);
        assert_eq!(judge(&[value(7, 3, 1)]), Seen::Missing(vec![2]));
        assert_eq!(judge(&[]), Seen::Missing(vec![1, 2]));
        assert_eq!(judge(&[value(8, 2, 1)]), Seen::Corrupt, "another key's value");
        assert_eq!(judge(&[bytes::Bytes::from_static(b"junk")]), Seen::Corrupt);
    }

    #[tokio::test]
    async fn what_is_behind_gets_time_to_settle() {
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let look = async || match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Seen::Missing(vec![1]),
            _ => Seen::Whole,
        };
        assert_eq!(again(Instant::now() + Duration::from_secs(5), look).await, Seen::Whole);
        let never = async || Seen::Missing(vec![1]);
        assert_eq!(again(Instant::now(), never).await, Seen::Missing(vec![1]));
    }
}
