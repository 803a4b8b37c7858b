//! `inspect`: what each replica of a key holds by itself, without a quorum's help.

use std::process::ExitCode;
use std::time::Duration;

use dynamo_client::{Admin, AdminError};
use dynamo_proto::v1::InspectReply;
use dynamo_ring::{Member, Position};
use futures::future::join_all;
use serde_json::{Value as Json, json};

use crate::args::{Common, Inspect, Output};
use crate::fail::Outcome;
use crate::key::key;
use crate::ring::record;
use crate::text::{add, base64, hex, human, readable};

/// How long one replica may take.
const ASK: Duration = Duration::from_secs(5);

type Answer = Result<InspectReply, AdminError>;

pub(crate) async fn run(common: &Common, args: &Inspect) -> Outcome {
    let (key, token) = (key(&args.key)?, common.need_token()?);
    let record = record(&common.client().await?)?;
    let partition = Position::of(&key).partition(record.stable().partitions());
    let holders: Vec<&Member> = record.view().holders(partition).collect();
    let asked = holders.iter().map(async |member| match Admin::new(&member.address, &token, ASK) {
        Ok(node) => node.inspect(&key).await,
        Err(error) => Err(error.into()),
    });
    let answers = join_all(asked.collect::<Vec<_>>()).await;
    let replicas: Vec<_> = holders.iter().map(|m| m.name.as_str()).zip(answers).collect();
    match common.output {
        Output::Json => println!("{}", to_json(partition.0, &replicas)),
        Output::Text => print!("partition {partition}\n\n{}", to_text(&replicas)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether all replicas answered, and hold the same.
fn alike(replicas: &[(&str, Answer)]) -> bool {
    let mut hashes = replicas.iter().map(|(_, answer)| answer.as_ref().ok().map(|reply| &reply.hash));
    let first = hashes.next().flatten();
    first.is_some() && hashes.all(|hash| hash == first)
}

fn to_text(replicas: &[(&str, Answer)]) -> String {
    let mut out = String::new();
    for (name, answer) in replicas {
        match answer {
            Err(error) => add(&mut out, format_args!("{name}: {error}\n")),
            Ok(reply) if !reply.found => add(&mut out, format_args!("{name}: nothing\n")),
            Ok(reply) => {
                add(&mut out, format_args!("{name}: hash {}\n", hex(&reply.hash)));
                for version in &reply.siblings {
                    let dot = version.dot.unwrap_or_default();
                    let what = if version.tombstone {
                        "deleted".to_owned()
                    } else {
                        format!("{}, {}", human(version.value.len() as u64), shortened(&version.value))
                    };
                    let dot = format!("{:016x}.{}:{}", dot.actor, dot.birth, dot.counter);
                    add(&mut out, format_args!("    {dot}  at {} ms  {what}\n", version.written_at_ms));
                }
                let seen =
                    reply.context.iter().map(|c| format!("{:016x}.{}:{}", c.actor, c.birth, c.counter));
                add(&mut out, format_args!("    has seen {}\n", seen.collect::<Vec<_>>().join(" ")));
            }
        }
    }
    out.push_str(if alike(replicas) { "\nall replicas hold the same\n" } else { "\nthe replicas differ\n" });
    out
}

/// The value's beginning, on one line.
fn shortened(value: &[u8]) -> String {
    const SHOWN: usize = 48;
    let text = readable(value);
    let mut line: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > SHOWN {
        line.push_str("...");
    }
    line
}

fn to_json(partition: u16, replicas: &[(&str, Answer)]) -> Json {
    let replica = |(name, answer): &(&str, Answer)| match answer {
        Err(error) => json!({"member": name, "error": error.to_string()}),
        Ok(reply) => {
            let siblings: Vec<Json> = reply
                .siblings
                .iter()
                .map(|v| {
                    let dot = v.dot.unwrap_or_default();
                    json!({
                        "actor": format!("{:016x}", dot.actor), "birth": dot.birth, "counter": dot.counter,
                        "tombstone": v.tombstone, "value_base64": base64(&v.value), "written_at_ms": v.written_at_ms,
                    })
                })
                .collect();
            json!({"member": name, "found": reply.found, "held": reply.held, "hash": hex(&reply.hash), "siblings": siblings})
        }
    };
    json!({
        "partition": partition,
        "alike": alike(replicas),
        "replicas": replicas.iter().map(replica).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use dynamo_proto::v1::{VersionInfo, WriterCount};

    use super::*;

    fn reply(value: &'static str) -> InspectReply {
        let dot = WriterCount { actor: 7, birth: 1, counter: 2 };
        let version = VersionInfo { dot: Some(dot), value: value.into(), ..VersionInfo::default() };
        InspectReply { found: true, siblings: vec![version], hash: value.into(), ..InspectReply::default() }
    }

    fn silent() -> Answer {
        Err(AdminError::Silent { address: "h:1".into(), reason: "gone".into() })
    }

    #[test]
    fn replicas_are_alike_only_if_all_answered_and_agree() {
        assert!(alike(&[("a", Ok(reply("x"))), ("b", Ok(reply("x")))]));
        assert!(!alike(&[("a", Ok(reply("x"))), ("b", Ok(reply("y")))]));
        assert!(!alike(&[("a", Ok(reply("x"))), ("b", silent())]));
        assert!(!alike(&[("a", silent()), ("b", silent())]));
    }

    #[test]
    fn dots_values_and_silence_are_shown() {
        let text = to_text(&[("a", Ok(reply("apple\n"))), ("b", silent())]);
        for part in
            ["a: hash", "0000000000000007.1:2", "6 B, apple ", "b: h:1 gave no answer: gone", "differ"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
