//! A Kv service that says what a test tells it to, on a loopback port that can be closed and opened again.

#![allow(dead_code, reason = "not every test uses everything")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::get_piece::Piece;
use dynamo_proto::v1::kv_server::{Kv, KvServer};
use dynamo_proto::v1::{
    BatchGetRequest, BatchGetResponse, BatchPutRequest, BatchPutResponse, DeleteRequest, DeleteResponse,
    ErrorStatus, GetHead, GetLayoutRequest, GetLayoutResponse, GetPiece, GetRequest, GetResponse,
    ListKeysRequest, ListKeysResponse, ListedKey, PutRequest, PutResponse, Sibling, VersionHead,
    VersionPiece, batch_get_response, batch_put_request, batch_put_response,
};
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// What a node does with its next requests; what comes after the end of the script is answered well.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Fail(Status),
    Hang,
    /// Answers well, but not at once.
    Slow(Duration),
}

#[derive(Debug, Default)]
struct Inner {
    record: Bytes,
    script: VecDeque<Act>,
    /// The write ids of puts, and empty ones for reads, in the order of arrival.
    calls: Vec<Bytes>,
    /// What the last read had to cover.
    at_least: Vec<Bytes>,
}

/// One node. Clones share what they know.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    inner: Arc<Mutex<Inner>>,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// A node on a free port.
    pub(crate) async fn start() -> (Self, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let node = Self { inner: Arc::default(), address };
        let serving = node.serve(listener);
        (node, serving)
    }

    /// Listens again where it did before.
    pub(crate) fn restart(&self) -> JoinHandle<()> {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.serve(socket.listen(64).unwrap())
    }

    fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let service = KvServer::new(self.clone());
        tokio::spawn(async move {
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        })
    }

    pub(crate) fn knows(&self, record: &Record) {
        self.inner.lock().unwrap().record = record.to_json().into();
    }

    pub(crate) fn will(&self, act: Act) {
        self.inner.lock().unwrap().script.push_back(act);
    }

    pub(crate) fn calls(&self) -> Vec<Bytes> {
        self.inner.lock().unwrap().calls.clone()
    }

    pub(crate) fn at_least(&self) -> Vec<Bytes> {
        self.inner.lock().unwrap().at_least.clone()
    }

    /// Notes the call, does what the script says, and returns the epoch that it serves.
    async fn act(&self, write_id: Bytes) -> Result<u64, Status> {
        let (act, epoch) = {
            let mut inner = self.inner.lock().unwrap();
            inner.calls.push(write_id);
            let record = Record::from_json(std::str::from_utf8(&inner.record).unwrap());
            (inner.script.pop_front(), record.map_or(0, |r| r.view().read_layout().epoch()))
        };
        match act {
            None => Ok(epoch),
            Some(Act::Fail(status)) => Err(status),
            Some(Act::Slow(pause)) => {
                tokio::time::sleep(pause).await;
                Ok(epoch)
            }
            Some(Act::Hang) => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                Err(Status::internal("hung"))
            }
        }
    }
}

#[tonic::async_trait]
impl Kv for Node {
    type BatchGetStream = BoxStream<'static, Result<BatchGetResponse, Status>>;
    type GetStreamStream = BoxStream<'static, Result<GetPiece, Status>>;
    type BatchPutStream = BoxStream<'static, Result<BatchPutResponse, Status>>;

    /// The value is the key.
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let epoch = self.act(Bytes::new()).await?;
        let GetRequest { key, at_least, .. } = request.into_inner();
        self.inner.lock().unwrap().at_least = at_least;
        let sibling = Sibling { value: key, ..Sibling::default() };
        Ok(Response::new(GetResponse {
            siblings: vec![sibling],
            context: Bytes::from_static(b"read"),
            answered: 2,
            epoch,
            ..GetResponse::default()
        }))
    }

    /// The same, in pieces of 3 bytes; a failure in the middle if it is to fail.
    async fn get_stream(
        &self,
        request: Request<GetRequest>,
    ) -> Result<Response<Self::GetStreamStream>, Status> {
        let value = request.get_ref().key.clone();
        let (answer, failure) = match self.get(request).await {
            Ok(answer) => (answer.into_inner(), None),
            Err(status) => (GetResponse::default(), Some(status)),
        };
        let bytes = value.len() as u64;
        let answer = Some(GetResponse { siblings: Vec::new(), ..answer });
        let mut pieces = vec![Piece::Head(GetHead { answer, versions: 1, bytes })];
        for (i, data) in value.chunks(3).enumerate() {
            let begins = (i == 0).then_some(VersionHead { bytes, ..VersionHead::default() });
            pieces.push(Piece::Version(VersionPiece { begins, data: Bytes::copy_from_slice(data) }));
        }
        let mut pieces: Vec<_> =
            pieces.into_iter().map(|piece| Ok(GetPiece { piece: Some(piece) })).collect();
        if let Some(status) = failure {
            pieces.truncate(2);
            pieces.push(Err(status));
        }
        Ok(Response::new(futures::stream::iter(pieces).boxed()))
    }

    /// Another version stands beside it; the witness is the write id.
    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let witness = request.into_inner().write_id;
        let epoch = self.act(witness.clone()).await?;
        Ok(Response::new(PutResponse { answered: 2, epoch, siblings: 2, witness, ..PutResponse::default() }))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let epoch = self.act(request.into_inner().write_id).await?;
        Ok(Response::new(DeleteResponse { answered: 2, epoch, siblings: 1, ..DeleteResponse::default() }))
    }

    async fn batch_get(
        &self,
        request: Request<Streaming<BatchGetRequest>>,
    ) -> Result<Response<Self::BatchGetStream>, Status> {
        use batch_get_response::Result as Body;
        let node = self.clone();
        let answers = request.into_inner().then(move |item| {
            let node = node.clone();
            async move {
                let item = item?;
                let found = node.get(Request::new(item.get.unwrap())).await.map(Response::into_inner);
                let result = found.map_or_else(|status| Body::Failed(packed(&status)), Body::Found);
                Ok(BatchGetResponse { id: item.id, result: Some(result) })
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn batch_put(
        &self,
        request: Request<Streaming<BatchPutRequest>>,
    ) -> Result<Response<Self::BatchPutStream>, Status> {
        use batch_put_request::Write;
        use batch_put_response::Result as Body;
        let node = self.clone();
        let answers = request.into_inner().then(move |item| {
            let node = node.clone();
            async move {
                let item = item?;
                let written = match item.write.unwrap() {
                    Write::Put(put) => node.put(Request::new(put)).await.map(|a| Body::Put(a.into_inner())),
                    Write::Delete(delete) => {
                        node.delete(Request::new(delete)).await.map(|a| Body::Delete(a.into_inner()))
                    }
                };
                let result = written.unwrap_or_else(|status| Body::Failed(packed(&status)));
                Ok(BatchPutResponse { id: item.id, result: Some(result) })
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    /// Three keys, one a page.
    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let epoch = self.act(Bytes::new()).await?;
        let at = request.into_inner().page_token.first().copied().unwrap_or(0);
        let key = ListedKey { key: vec![b'a' + at].into(), siblings: 1, tombstones: 0 };
        let next_page_token = if at < 2 { vec![at + 1].into() } else { Bytes::new() };
        Ok(Response::new(ListKeysResponse { keys: vec![key], next_page_token, epoch, partition: at.into() }))
    }

    async fn get_layout(&self, _: Request<GetLayoutRequest>) -> Result<Response<GetLayoutResponse>, Status> {
        let record = self.inner.lock().unwrap().record.clone();
        Ok(Response::new(GetLayoutResponse { record }))
    }
}

fn packed(status: &Status) -> ErrorStatus {
    ErrorStatus {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Bytes::copy_from_slice(status.details()),
        context: Bytes::new(),
    }
}

/// A member of this name at this address.
pub(crate) fn member(i: u8, address: &impl ToString) -> Member {
    Member {
        name: format!("cart-{i}"),
        node_id: NodeId([i; 16]),
        zone: String::new(),
        address: address.to_string(),
        weight: 1,
    }
}

/// The first record of these members; three replicas, two answers.
pub(crate) fn record(members: &[Member]) -> Record {
    let layout = plan::first(members, Partitions::new(16).unwrap(), 3, ClusterId([7; 16])).unwrap();
    Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
}

/// Nodes that know a first layout of themselves, with the tasks that serve them.
pub(crate) async fn cluster(size: u8) -> (Vec<Node>, Vec<JoinHandle<()>>, Record) {
    let (mut nodes, mut serving) = (Vec::new(), Vec::new());
    for _ in 0..size {
        let (node, task) = Node::start().await;
        nodes.push(node);
        serving.push(task);
    }
    let members: Vec<_> = (0..size).map(|i| member(i, &nodes[usize::from(i)].address)).collect();
    let record = record(&members);
    for node in &nodes {
        node.knows(&record);
    }
    (nodes, serving, record)
}
