//! `status`: the whole cluster on one screen, and what to do next.

use std::process::ExitCode;

use dynamo_client::change::Look;
use dynamo_client::change::report::node_id;
use dynamo_proto::v1::{HeardOf, NodeStatus};
use dynamo_ring::change::{Next, Waiting};
use dynamo_ring::{NodeId, Record};
use serde_json::{Value as Json, json};

use crate::args::{Common, Output};
use crate::fail::Outcome;
use crate::look::look;
use crate::out;
use crate::progress::Sum;
use crate::ring::record;
use crate::text::{add, human, span, table};

pub(crate) async fn run(common: &Common) -> Outcome {
    let record = record(&common.client().await?)?;
    let Some(token) = common.token()? else {
        out::print(heading(&record))?;
        out::line("for what the members hold and do, give the cluster's token: --token-file FILE")?;
        return Ok(ExitCode::SUCCESS);
    };
    let look = look(&record, &token).await;
    match common.output {
        Output::Json => out::line(to_json(&look))?,
        Output::Text => out::print(screen(&look))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn heading(record: &Record) -> String {
    let quorum = record.quorum();
    let what = match record.target() {
        Some(target) => {
            format!("moving to {} members, step {:?}", target.layout.members().len(), record.step())
        }
        None if record.settled() => "settled".into(),
        None => "handing over".into(),
    };
    format!(
        "cluster {}\n{} members, {} partitions, n={} r={} w={}, epoch {}: {what}\n\n",
        record.cluster_id(),
        record.stable().members().len(),
        record.stable().partitions(),
        quorum.n,
        quorum.r,
        quorum.w,
        record.stamp().epoch,
    )
}

fn screen(look: &Look) -> String {
    let record = &look.record;
    let mut out = heading(record);
    let mut members: Vec<_> = record.view().members().collect();
    members.sort_by(|a, b| (&a.zone, &a.name).cmp(&(&b.zone, &b.name)));
    let heads = [
        "ZONE",
        "MEMBER",
        "STAGE",
        "PARTITIONS",
        "KEYS",
        "STORED",
        "HINTS",
        "PEERS",
        "SUSPECTED BY",
        "ADDRESS",
        "NODE ID",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for member in members {
        let zone = if member.zone.is_empty() { "-".into() } else { member.zone.clone() };
        let status = look.statuses.get(&member.node_id).and_then(Option::as_ref);
        let mut row = vec![zone, member.name.clone()];
        match status {
            None => row.extend(["no answer", "-", "-", "-", "-", "-"].map(str::to_owned)),
            Some(s) => row.extend([
                format!("{:?}", s.stage()).to_lowercase(),
                s.partitions_held.to_string(),
                s.keys.to_string(),
                human(s.stored_bytes),
                hints(s),
                s.connected.len().to_string(),
            ]),
        }
        row.push(suspecting(look, member.node_id).map_or_else(|| "-".into(), |names| names.join(", ")));
        row.push(told_address(look, member.node_id).unwrap_or_else(|| "-".into()));
        row.push(member.node_id.to_string());
        rows.push(row);
    }
    out.push_str(&table(&rows));
    if let Some(sum) = Sum::of(look) {
        add(&mut out, format_args!("\nmove: {}\n", sum.text()));
    }
    add(&mut out, format_args!("\n{}\n", advice(look)));
    out
}

/// What every member that answers has heard of `of`, with the member's own node id.
fn heard_of(look: &Look, of: NodeId) -> impl Iterator<Item = (NodeId, &HeardOf)> {
    look.statuses.iter().filter_map(move |(id, status)| {
        let heard = status.as_ref()?.heard_of.iter().find(|heard| node_id(&heard.node_id) == Some(of))?;
        Some((*id, heard))
    })
}

/// Who suspects a member, by name; nothing if nobody does.
fn suspecting(look: &Look, of: NodeId) -> Option<Vec<String>> {
    let by: Vec<_> = heard_of(look, of).filter(|(_, heard)| heard.suspected).map(|(id, _)| id).collect();
    (!by.is_empty()).then(|| names(look, &by))
}

/// Where a member says that it is, beside its name: itself, or as the others heard of its latest start.
fn told_address(look: &Look, of: NodeId) -> Option<String> {
    let own = look.statuses.get(&of).and_then(Option::as_ref).and_then(|status| status.introduction.as_ref());
    let heard = heard_of(look, of).filter_map(|(_, heard)| heard.introduction.as_ref());
    let latest = own.into_iter().chain(heard).max_by_key(|told| (told.process, told.version))?;
    (!latest.addresses.is_empty()).then(|| latest.addresses.join(", "))
}

/// The members' names.
fn names(look: &Look, ids: &[NodeId]) -> Vec<String> {
    let name = |id: &NodeId| {
        let named = look.record.named().iter().find(|n| n.node_id == *id);
        named.map_or_else(|| id.to_string(), |n| n.name.clone())
    };
    ids.iter().map(name).collect()
}

fn hints(status: &NodeStatus) -> String {
    match status.hints {
        0 => "0".into(),
        some => format!("{some}, oldest {}", span(status.oldest_hint_age_ms)),
    }
}

/// One line: what is missing, or that nothing is.
pub(crate) fn advice(look: &Look) -> String {
    let names = |ids: &[NodeId]| names(look, ids).join(", ");
    let hints: u64 = look.statuses.values().flatten().map(|s| s.hints).sum();
    match look.next() {
        Next::Done if hints > 0 => {
            format!("next: nothing; {hints} hints are on their way to members that were away")
        }
        Next::Done => "next: nothing; all is well".into(),
        Next::Tell(ids) => format!("next: the operator, or the driver, tells the layout to {}", names(&ids)),
        Next::Write(record) if record.settled() => {
            "next: the operator, or the driver, notes that it is over".into()
        }
        Next::Write(record) => format!("next: the operator, or the driver, writes {}", record.stamp()),
        Next::Retire(ids) => format!("next: {} can retire, and then be stopped", names(&ids)),
        Next::Wait(Waiting::Unreachable(ids)) => {
            format!(
                "next: bring back {}; if the disk of one is gone for ever, say so: dynamoctl node lost",
                names(&ids)
            )
        }
        Next::Wait(Waiting::Syncing { members, .. }) => format!("next: wait while {} copy", names(&members)),
        Next::Wait(Waiting::HandingOver(ids)) => format!("next: wait while {} hand over", names(&ids)),
        Next::Wait(Waiting::TargetNamesLost(ids)) => {
            format!("next: choose members without {}, which are lost", names(&ids))
        }
        Next::Wait(waiting @ Waiting::NoLivingCopy(_)) => {
            format!("next: bring back a disk that holds them: {waiting}")
        }
    }
}

fn to_json(look: &Look) -> Json {
    let record = &look.record;
    let member = |m: &dynamo_ring::Member| {
        let status = look.statuses.get(&m.node_id).and_then(Option::as_ref);
        json!({
            "name": m.name, "node_id": m.node_id.to_string(), "zone": m.zone, "address": m.address,
            "answers": status.is_some(),
            "stage": status.map(|s| format!("{:?}", s.stage()).to_lowercase()),
            "partitions": status.map(|s| s.partitions_held), "keys": status.map(|s| s.keys),
            "stored_bytes": status.map(|s| s.stored_bytes), "hints": status.map(|s| s.hints),
            "told_address": told_address(look, m.node_id),
            "suspected_by": suspecting(look, m.node_id).unwrap_or_default(),
        })
    };
    json!({
        "cluster_id": record.cluster_id().to_string(),
        "epoch": record.stamp().epoch,
        "step": format!("{:?}", record.step()),
        "settled": record.settled(),
        "members": record.view().members().map(member).collect::<Vec<_>>(),
        "move": Sum::of(look).map(|sum| sum.json()),
        "next": advice(look),
    })
}

#[cfg(test)]
mod tests {
    use dynamo_proto::v1::{Introduction, TargetProgress};

    use super::*;
    use crate::scenes::{look, members, node_id as id, record, stamp};

    fn settled() -> Record {
        record(3, 8)
    }

    #[test]
    fn a_well_cluster_says_so() {
        let text = screen(&look(&settled()));
        assert!(text.contains("settled") && text.ends_with("next: nothing; all is well\n"), "{text}");
        let zones: Vec<_> = text.lines().filter(|l| l.starts_with("zone-")).map(|l| &l[..6]).collect();
        assert_eq!(zones, ["zone-0", "zone-0", "zone-1"], "by zone");
    }

    #[test]
    fn a_silent_member_is_named_with_what_to_do() {
        let mut look = look(&settled());
        look.statuses.insert(id(1), None);
        let text = screen(&look);
        assert!(text.contains("no answer") && text.contains("bring back m-1"), "{text}");
    }

    #[test]
    fn who_is_suspected_by_whom_and_where_it_said_it_was_is_shown() {
        let mut look = look(&settled());
        let heard = |process, address: &str, suspected| HeardOf {
            node_id: id(1).0.to_vec().into(),
            introduction: Some(Introduction { process, version: 1, addresses: vec![address.to_owned()] }),
            suspected,
            ..HeardOf::default()
        };
        look.statuses.insert(id(1), None);
        for (n, heard) in [(0, heard(3, "10.0.0.3:7070", true)), (2, heard(2, "10.0.0.2:7070", false))] {
            look.statuses.get_mut(&id(n)).unwrap().as_mut().unwrap().heard_of = vec![heard];
        }
        let text = screen(&look);
        let row = text.lines().find(|line| line.contains(" m-1 ")).unwrap();
        assert!(row.contains(" m-0 ") && row.contains("10.0.0.3:7070"), "{text}");
        assert!(!text.contains("10.0.0.2:7070"), "of its latest start: {text}");
        assert_eq!(to_json(&look)["members"][1]["suspected_by"], json!(["m-0"]));
    }

    #[test]
    fn a_move_shows_its_progress() {
        let proposed = settled().propose(&members(4)).unwrap();
        let mut look = look(&proposed);
        let progress = TargetProgress {
            target: Some(stamp(&proposed)),
            partitions_wanted: 6,
            partitions_synced: 2,
            bytes_wanted: 4 << 20,
            bytes_pulled: 1 << 20,
            bytes_per_second: Some(1 << 20),
            left_ms: Some(3000),
            ..TargetProgress::default()
        };
        look.statuses.get_mut(&id(3)).unwrap().as_mut().unwrap().target = Some(progress);
        let text = screen(&look);
        assert!(text.contains("moving to 4 members, step Proposed"), "{text}");
        assert!(
            text.contains("2 of 6 partitions synced, 1.0 MiB of 4.0 MiB copied, 1.0 MiB/s, 3 s left"),
            "{text}"
        );
        assert!(text.contains("wait while"), "{text}");
    }
}
