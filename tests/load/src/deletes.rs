//! Deletes the keys of a load, and looks for them afterwards: through the store, and on each replica that the layout
//! names.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dynamo_client::{Admin, Client, ReadOptions, Token, WriteOptions};
use dynamo_ring::{NodeId, Position, Record};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::value::key;
use crate::verify::VerifyError;

/// Requests that are under way at one time.
const AT_ONCE: usize = 32;
/// Between two attempts, and between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one replica may take to answer about one key.
const INSPECT: Duration = Duration::from_secs(5);
/// So many keys are named in a report.
const SAMPLE: usize = 20;

/// What is left of keys that were deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Keys that were looked for.
    pub keys: u64,
    /// Keys that read as present.
    pub present: u64,
    /// Replicas asked directly: one for each key and each member that the layout gives it to.
    pub replicas_checked: u64,
    /// Replicas that have a value.
    pub replicas_present: u64,
    /// Replicas that have tombstones and no value: not reaped yet.
    pub replicas_marked: u64,
    /// Reads and replicas that gave no answer: neither present nor absent.
    pub unread: u64,
    /// A few of those that are not as they should be.
    pub sample: Vec<String>,
}

impl Absence {
    /// Nothing that was deleted is there; with `reaped` not even a tombstone.
    pub const fn passed(&self, reaped: bool) -> bool {
        let absent = self.present == 0 && self.replicas_present == 0 && self.unread == 0;
        absent && (!reaped || self.replicas_marked == 0)
    }
}

/// Deletes the first `keys` keys of `prefix`, each again until it reads as absent or `within` has passed. Returns how
/// many do not.
pub async fn delete(client: &Client, prefix: &str, keys: u64, within: Duration) -> u64 {
    let until = Instant::now() + within;
    let work = (0..keys).map(async |index| {
        let name = key(prefix, index);
        loop {
            if let Ok(value) = client.get(name.as_bytes(), &ReadOptions::default()).await {
                if value.siblings.is_empty() {
                    return 0;
                }
                // Whether or not it is acknowledged: the next look decides.
                let _ = client.delete(name.as_bytes(), &value.context, &WriteOptions::default()).await;
            }
            if Instant::now() >= until {
                return 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    stream::iter(work).buffer_unordered(AT_ONCE).fold(0, async |left, one: u64| left + one).await
}

/// Looks for the first `keys` keys of `prefix` until nothing is left (with `reaped` not even tombstones) or `within`
/// has passed.
pub async fn look(
    client: &Client,
    token: &Token,
    prefix: &str,
    keys: u64,
    reaped: bool,
    within: Duration,
) -> Result<Absence, VerifyError> {
    let until = Instant::now() + within;
    loop {
        let record = client.refresh().await?.ok_or(VerifyError::NoLayout)?;
        let absence = once(client, &record, token, prefix, keys).await?;
        if absence.passed(reaped) || Instant::now() >= until {
            return Ok(absence);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(
    client: &Client,
    record: &Record,
    token: &Token,
    prefix: &str,
    keys: u64,
) -> Result<Absence, VerifyError> {
    let layout = record.stable();
    let mut nodes: BTreeMap<NodeId, Admin> = BTreeMap::new();
    for member in layout.members() {
        nodes.insert(member.node_id, Admin::new(&member.address, token, INSPECT)?);
    }
    let nodes = &nodes;
    let one = async |index: u64| {
        let name = key(prefix, index);
        let mut seen = Absence { keys: 1, ..Absence::default() };
        match client.get(name.as_bytes(), &ReadOptions::default()).await {
            Ok(value) if value.siblings.is_empty() => {}
            Ok(_) => {
                seen.present = 1;
                seen.sample.push(format!("{name} reads as present"));
            }
            Err(_) => seen.unread += 1,
        }
        for member in layout.holders(Position::of(name.as_bytes()).partition(layout.partitions())) {
            seen.replicas_checked += 1;
            let Some(node) = nodes.get(&member.node_id) else { continue };
            match node.inspect(name.as_bytes(), 0).await {
                Ok(reply) if reply.siblings.is_empty() => {}
                Ok(reply) if reply.siblings.iter().all(|sibling| sibling.tombstone) => {
                    seen.replicas_marked += 1;
                }
                Ok(_) => {
                    seen.replicas_present += 1;
                    seen.sample.push(format!("{name} is on {}", member.name));
                }
                Err(_) => seen.unread += 1,
            }
        }
        seen
    };
    let looks = stream::iter((0..keys).map(one)).buffer_unordered(AT_ONCE);
    Ok(looks.fold(Absence::default(), async |all, one| all.and(one)).await)
}

impl Absence {
    fn and(mut self, other: Self) -> Self {
        self.keys += other.keys;
        self.present += other.present;
        self.replicas_checked += other.replicas_checked;
        self.replicas_present += other.replicas_present;
        self.replicas_marked += other.replicas_marked;
        self.unread += other.unread;
        self.sample.extend(other.sample);
        self.sample.truncate(SAMPLE);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_these_alone_is_a_failure() {
        let good = Absence { keys: 2, replicas_checked: 6, ..Absence::default() };
        assert!(good.passed(true) && good.passed(false));
        assert!(!Absence { present: 1, ..good.clone() }.passed(false));
        assert!(!Absence { replicas_present: 1, ..good.clone() }.passed(false));
        assert!(!Absence { unread: 1, ..good.clone() }.passed(false), "not read is not absent");
        let marked = Absence { replicas_marked: 1, ..good };
        assert!(marked.passed(false) && !marked.passed(true), "a tombstone is no value, and not reaped");
    }

    #[test]
    fn a_report_names_a_few_only() {
        let one = |name: &str| Absence { present: 1, sample: vec![name.into()], ..Absence::default() };
        let all = (0..50).fold(Absence::default(), |all, i| all.and(one(&i.to_string())));
        assert_eq!((all.present, all.sample.len()), (50, SAMPLE));
    }
}
