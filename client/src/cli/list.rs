//! `list` and `export`: the keys of a cluster, and what they hold.

use std::process::ExitCode;

use bytes::Bytes;
use dynamo_client::{Client, ListOptions, Listed, ReadOptions, Value};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value as Json, json};

use crate::args::{Common, Export, List, Output};
use crate::fail::{FAILED, Fail, Outcome, refused};
use crate::out;
use crate::text::{add, base64, readable};

/// Keys that are read at a time.
const CHUNK: usize = 200;

pub(crate) async fn list(common: &Common, args: &List) -> Outcome {
    let client = common.client().await?;
    let options = ListOptions { partition: args.partition, deleted: args.deleted, ..under(&args.prefix) };
    let mut keys = client.list(options).take(args.limit.unwrap_or(usize::MAX));
    while let Some(listed) = keys.try_next().await.map_err(refused)? {
        match common.output {
            Output::Text => out::line(line(&listed))?,
            Output::Json => out::line(to_json(&listed))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn export(common: &Common, args: &Export) -> Outcome {
    let client = common.client().await?;
    let mut chunks = client.list(under(&args.prefix)).try_chunks(CHUNK);
    while let Some(chunk) = chunks.next().await {
        // The keys before an error are exported, and then it is told.
        let (chunk, failed) = match chunk {
            Ok(chunk) => (chunk, None),
            Err(why) => (why.0, Some(why.1)),
        };
        read(&client, &chunk).await?;
        if let Some(failed) = failed {
            return Err(refused(failed));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads these keys and prints one line of JSON for each that is still there.
async fn read(client: &Client, listed: &[Listed]) -> Result<(), Fail> {
    let keys: Vec<Bytes> = listed.iter().map(|one| one.key.clone()).collect();
    for (key, found) in keys.iter().zip(client.get_many(&keys, &ReadOptions::default()).await) {
        let found = found.map_err(|why| Fail {
            message: format!("{} cannot be read, so the export ends here: {why}", readable(key)),
            code: FAILED,
        })?;
        if !found.is_absent() {
            out::line(exported(key, &found))?;
        }
    }
    Ok(())
}

fn under(prefix: &str) -> ListOptions {
    ListOptions { prefix: Bytes::copy_from_slice(prefix.as_bytes()), ..ListOptions::default() }
}

/// The key as `get` takes it, and a word where it is not one value.
fn line(listed: &Listed) -> String {
    let mut line = match readable(&listed.key) {
        text if text.contains(['\n', '\t']) => format!("base64:{}", base64(&listed.key)),
        text => text,
    };
    match listed.siblings {
        0 => line.push_str("  (deleted)"),
        1 if listed.tombstones == 0 => {}
        1 => line.push_str("  (1 version beside a delete)"),
        several => add(&mut line, format_args!("  ({several} versions)")),
    }
    line
}

fn to_json(listed: &Listed) -> Json {
    json!({
        "key": std::str::from_utf8(&listed.key).ok(),
        "key_base64": base64(&listed.key),
        "versions": listed.siblings,
        "tombstones": listed.tombstones,
    })
}

fn exported(key: &[u8], found: &Value) -> Json {
    let version = |sibling: &dynamo_client::Sibling| {
        json!({
            "value_base64": base64(&sibling.value),
            "written_at_ms": sibling.written_at_ms,
            "expires_at_ms": sibling.expires_at_ms,
        })
    };
    json!({
        "key_base64": base64(key),
        "versions": found.siblings.iter().map(version).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &'static [u8], siblings: u32, tombstones: u32) -> Listed {
        Listed { key: Bytes::from_static(key), siblings, tombstones }
    }

    #[test]
    fn one_line_a_key_with_what_is_unusual_of_it() {
        assert_eq!(line(&listed(b"anna", 1, 0)), "anna");
        assert_eq!(line(&listed(b"anna", 2, 1)), "anna  (2 versions)");
        assert_eq!(line(&listed(b"anna", 1, 1)), "anna  (1 version beside a delete)");
        assert_eq!(line(&listed(b"anna", 0, 1)), "anna  (deleted)");
        assert_eq!(line(&listed(b"a\nb", 1, 0)), "base64:YQpi", "a key is one line");
        assert_eq!(to_json(&listed(&[0xff], 1, 0))["key"], Json::Null);
    }

    #[test]
    fn an_export_has_every_version() {
        let sibling = |value: &'static str| dynamo_client::Sibling {
            value: value.into(),
            written_at_ms: 5,
            expires_at_ms: None,
        };
        let found = Value { siblings: vec![sibling("a"), sibling("b")], ..Value::default() };
        let json = exported(b"k", &found);
        assert_eq!(
            (json["key_base64"].as_str(), json["versions"][1]["value_base64"].as_str()),
            (Some("aw=="), Some("Yg=="))
        );
    }
}
