//! `explain`: where a key lies, whom a request asks, and what each of them holds by itself, without a quorum's help.

use std::process::ExitCode;
use std::time::Duration;

use dynamo_client::{Admin, AdminError};
use dynamo_proto::v1::{InspectReply, VersionInfo, WriterCount};
use dynamo_ring::{Member, Partition, Position, Record};
use futures::future::join_all;
use serde_json::{Value as Json, json};

use crate::args::{Common, Explain, Output};
use crate::fail::Outcome;
use crate::key::key;
use crate::out;
use crate::ring::record;
use crate::text::{add, base64, hex, human, readable};

/// How long one member may take.
const ASK: Duration = Duration::from_secs(5);

type Answer = Result<InspectReply, AdminError>;

/// What part a member has in the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It holds the key in the stable layout.
    Holder,
    /// It is to hold the key in the target.
    Coming,
    /// It stands in for those that cannot be reached.
    StandIn,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Holder => "holds it",
            Self::Coming => "is to hold it",
            Self::StandIn => "stands in",
        }
    }
}

/// A member, and what it said.
struct Asked<'a> {
    member: &'a Member,
    part: Part,
    answer: Answer,
}

pub(crate) async fn run(common: &Common, args: &Explain) -> Outcome {
    let (key, token) = (key(&args.key)?, common.need_token()?);
    let record = record(&common.client().await?)?;
    let position = Position::of(&key);
    let members = members(&record, position.partition(record.stable().partitions()));
    let answers = members.iter().map(async |(member, _)| match Admin::new(&member.address, &token, ASK) {
        Ok(node) => node.inspect(&key, 0).await,
        Err(error) => Err(error.into()),
    });
    let answers = join_all(answers.collect::<Vec<_>>()).await;
    let asked = members.into_iter().zip(answers);
    let asked: Vec<_> = asked.map(|((member, part), answer)| Asked { member, part, answer }).collect();
    match common.output {
        Output::Json => out::line(to_json(&record, &key, &asked))?,
        Output::Text => out::print(to_text(&record, &key, &asked))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Every member in the order in which it is asked for the partition: holders, those that are to hold it, stand-ins.
fn members(record: &Record, partition: Partition) -> Vec<(&Member, Part)> {
    let part = |member: &&Member| match member.node_id {
        node if record.stable().holds(&node, partition) => Part::Holder,
        node if record.view().holds(&node, partition) => Part::Coming,
        _ => Part::StandIn,
    };
    let stable = record.stable().preference_list(partition);
    let mut members: Vec<&Member> = stable.holders().collect();
    for member in record.view().holders(partition).chain(stable.fallbacks()) {
        if members.iter().all(|known| known.node_id != member.node_id) {
            members.push(member);
        }
    }
    members.iter().map(|member| (*member, part(member))).collect()
}

/// Whether all that hold the key in the stable layout answered, and hold the same.
fn alike(asked: &[Asked<'_>]) -> bool {
    let holders = asked.iter().filter(|one| one.part == Part::Holder);
    let mut hashes = holders.map(|one| one.answer.as_ref().ok().map(|reply| &reply.hash));
    let first = hashes.next().flatten();
    first.is_some() && hashes.all(|hash| hash == first)
}

fn to_text(record: &Record, key: &[u8], asked: &[Asked<'_>]) -> String {
    let position = Position::of(key);
    let q = record.stable().partitions();
    let partition = position.partition(q);
    let names = |part: Part| {
        let names = asked.iter().filter(|one| one.part == part).map(|one| one.member.name.as_str());
        names.collect::<Vec<_>>().join(" ")
    };
    let mut out = String::new();
    add(&mut out, format_args!("key         {}\n", shortened(key)));
    add(&mut out, format_args!("position    {}\n", hex(position.as_bytes())));
    add(&mut out, format_args!("partition   {partition} of {q}, layout {}\n", record.id()));
    add(&mut out, format_args!("held by     {}\n", names(Part::Holder)));
    if record.target().is_some() {
        add(&mut out, format_args!("is to go to {}\n", names(Part::Coming)));
    }
    add(&mut out, format_args!("stand-ins   {}\n\n", names(Part::StandIn)));
    for one in asked {
        member(&mut out, one, asked);
    }
    let holders = asked.iter().filter(|one| one.part == Part::Holder);
    let found = holders.clone().any(|one| one.answer.as_ref().is_ok_and(|reply| reply.found));
    out.push_str(match (alike(asked), found) {
        (true, true) => "\nall that hold it hold the same\n",
        (true, false) => "\nnone of those that hold it knows the key\n",
        (false, _) => "\nthose that hold it differ, or did not all answer; a read brings them together\n",
    });
    out
}

fn member(out: &mut String, Asked { member, part, answer }: &Asked<'_>, all: &[Asked<'_>]) {
    let head = format!("{} ({})", member.name, part.word());
    let reply = match answer {
        Err(error) => return add(out, format_args!("{head}: {error}\n")),
        // Whoever has nothing to do with the key is not worth a line.
        Ok(reply) if !reply.found && reply.owed.is_empty() && *part == Part::StandIn => return,
        Ok(reply) if !reply.found => return add(out, format_args!("{head}: nothing\n")),
        Ok(reply) => reply,
    };
    let leaf = match (reply.leaf.is_empty(), reply.leaf == reply.hash) {
        (true, _) => ", in no tree".to_owned(),
        (false, true) => ", as in its tree".to_owned(),
        (false, false) => format!(", but its tree has {}", hex(&reply.leaf)),
    };
    add(out, format_args!("{head}: {}, hash {}{leaf}\n", human(reply.stored_bytes), hex(&reply.hash)));
    for version in &reply.siblings {
        add(out, format_args!("    {}\n", version_line(version)));
    }
    let seen = reply.context.iter().map(dot).collect::<Vec<_>>();
    add(out, format_args!("    has seen {}\n", seen.join(" ")));
    for owed in &reply.owed {
        let named = all.iter().find(|one| one.member.node_id.as_bytes()[..] == owed[..]);
        let name = named.map_or_else(|| hex(owed), |one| one.member.name.clone());
        add(out, format_args!("    keeps a hint: owes it to {name}\n"));
    }
}

fn version_line(version: &VersionInfo) -> String {
    let what = if version.tombstone {
        "deleted".to_owned()
    } else {
        format!("{}, {}", human(version.value_bytes), shortened(&version.value))
    };
    let until = version.expires_at_ms.map(|at| format!(", until {at} ms")).unwrap_or_default();
    let dot = dot(&version.dot.unwrap_or_default());
    format!("{dot}  at {} ms{until}  {what}", version.written_at_ms)
}

fn dot(dot: &WriterCount) -> String {
    format!("{:016x}.{}:{}", dot.actor, dot.birth, dot.counter)
}

/// The beginning, on one line.
fn shortened(value: &[u8]) -> String {
    const SHOWN: usize = 48;
    let text = readable(value);
    let mut line: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > SHOWN {
        line.push_str("...");
    }
    line
}

fn to_json(record: &Record, key: &[u8], asked: &[Asked<'_>]) -> Json {
    let position = Position::of(key);
    let version = |version: &VersionInfo| {
        json!({
            "dot": dot(&version.dot.unwrap_or_default()), "tombstone": version.tombstone,
            "value_bytes": version.value_bytes, "begins_base64": base64(&version.value),
            "written_at_ms": version.written_at_ms,
            "expires_at_ms": version.expires_at_ms,
        })
    };
    let one = |Asked { member, part, answer }: &Asked<'_>| match answer {
        Err(error) => json!({"member": member.name, "part": part.word(), "error": error.to_string()}),
        Ok(reply) => json!({
            "member": member.name,
            "part": part.word(),
            "found": reply.found,
            "held": reply.held,
            "hash": hex(&reply.hash),
            "leaf": hex(&reply.leaf),
            "stored_bytes": reply.stored_bytes,
            "siblings": reply.siblings.iter().map(version).collect::<Vec<_>>(),
            "context": reply.context.iter().map(dot).collect::<Vec<_>>(),
            "owed": reply.owed.iter().map(|node| hex(node)).collect::<Vec<_>>(),
        }),
    };
    json!({
        "position": hex(position.as_bytes()),
        "partition": position.partition(record.stable().partitions()).0,
        "alike": alike(asked),
        "members": asked.iter().map(one).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, NodeId, Partitions, Quorum, plan};

    use super::*;

    fn record(members: u8) -> Record {
        let member = |i: u8| Member {
            name: format!("m-{i}"),
            node_id: NodeId([i; 16]),
            zone: String::new(),
            address: format!("h:{i}"),
            weight: 1,
        };
        let members: Vec<_> = (0..members).map(member).collect();
        let layout = plan::first(&members, Partitions::new(8).unwrap(), 3, ClusterId([0; 16])).unwrap();
        Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
    }

    fn reply(value: &'static str) -> InspectReply {
        let dot = WriterCount { actor: 7, birth: 1, counter: 2 };
        let value_bytes = value.len() as u64;
        let version =
            VersionInfo { dot: Some(dot), value: value.into(), value_bytes, ..VersionInfo::default() };
        let (hash, leaf) = (value.into(), value.into());
        InspectReply { found: true, siblings: vec![version], hash, leaf, ..InspectReply::default() }
    }

    fn silent() -> Answer {
        Err(AdminError::Silent { address: "h:1".into(), reason: "gone".into() })
    }

    fn partition(record: &Record) -> Partition {
        Position::of(b"anna").partition(record.stable().partitions())
    }

    /// The members of `record`, with these answers in their order, and nothing known by the rest.
    fn asked(record: &Record, answers: Vec<Answer>) -> Vec<Asked<'_>> {
        let answers = answers.into_iter().chain(std::iter::repeat_with(|| Ok(InspectReply::default())));
        let members = members(record, partition(record)).into_iter().zip(answers);
        members.map(|((member, part), answer)| Asked { member, part, answer }).collect()
    }

    #[test]
    fn every_member_has_its_part_once() {
        let stable = record(4);
        let parts: Vec<_> = members(&stable, partition(&stable)).iter().map(|(_, part)| *part).collect();
        assert_eq!(parts, [Part::Holder, Part::Holder, Part::Holder, Part::StandIn]);
        let next: Vec<_> = record(6).stable().members().to_vec();
        let moving = stable.propose(&next).unwrap();
        for partition in stable.stable().partitions().iter() {
            let parts = members(&moving, partition);
            let coming = parts.iter().filter(|(_, part)| *part == Part::Coming).count();
            let gains = moving.view().holders(partition).count() - 3;
            assert_eq!(coming, gains, "partition {partition}");
        }
    }

    #[test]
    fn replicas_are_alike_only_if_all_answered_and_agree() {
        let record = record(4);
        let same = || Ok(reply("x"));
        assert!(alike(&asked(&record, vec![same(), same(), same(), silent()])), "a stand-in does not count");
        assert!(!alike(&asked(&record, vec![same(), same(), Ok(reply("y"))])));
        assert!(!alike(&asked(&record, vec![same(), same(), silent()])));
        assert!(!alike(&asked(&record, vec![silent(), silent(), silent()])));
    }

    #[test]
    fn dots_values_hints_and_silence_are_shown() {
        let record = record(5);
        let holders = members(&record, partition(&record));
        let missing = holders[2].0;
        let node = bytes::Bytes::copy_from_slice(missing.node_id.as_bytes());
        let hint = InspectReply { owed: vec![node], leaf: bytes::Bytes::new(), ..reply("apple\n") };
        let answers = vec![Ok(reply("apple\n")), Ok(reply("apple\n")), silent(), Ok(hint)];
        let text = to_text(&record, b"anna", &asked(&record, answers));
        let owes = format!("keeps a hint: owes it to {}", missing.name);
        for part in [
            "key         anna",
            "0000000000000007.1:2",
            "6 B, apple ",
            "as in its tree",
            "(stands in): ",
            "in no tree",
            "h:1 gave no answer: gone",
            "differ",
            &owes,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains(&format!("{} (", holders[4].0.name)), "who has nothing is not shown: {text}");
    }

    #[test]
    fn a_key_that_nobody_knows_is_said_so() {
        let record = record(3);
        let text = to_text(&record, b"anna", &asked(&record, Vec::new()));
        assert!(text.contains("none of those that hold it knows the key"), "{text}");
    }
}
