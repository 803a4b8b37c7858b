//! The same bytes copied plainly: the same stream, in the same batches, as many partitions side by side. Once thrown away
//! as they come, and once written, as plain rows, into a store of the same kind, each batch on disk before the next is
//! asked for. No checksum, no merge, no Merkle tree, no comparison, no record of how far it has come.

use std::sync::mpsc;
use std::time::Instant;

use bytes::Bytes;
use dynamo_node::store::fjall::FjallOptions;
use dynamo_node::store::{FjallStore, Space, Store, StoreError, WriteBatch};
use dynamo_node::transfer::copy::ABREAST;
use dynamo_proto::v1::replica_client::ReplicaClient;
use dynamo_proto::v1::{Entry, PullRequest, Sender, Stamp};
use dynamo_ring::{NodeId, Partition, Partitions, Record};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};

use crate::error::{BenchError, io};

/// A batch may have this many bytes and an entry more.
const LARGEST: usize = 4 << 20;

/// How long plain copies took.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Plain {
    /// Bytes of keys and states.
    pub(crate) bytes: u64,
    /// Thrown away as they came.
    pub(crate) wire_seconds: f64,
    /// Written and synced.
    pub(crate) stored_seconds: f64,
}

/// Copies everything that this member holds from others that hold it too, in its name.
pub(crate) async fn copy(record: &Record, who: NodeId, q: Partitions) -> Result<Plain, BenchError> {
    let source = Source::new(record, who)?;
    let begun = Instant::now();
    let bytes = source.all(q, None).await?;
    let wire_seconds = begun.elapsed().as_secs_f64();
    let folder = tempfile::tempdir().map_err(io("a folder for the plain copy"))?;
    let (sink, writer) = Sink::open(FjallStore::open(folder.path(), FjallOptions::default())?);
    let begun = Instant::now();
    source.all(q, Some(&sink)).await?;
    let stored_seconds = begun.elapsed().as_secs_f64();
    drop(sink);
    // Nobody waits for it any more, and what it had to say it has said.
    let _ = writer.join();
    Ok(Plain { bytes, wire_seconds, stored_seconds })
}

/// Where the bytes come from.
struct Source<'a> {
    record: &'a Record,
    who: NodeId,
    sender: Sender,
    stamp: Stamp,
    channels: Vec<(NodeId, ReplicaClient<Channel>)>,
}

impl<'a> Source<'a> {
    fn new(record: &'a Record, who: NodeId) -> Result<Self, BenchError> {
        let others = record.stable().members().iter().filter(|member| member.node_id != who);
        let channel = |member: &dynamo_ring::Member| {
            let endpoint = Endpoint::from_shared(format!("http://{}", member.address))?
                .tcp_nodelay(true)
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(16 << 20);
            let client = ReplicaClient::new(endpoint.connect_lazy()).max_decoding_message_size(LARGEST);
            Ok::<_, BenchError>((member.node_id, client))
        };
        let stamp = record.stamp();
        Ok(Self {
            record,
            who,
            sender: Sender {
                cluster_id: record.cluster_id().as_bytes().to_vec().into(),
                node_id: who.as_bytes().to_vec().into(),
                ..Sender::default()
            },
            stamp: Stamp {
                epoch: stamp.epoch,
                step: stamp.step as u32 + 1,
                hash: record.id().hash.0.to_vec().into(),
            },
            channels: others.map(channel).collect::<Result<_, _>>()?,
        })
    }

    async fn all(&self, q: Partitions, sink: Option<&Sink>) -> Result<u64, BenchError> {
        let held = q.iter().filter(|partition| self.record.stable().holds(&self.who, *partition));
        let one = |partition: Partition| self.one(partition, sink);
        let copies = stream::iter(held.map(one)).buffer_unordered(ABREAST);
        copies.try_fold(0, |sum, bytes| async move { Ok(sum + bytes) }).await
    }

    async fn one(&self, partition: Partition, sink: Option<&Sink>) -> Result<u64, BenchError> {
        // Spread over the holders by number.
        let mut holders = self.record.stable().holders(partition).filter(|member| member.node_id != self.who);
        let chosen = holders.nth(usize::from(partition.0) % 2);
        let client = chosen.and_then(|member| self.channels.iter().find(|(id, _)| *id == member.node_id));
        let none = || BenchError::Other(format!("nobody else holds partition {partition}"));
        let (_, mut client) = client.cloned().ok_or_else(none)?;
        let (mut after, mut sum) = (Bytes::new(), 0);
        loop {
            let request = PullRequest {
                sender: Some(self.sender.clone()),
                stamp: Some(self.stamp.clone()),
                partition: partition.0.into(),
                after: after.clone(),
                batches: 1,
            };
            let mut batches = client.pull(request).await?.into_inner();
            while let Some(batch) = batches.next().await.transpose()? {
                sum += batch.entries.iter().map(|e| (e.data_key.len() + e.state.len()) as u64).sum::<u64>();
                if let Some(last) = batch.entries.last() {
                    after = last.data_key.clone();
                }
                if let Some(sink) = sink {
                    sink.write(batch.entries).await?;
                }
                if batch.done {
                    return Ok(sum);
                }
            }
        }
    }
}

/// One batch that waits, and who waits for it.
type Waiting = (Vec<Entry>, oneshot::Sender<Result<(), StoreError>>);

/// A store with one writer: what waits is written together, and synced once.
struct Sink(mpsc::Sender<Waiting>);

impl Sink {
    fn open(store: FjallStore) -> (Self, std::thread::JoinHandle<()>) {
        let (send, waiting) = mpsc::channel::<Waiting>();
        let writer = std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let all: Vec<Waiting> = std::iter::once(first).chain(waiting.try_iter()).collect();
                let (entries, asking): (Vec<_>, Vec<_>) = all.into_iter().unzip();
                let rows = entries.into_iter().flatten().map(|e| (Space::Data, e.data_key, Some(e.state)));
                let batch = WriteBatch { rows: rows.collect(), reserve: false };
                let written = store.write(batch).and_then(|()| store.sync());
                for one in asking {
                    // Whoever asked may have given up.
                    let _ = one.send(written.clone());
                }
            }
        });
        (Self(send), writer)
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<(), BenchError> {
        let ended = || BenchError::Other("the plain copy's writer has ended".into());
        let (send, done) = oneshot::channel();
        self.0.send((entries, send)).map_err(|_| ended())?;
        Ok(done.await.map_err(|_| ended())??)
    }
}
