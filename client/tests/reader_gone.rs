//! Whoever reads what `dynamoctl` prints may have seen enough and be gone (`| head`): then it ends, quietly and well.

#![allow(clippy::unwrap_used)] // a panic is the report

mod support;

use std::process::{Command, Output, Stdio};

use support::cluster;
use tempfile::TempDir;

/// Runs it with these words; its standard output, or its standard error too, goes into a pipe that nobody reads.
fn run(words: &[&str], seed: &str, home: &TempDir, errors_too: bool) -> Output {
    let nobody = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynamoctl"));
    command.args(words).env_clear().env("DYNAMO_SEEDS", seed);
    command.env("HOME", home.path()).env("XDG_STATE_HOME", home.path());
    command.stdin(Stdio::null()).stdout(nobody()).stderr(if errors_too { nobody() } else { Stdio::piped() });
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_prints_ends_quietly_when_its_reader_has_gone() {
    let (nodes, _serving, _record) = cluster(3).await;
    let (seed, home) = (nodes[0].address.to_string(), TempDir::new().unwrap());
    let folder = home.path().join("dev");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("dev.json"), r#"{"base_port":7070,"partitions":64,"n":3}"#).unwrap();
    let folder = folder.display().to_string();
    let commands: [&[&str]; 10] = [
        &["ring", "show", "--partitions"],
        &["ring", "show", "--key", "anna"],
        &["ring", "show", "-o", "json"],
        &["status"],
        &["get", "anna"],
        &["get", "anna", "--raw"],
        &["put", "anna", "one"],
        &["delete", "anna", "-o", "json"],
        &["list"],
        &["dev", "scale", "5", "--dir", &folder],
    ];
    for words in commands {
        let (words, seed) = (words.to_vec(), seed.clone());
        let ended = tokio::task::block_in_place(|| run(&words, &seed, &home, false));
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""), "dynamoctl {words:?}");
    }
    // What goes wrong is told by the number, whether or not anybody reads the words.
    let ended = tokio::task::block_in_place(|| run(&["ring", "plan"], &seed, &home, true));
    assert_eq!(ended.status.code(), Some(2));
    let ended =
        tokio::task::block_in_place(|| run(&["dev", "scale", "1", "--dir", &folder], &seed, &home, true));
    assert_eq!(ended.status.code(), Some(2));
}
