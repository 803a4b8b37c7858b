//! Real nodes in one process: real disks in temporary directories, real sockets on the loopback address.

#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use dynamo_node::config::Config;
use dynamo_node::log::{self, LogFormat};
use dynamo_node::server::{Node, StartError};
use dynamo_proto::v1::admin_client::AdminClient;
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_proto::v1::{
    DeleteRequest, GetRequest, GetResponse, NodeStatus, PutRequest, PutResponse, SetLayoutRequest,
    StatusRequest,
};
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Position, Quorum, Record, plan};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub const TOKEN: &str = "s3cret";

/// One member: its directory, its address, and its process while it runs.
pub struct Pod {
    pub name: String,
    pub node_id: NodeId,
    pub address: SocketAddr,
    pub http: SocketAddr,
    directory: TempDir,
    process: Option<Process>,
    flags: Vec<String>,
}

/// A node on threads of its own, so that its end takes everything along that it began, as the end of a process does.
struct Process {
    node: Node,
    runtime: Runtime,
}

/// Some members and the layout that they were formed with.
pub struct Wired {
    pub pods: Vec<Pod>,
    pub record: Record,
}

impl Pod {
    async fn new(name: String, flags: &[&str]) -> Self {
        // Silent unless asked for.
        if std::env::var_os("RUST_LOG").is_some() {
            log::start(LogFormat::Text, None);
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), TOKEN).unwrap();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let node_id = NodeId([0; 16]);
        let mut pod =
            Self { name, node_id, address: anywhere, http: anywhere, directory, process: None, flags };
        pod.start().await;
        let status = pod.status().await;
        pod.node_id = NodeId(status.node_id[..].try_into().unwrap());
        pod
    }

    /// One that no layout names.
    pub async fn dormant() -> Self {
        Self::new("alone".to_owned(), &[]).await
    }

    /// One that is to become the member of this ordinal.
    pub async fn joining(ordinal: usize) -> Self {
        Self::new(format!("cart-{ordinal}"), &[]).await
    }

    /// The same, with flags of its own.
    pub async fn joining_with(ordinal: usize, flags: &[&str]) -> Self {
        Self::new(format!("cart-{ordinal}"), flags).await
    }

    /// As a layout names it.
    pub fn member(&self) -> Member {
        Member {
            name: self.name.clone(),
            node_id: self.node_id,
            zone: String::new(),
            address: self.address.to_string(),
            weight: 1,
        }
    }

    pub fn config(&self) -> Config {
        let directory: &Path = self.directory.path();
        let mut args = vec![
            "dynamo-node".to_owned(),
            format!("--name={}", self.name),
            format!("--listen={}", self.address),
            format!("--http={}", self.http),
            format!("--data-dir={}", directory.join("data").display()),
            format!("--admin-token-file={}", directory.join("token").display()),
            // The volume of the machine that tests run on may be nearly full.
            "--reserve-bytes=0".to_owned(),
        ];
        args.extend(self.flags.iter().cloned());
        Config::try_parse_from(args).unwrap()
    }

    /// Starts it again, at the address it had.
    pub async fn start(&mut self) {
        self.try_start().await.unwrap();
    }

    /// The same, where it may refuse.
    pub async fn try_start(&mut self) -> Result<(), StartError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let node = match runtime.spawn(Node::start(self.config())).await.unwrap() {
            Ok(node) => node,
            Err(why) => {
                end(runtime).await;
                return Err(why);
            }
        };
        (self.address, self.http) = (node.grpc(), node.http());
        self.process = Some(Process { node, runtime });
        Ok(())
    }

    /// A copy of its volume, as a backup takes it.
    pub fn copy_data(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&self.directory.path().join("data"), copy.path());
        copy
    }

    /// Puts its volume back to a copy.
    pub fn put_back(&self, copy: &TempDir) {
        self.wipe();
        copy_folder(copy.path(), &self.directory.path().join("data"));
    }

    /// Gives it another, empty volume.
    pub fn wipe(&self) {
        std::fs::remove_dir_all(self.directory.path().join("data")).unwrap();
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(&mut self) {
        let Process { node, runtime } = self.process.take().unwrap();
        runtime.spawn(node.stop()).await.unwrap().unwrap();
        end(runtime).await;
    }

    /// Ends it as SIGKILL does.
    pub async fn crash(&mut self) {
        let Process { node, runtime } = self.process.take().unwrap();
        runtime.spawn(node.crash()).await.unwrap();
        end(runtime).await;
    }

    pub fn is_ready(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.node.is_ready())
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    pub fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel())
    }

    pub fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel())
    }

    pub async fn status(&self) -> NodeStatus {
        self.admin().status(shown(StatusRequest {})).await.unwrap().into_inner()
    }

    pub async fn set_layout(&self, record: &Record) {
        let request = SetLayoutRequest { record: record.to_json().into(), ..SetLayoutRequest::default() };
        self.admin().set_layout(shown(request)).await.unwrap();
    }

    pub async fn put(&self, request: PutRequest) -> Result<PutResponse, Status> {
        self.kv().put(request).await.map(tonic::Response::into_inner)
    }

    pub async fn get(&self, key: &str) -> GetResponse {
        self.kv().get(get(key)).await.unwrap().into_inner()
    }

    /// Plain HTTP, as a probe or Prometheus asks it.
    pub async fn http_get(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn end(runtime: Runtime) {
    tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
}

impl Drop for Pod {
    fn drop(&mut self) {
        // A runtime may not be waited for where tasks run.
        if let Some(Process { runtime, .. }) = self.process.take() {
            runtime.shutdown_background();
        }
    }
}

impl Wired {
    /// So many members, formed, connected and ready; three replicas, two answers.
    pub async fn form(count: usize, flags: &[&str]) -> Self {
        let mut pods = Vec::new();
        for i in 0..count {
            pods.push(Pod::new(format!("cart-{i}"), flags).await);
        }
        let members: Vec<Member> = pods.iter().map(Pod::member).collect();
        let layout = plan::first(&members, Partitions::new(16).unwrap(), 3, ClusterId([7; 16])).unwrap();
        let record = Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap();
        for pod in &pods {
            pod.set_layout(&record).await;
        }
        let wired = Self { pods, record };
        wired.connected().await;
        wired
    }

    /// Waits until every running pod is connected to every other one.
    pub async fn connected(&self) {
        let running: Vec<_> = self.pods.iter().filter(|pod| pod.process.is_some()).collect();
        for pod in &running {
            eventually("all are connected", async || pod.status().await.connected.len() == running.len() - 1)
                .await;
        }
    }

    /// The pods that hold `key`, the owner of its token first, and then those that do not.
    pub fn holders_first(&self, key: &str) -> Vec<usize> {
        let layout = self.record.stable();
        let partition = Position::of(key.as_bytes()).partition(layout.partitions());
        let place = |id: NodeId| self.pods.iter().position(|pod| pod.node_id == id).unwrap();
        layout.preference_list(partition).iter().map(|member| place(member.node_id)).collect()
    }
}

pub fn shown<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    request
}

pub fn put(key: &str, value: &str) -> PutRequest {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    PutRequest { key, value, ..PutRequest::default() }
}

pub fn get(key: &str) -> GetRequest {
    GetRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..GetRequest::default() }
}

pub fn delete(key: &str, context: Bytes) -> DeleteRequest {
    DeleteRequest { key: Bytes::copy_from_slice(key.as_bytes()), context, ..DeleteRequest::default() }
}

/// The values of an answer, sorted.
pub fn values(answer: &GetResponse) -> Vec<String> {
    let text = |sibling: &dynamo_proto::v1::Sibling| String::from_utf8(sibling.value.to_vec()).unwrap();
    let mut values: Vec<_> = answer.siblings.iter().map(text).collect();
    values.sort();
    values
}

/// Waits until something holds, for a few seconds at most.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(15);
    while !holds().await {
        assert!(Instant::now() < until, "not within 15 s: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
