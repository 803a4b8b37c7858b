//! `ring show` and `ring plan`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dynamo_client::change::form::{self, Candidate};
use dynamo_client::change::{Driver, Turn};
use dynamo_client::{Admin, Client, Token};
use dynamo_ring::{Member, Partition, Position, Record};
use futures::future::join_all;
use serde_json::json;

use crate::args::{Common, Output, Ring, RingCommand, RingPlan};
use crate::estimate::{Estimate, Rate, newcomers};
use crate::fail::{Fail, Outcome};
use crate::moves::Moves;
use crate::out;
use crate::text::{add, table};
use crate::watch;

/// How long a node that is to come may take to say who it is.
const ASK: Duration = Duration::from_secs(5);

pub(crate) async fn run(common: &Common, args: Ring) -> Outcome {
    match args.command {
        RingCommand::Show { key, partitions } => show(common, key.as_deref(), partitions).await,
        RingCommand::Watch(args) => watch::run(common, &args).await,
        RingCommand::Plan(plan) => change(common, &plan).await,
    }
}

/// The record, as some node of the cluster has it.
pub(crate) fn record(client: &Client) -> Result<Arc<Record>, Fail> {
    client.layout().ok_or_else(|| Fail {
        message: "the cluster has no layout yet: its nodes wait for the operator, or for `dynamoctl dev`, to form it".into(),
        code: crate::fail::FAILED,
    })
}

async fn show(common: &Common, key: Option<&str>, all: bool) -> Outcome {
    let record = record(&common.client().await?)?;
    match (common.output, key) {
        (Output::Json, _) => out::print(record.to_json())?,
        (Output::Text, Some(key)) => out::print(holders_of(&record, key))?,
        (Output::Text, None) => out::print(overview(&record, all))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn holders_of(record: &Record, key: &str) -> String {
    let position = Position::of(key.as_bytes());
    let partition = position.partition(record.stable().partitions());
    format!("{position:?} in partition {partition}\n{}\n", holders(record, partition))
}

fn holders(record: &Record, partition: Partition) -> String {
    let names = |layout: &dynamo_ring::Layout| {
        layout.holders(partition).map(|m| m.name.clone()).collect::<Vec<_>>().join(" ")
    };
    match record.target() {
        None => names(record.stable()),
        Some(target) => format!("{}  ->  {}", names(record.stable()), names(&target.layout)),
    }
}

fn overview(record: &Record, all: bool) -> String {
    let (stable, quorum) = (record.stable(), record.quorum());
    let mut out = format!(
        "cluster {}\nlayout {}, step {:?}; {} partitions, n={} r={} w={}\n\n",
        record.cluster_id(),
        record.id(),
        record.step(),
        stable.partitions(),
        quorum.n,
        quorum.r,
        quorum.w
    );
    let mut rows = vec![
        ["MEMBER", "ZONE", "WEIGHT", "REPLICAS", "TOKENS", "TARGET", "ADDRESS"].map(str::to_owned).to_vec(),
    ];
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    for Member { name, node_id, zone, address, weight } in record.view().members() {
        let target = record.target().map(|t| t.layout.partitions_of(node_id).count().to_string());
        rows.push(vec![
            name.clone(),
            or_dash(zone),
            weight.to_string(),
            stable.partitions_of(node_id).count().to_string(),
            stable.tokens_of(node_id).count().to_string(),
            target.unwrap_or_else(|| "-".into()),
            address.clone(),
        ]);
    }
    out.push_str(&table(&rows));
    if all {
        out.push('\n');
        for partition in stable.partitions().iter() {
            add(&mut out, format_args!("{partition:>5}  {}\n", holders(record, partition)));
        }
    }
    out
}

async fn change(common: &Common, plan: &RingPlan) -> Outcome {
    if plan.add.is_empty() && plan.remove.is_empty() {
        return Err(Fail::usage("nothing to change: give --add ADDRESS or --remove NAME"));
    }
    let token = common.need_token()?;
    let driver = plan.dir.as_ref().map(|folder| Driver::new(folder, token.clone()));
    // The record that is changed is the one that is written, and not what some node has heard of it.
    let record = match &driver {
        Some(driver) => driver.record()?.ok_or(dynamo_client::change::DriveError::NoRecord)?,
        None => Record::clone(&*record(&common.client().await?)?),
    };
    let members = wanted(&record, plan, &token).await?;
    let proposed = record.propose(&members)?;
    let target = proposed.target().map_or(proposed.stable(), |t| &t.layout);
    let moves = Moves::between(record.stable(), target);
    let estimate = if plan.dry_run { Some(estimate(&record, target, &token).await) } else { None };
    match common.output {
        Output::Json => {
            let estimate = estimate.map(|estimate| estimate.json());
            out::line(json!({"moves": moves.json(), "dry_run": plan.dry_run, "estimate": estimate}))?;
        }
        Output::Text => {
            out::print(moves.text())?;
            if let Some(estimate) = estimate {
                out::print(estimate.text())?;
            }
        }
    }
    if let (false, Some(driver)) = (plan.dry_run, driver) {
        driver.propose(&members)?;
        drive(&driver, Duration::from_secs(plan.within)).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the members of the stable layout say of sizes and rates; those that do not answer say nothing.
async fn estimate(record: &Record, target: &dynamo_ring::Layout, token: &Token) -> Estimate {
    let ask = record.stable().members().iter().map(async |member| {
        let node = Admin::new(&member.address, token, ASK).ok()?;
        Some((node.status().await.ok()?, node.holdings(&[]).await.ok()?))
    });
    let answers: Vec<_> = join_all(ask).await.into_iter().flatten().collect();
    let mut sizes: BTreeMap<Partition, u64> = BTreeMap::new();
    for holding in answers.iter().flat_map(|(_, holdings)| holdings) {
        if let Ok(partition) = u16::try_from(holding.partition) {
            let size = sizes.entry(Partition(partition)).or_default();
            *size = holding.bytes.max(*size);
        }
    }
    let paces = || answers.iter().filter_map(|(status, _)| status.copy_pace);
    let rate = Rate::of(
        paces().filter_map(|pace| pace.copied_bytes_per_second),
        paces().filter_map(|pace| pace.limit_bytes_per_second),
    );
    Estimate::new(record.stable(), target, &sizes, rate)
}

/// Drives the change to its end and says what is being done, each thing once.
pub(crate) async fn drive(driver: &Driver, within: Duration) -> Result<(), Fail> {
    let mut said = String::new();
    let see = |look: &dynamo_client::change::Look, turn: &Turn| {
        let now = match turn {
            Turn::Done => "settled: every member knows".to_owned(),
            Turn::Waiting(waiting) => format!("{}: {waiting}", look.record.stamp()),
            Turn::Acted(words) if words.is_empty() => return,
            Turn::Acted(words) => words.join("; "),
        };
        if now != said {
            out::tell_aside(&now);
            said = now;
        }
    };
    Ok(driver.drive(within, see).await?)
}

/// The members after the change. A node that comes is asked who it is.
async fn wanted(record: &Record, plan: &RingPlan, token: &Token) -> Result<Vec<Member>, Fail> {
    let mut members = record.current().members().to_vec();
    let count = |given: &str| given.parse::<usize>().ok();
    if !plan.dry_run && plan.add.iter().chain(&plan.remove).any(|given| count(given).is_some()) {
        return Err(Fail::usage(
            "a number of members is for --dry-run: name the nodes that come and the members that go",
        ));
    }
    for going in plan.remove.iter().filter_map(|given| count(given)) {
        let ordinal = |member: &Member| {
            let number = member.name.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok());
            (number, member.name.clone())
        };
        members.sort_by_key(ordinal);
        members.truncate(members.len().saturating_sub(going));
    }
    for name in plan.remove.iter().filter(|given| count(given).is_none()) {
        let before = members.len();
        members.retain(|member| member.name != *name);
        if members.len() == before {
            return Err(Fail::usage(format!("{name} is no member: `dynamoctl ring show` names them")));
        }
    }
    for coming in plan.add.iter().filter_map(|given| count(given)) {
        let come = newcomers(&members, coming);
        members.extend(come);
    }
    for given in plan.add.iter().filter(|given| count(given).is_none()) {
        let (address, zone) = given.split_once('@').unwrap_or((given, ""));
        let status = Admin::new(address, token, ASK)?.status().await?;
        let candidate = Candidate { address: address.into(), zone: zone.into(), status: Some(status) };
        members.push(form::member(&candidate)?);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, NodeId, Partitions, Quorum, plan};

    use super::*;

    fn record() -> Record {
        let member = |i: u8| Member {
            name: format!("m-{i}"),
            node_id: NodeId([i; 16]),
            zone: String::new(),
            address: format!("h:{i}"),
            weight: 1,
        };
        let members: Vec<_> = (0..4).map(member).collect();
        let first = plan::first(&members[..3], Partitions::new(8).unwrap(), 3, ClusterId([0; 16])).unwrap();
        Record::first(first, Quorum { n: 3, r: 2, w: 2 }).unwrap().propose(&members).unwrap()
    }

    #[test]
    fn a_change_shows_holders_before_and_after() {
        let record = record();
        let text = overview(&record, true);
        assert!(text.contains("step Proposed") && text.contains("m-3"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("->")).count(), 8);
        let newcomer = text.lines().find(|line| line.starts_with("m-3")).unwrap();
        assert_eq!(newcomer.split_whitespace().collect::<Vec<_>>(), ["m-3", "-", "1", "0", "0", "6", "h:3"]);
    }

    #[test]
    fn a_keys_holders_are_those_of_its_partition() {
        let record = record();
        let partition = Position::of(b"anna").partition(record.stable().partitions());
        assert!(holders_of(&record, "anna").contains(&format!("partition {partition}\n")));
    }
}
