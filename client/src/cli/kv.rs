//! `get`, `put`, `delete`.

use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dynamo_client::{Client, Context, ReadOptions, Value, WriteOptions, Written};
use serde_json::{Value as Json, json};

use crate::args::{Common, Delete, Get, Output, Put, WriteArgs};
use crate::fail::{ABSENT, Fail, Outcome, refused};
use crate::key::{key, value};
use crate::out;
use crate::remembered::{Remembered, folder};
use crate::text::{add, base64, readable};

pub(crate) async fn get(common: &Common, args: &Get) -> Outcome {
    let key = key(&args.key)?;
    let client = common.client().await?;
    let options = ReadOptions {
        r: args.r,
        strict: args.strict,
        allow_partial: args.allow_partial,
        ..ReadOptions::default()
    };
    let read = client.get(&key, &options).await.map_err(refused)?;
    remembered(&client).keep(&key, &read.context);
    if args.raw {
        return raw(&read);
    }
    match common.output {
        Output::Json => out::line(read_json(&read))?,
        Output::Text => out::print(read_text(&read))?,
    }
    Ok(if read.is_absent() { ExitCode::from(ABSENT) } else { ExitCode::SUCCESS })
}

pub(crate) async fn put(common: &Common, args: &Put) -> Outcome {
    let (key, value) = (key(&args.key)?, value(&args.value)?);
    let client = common.client().await?;
    let context = context(&client, &key, &args.write.context)?;
    let written = client
        .put(&key, value, &context, &WriteOptions { ttl: args.ttl, ..options(&args.write) })
        .await
        .map_err(refused)?;
    say_written(common, &client, &key, &written)
}

pub(crate) async fn delete(common: &Common, args: &Delete) -> Outcome {
    let key = key(&args.key)?;
    let client = common.client().await?;
    let context = context(&client, &key, &args.write.context)?;
    let written = client.delete(&key, &context, &options(&args.write)).await.map_err(refused)?;
    say_written(common, &client, &key, &written)
}

fn options(args: &WriteArgs) -> WriteOptions {
    WriteOptions { w: args.w, strict: args.strict, ttl: None, deadline: None }
}

fn remembered(client: &Client) -> Remembered {
    Remembered::of(&folder(), client.layout().map(|record| record.cluster_id()))
}

fn context(client: &Client, key: &[u8], given: &str) -> Result<Context, Fail> {
    match given {
        "none" => Ok(Context::default()),
        "last" => remembered(client).last(key),
        text => match STANDARD.decode(text) {
            Ok(bytes) => Ok(Context(bytes.into())),
            Err(e) => Err(Fail::usage(format!(
                "the context `{text}` is not base64 ({e}): give one as `get` prints it, or last, or none"
            ))),
        },
    }
}

fn say_written(common: &Common, client: &Client, key: &[u8], written: &Written) -> Outcome {
    match &written.context {
        Some(context) => remembered(client).keep(key, context),
        // A write with the old context would go beside the others once more.
        None => remembered(client).forget(key),
    }
    match common.output {
        Output::Json => out::line(written_json(written))?,
        Output::Text => out::print(written_text(written))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn raw(read: &Value) -> Outcome {
    let Some(value) = read.single() else {
        let count = read.siblings.len();
        return match count {
            0 => Ok(ExitCode::from(ABSENT)),
            _ => Err(Fail::usage(format!(
                "the key has {count} versions, and --raw prints one: get it without --raw, and write what is right with --context last"
            ))),
        };
    };
    out::bytes(value)?;
    Ok(ExitCode::SUCCESS)
}

fn read_text(read: &Value) -> String {
    let members = format!(
        "{} member{} answered{}, epoch {}",
        read.answered,
        if read.answered == 1 { "" } else { "s" },
        if read.sloppy { ", stand-ins among them" } else { "" },
        read.epoch
    );
    let mut out = String::new();
    match read.siblings.as_slice() {
        [] => add(&mut out, format_args!("absent ({members})\n")),
        [one] => add(&mut out, format_args!("{}\n\n{members}\n", readable(&one.value))),
        several => {
            add(
                &mut out,
                format_args!(
                    "{} versions, written concurrently; the next write with this context replaces all of them\n",
                    several.len()
                ),
            );
            for (at, sibling) in several.iter().enumerate() {
                add(
                    &mut out,
                    format_args!(
                        "\n[{}] written at {} ms\n{}\n",
                        at + 1,
                        sibling.written_at_ms,
                        readable(&sibling.value)
                    ),
                );
            }
            add(&mut out, format_args!("\n{members}\n"));
        }
    }
    if read.tombstones > 0 {
        add(&mut out, format_args!("a concurrent delete stands beside ({})\n", read.tombstones));
    }
    if read.expired > 0 {
        add(&mut out, format_args!("past their time to live and not shown: {}\n", read.expired));
    }
    if !read.context.is_empty() {
        add(&mut out, format_args!("context {}\n", base64(&read.context.0)));
    }
    out
}

fn read_json(read: &Value) -> Json {
    let siblings: Vec<Json> = read
        .siblings
        .iter()
        .map(|s| json!({"value_base64": base64(&s.value), "text": std::str::from_utf8(&s.value).ok(), "written_at_ms": s.written_at_ms, "expires_at_ms": s.expires_at_ms}))
        .collect();
    json!({
        "siblings": siblings, "context": base64(&read.context.0), "answered": read.answered,
        "sloppy": read.sloppy, "epoch": read.epoch, "tombstones": read.tombstones, "expired": read.expired,
    })
}

fn written_text(written: &Written) -> String {
    let mut out = format!(
        "written to {} members{}, epoch {}\n",
        written.answered,
        if written.sloppy { ", stand-ins among them" } else { "" },
        written.epoch
    );
    match &written.context {
        Some(context) => add(&mut out, format_args!("context {}\n", base64(&context.0))),
        None => add(
            &mut out,
            format_args!(
                "{} versions stand side by side: get the key, and write what is right with --context last\n",
                written.siblings
            ),
        ),
    }
    out
}

fn written_json(written: &Written) -> Json {
    json!({
        "context": written.context.as_ref().map(|c| base64(&c.0)), "answered": written.answered,
        "sloppy": written.sloppy, "epoch": written.epoch, "siblings": written.siblings,
    })
}

#[cfg(test)]
mod tests {
    use dynamo_client::Sibling;

    use super::*;

    fn sibling(value: &'static str) -> Sibling {
        Sibling { value: value.into(), written_at_ms: 5, expires_at_ms: None }
    }

    #[test]
    fn siblings_are_shown_one_by_one_with_what_to_do() {
        let read = Value {
            siblings: vec![sibling("apple"), sibling("pear")],
            context: Context(b"c"[..].into()),
            answered: 2,
            epoch: 7,
            ..Value::default()
        };
        let text = read_text(&read);
        for part in ["2 versions", "[1]", "apple", "[2]", "pear", "replaces all", "context Yw=="] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(read_json(&read)["siblings"][1]["text"], "pear");
        assert!(raw(&read).is_err(), "one of two is not the value");
    }

    #[test]
    fn absence_is_said_in_words() {
        assert!(
            read_text(&Value { answered: 2, ..Value::default() }).starts_with("absent (2 members answered")
        );
    }

    #[test]
    fn a_write_beside_others_says_how_to_go_on() {
        let beside = Written { siblings: 2, answered: 2, ..Written::default() };
        assert!(written_text(&beside).contains("--context last"));
        assert_eq!(written_json(&beside)["context"], Json::Null);
    }
}
