//! `dynamo-node` as a process: how it starts, how it refuses to, how it ends, and what others see of one that is frozen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dynamo_proto::v1::admin_client::AdminClient;
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_proto::v1::{NodeStatus, PutRequest, SetLayoutRequest, StatusRequest};
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
    address: String,
    directory: Option<TempDir>,
}

const ANYWHERE: &str = "127.0.0.1:0";

fn command(directory: &Path) -> Command {
    let token = directory.join("token");
    std::fs::write(&token, "s3cret").unwrap();
    command_with(ANYWHERE, &directory.join("data"), &token)
}

fn command_with(listen: &str, data: &Path, token: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynamo-node"));
    command
        .args(["--name=cart-0", "--http=127.0.0.1:0", "--reserve-bytes=0"])
        .arg(format!("--listen={listen}"))
        .arg(format!("--data-dir={}", data.display()))
        .arg(format!("--admin-token-file={}", token.display()))
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts one, and reads from its log where it listens.
    fn start(directory: TempDir) -> Self {
        let mut child = command(directory.path()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it had started");
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if event["message"] == "started" {
                break event["grpc"].as_str().unwrap().to_owned();
            }
        };
        Self { child, log, address, directory: Some(directory) }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and returns what it still had to say.
    fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.log.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    async fn status(&self) -> NodeStatus {
        let mut request = tonic::Request::new(StatusRequest {});
        request.metadata_mut().insert("authorization", "Bearer s3cret".parse().unwrap());
        AdminClient::new(self.channel()).status(request).await.unwrap().into_inner()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it says when it does not start: the exit code and the one line of the error.
fn refusal(mut command: Command) -> (Option<i32>, String) {
    let ended = command.output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    let last = said.lines().last().unwrap_or_default();
    let event: serde_json::Value = serde_json::from_str(last).unwrap();
    (ended.status.code(), event["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_start_that_cannot_be_says_why_and_what_to_do() {
    let running = Process::start(tempfile::tempdir().unwrap());
    let theirs = running.directory.as_ref().unwrap().path();
    let fresh = tempfile::tempdir().unwrap();
    let here = |name: &str| fresh.path().join(name);
    std::fs::write(here("token"), "s3cret").unwrap();
    std::fs::write(here("empty"), "\n").unwrap();
    let (token, data) = (here("token"), here("data"));
    let in_use = theirs.join("data");
    let no_directory = here("token").join("data");
    let cases = [
        (
            command_with(&running.address, &data, &token),
            format!("cannot listen on {} (", running.address),
            "free it or give another with --listen",
        ),
        (
            command_with(ANYWHERE, &in_use, &token),
            format!("{} is in use by another process", in_use.display()),
            "give another directory with --data-dir",
        ),
        (
            command_with(ANYWHERE, &no_directory, &token),
            format!("the data directory {} cannot be used (", no_directory.display()),
            "check that it is mounted and writable by this user",
        ),
        (
            command_with(ANYWHERE, &data, &here("nowhere")),
            format!("the token file {} cannot be read (", here("nowhere").display()),
            "mount the cluster's token there",
        ),
        (
            command_with(ANYWHERE, &data, &here("empty")),
            format!("the token file {} is empty", here("empty").display()),
            "put the cluster's token there",
        ),
    ];
    for (command, begins, remedy) in cases {
        let (code, message) = refusal(command);
        assert_eq!(code, Some(1), "{message}");
        assert!(message.starts_with(&begins) && message.ends_with(remedy), "{message}");
    }
}

#[test]
fn sigterm_ends_it_cleanly_and_the_next_start_knows() {
    let mut process = Process::start(tempfile::tempdir().unwrap());
    process.signal("TERM");
    let directory = process.directory.take().unwrap();
    let (status, said) = process.end();
    assert!(status.success(), "{said}");
    assert!(said.contains("\"message\":\"stopped\""), "{said}");

    let mut child = command(directory.path()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let opened = log.find(|line| line.as_ref().unwrap().contains("data directory is open")).unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(opened.contains("\"was_clean\":true"), "{opened}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_member_is_noticed_within_seconds_and_writes_go_on_meanwhile() {
    let mut members = Vec::new();
    let mut processes = Vec::new();
    for i in 0..3 {
        let process = Process::start(tempfile::tempdir().unwrap());
        let node_id = NodeId(process.status().await.node_id[..].try_into().unwrap());
        let (name, address) = (format!("cart-{i}"), process.address.clone());
        members.push(Member { name, node_id, zone: String::new(), address, weight: 1 });
        processes.push(process);
    }
    let layout = plan::first(&members, Partitions::new(16).unwrap(), 3, ClusterId([7; 16])).unwrap();
    let record = Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap();
    for process in &processes {
        let record = record.to_json().into();
        let mut request = tonic::Request::new(SetLayoutRequest { record, ..SetLayoutRequest::default() });
        request.metadata_mut().insert("authorization", "Bearer s3cret".parse().unwrap());
        AdminClient::new(process.channel()).set_layout(request).await.unwrap();
    }
    let [a, _, frozen] = &processes[..] else { unreachable!() };
    connected(a, 2, Duration::from_secs(10)).await;

    frozen.signal("STOP");
    let begun = Instant::now();
    let mut kv = KvClient::new(a.channel());
    let mut writes = 0u32;
    while a.status().await.connected.len() == 2 {
        assert!(begun.elapsed() < Duration::from_secs(6), "not noticed");
        let key = Bytes::from(format!("k{writes}"));
        let asked = Instant::now();
        kv.put(PutRequest { key, value: Bytes::from_static(b"v"), ..PutRequest::default() }).await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(2), "the two others are enough");
        writes += 1;
    }
    assert!(writes > 0);
    frozen.signal("CONT");
    connected(a, 2, Duration::from_secs(10)).await;
    let until = Instant::now() + Duration::from_secs(15);
    while frozen.status().await.keys < u64::from(writes) || a.status().await.hints > 0 {
        assert!(Instant::now() < until, "what it missed has not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn connected(process: &Process, others: usize, within: Duration) {
    let until = Instant::now() + within;
    while process.status().await.connected.len() != others {
        assert!(Instant::now() < until, "not connected");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
