//! The Kv service: what clients call.

use std::time::Duration;

use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::{
    BatchGetRequest, BatchGetResponse, BatchPutRequest, BatchPutResponse, DeleteRequest, DeleteResponse,
    GetLayoutRequest, GetLayoutResponse, GetPiece, GetRequest, GetResponse, ListKeysRequest,
    ListKeysResponse, PutRequest, PutResponse,
};
use dynamo_telemetry::propagate;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use super::answers::{Found, Holding};
use super::batch::{self, Times};
use super::record::RecordText;
use super::requests::Requests;
use super::{deadline, pieces};
use crate::layout::Layouts;
use crate::spans;

/// The Kv service.
#[derive(Debug, Clone)]
pub struct KvService {
    requests: Requests,
    layouts: Layouts,
    text: RecordText,
    /// No request takes longer than this, whatever its client says.
    cap: Duration,
}

impl KvService {
    /// The service of a node that gives each request `cap` at most.
    pub const fn new(requests: Requests, layouts: Layouts, text: RecordText, cap: Duration) -> Self {
        Self { requests, layouts, text, cap }
    }

    /// What the items of a stream may take that was opened with this metadata.
    fn times(&self, metadata: &MetadataMap) -> Times {
        Times { cap: self.cap, until: deadline::asked(metadata).map(|asked| Instant::now() + asked) }
    }
}

#[tonic::async_trait]
impl Kv for KvService {
    type BatchGetStream = BoxStream<'static, Result<BatchGetResponse, Status>>;
    type GetStreamStream = BoxStream<'static, Result<GetPiece, Status>>;
    type BatchPutStream = BoxStream<'static, Result<BatchPutResponse, Status>>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        let span = spans::request("Get", request.metadata());
        let found = self.requests.get(request.into_inner(), within, false).instrument(span);
        let Found { response, held } = found.await?;
        let mut response = Response::new(response);
        if let Some(held) = held {
            response.extensions_mut().insert(Holding::new(held));
        }
        Ok(response)
    }

    async fn get_stream(
        &self,
        request: Request<GetRequest>,
    ) -> Result<Response<Self::GetStreamStream>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        let span = spans::request("GetStream", request.metadata());
        let found = self.requests.get_stream(request.into_inner(), within).instrument(span).await?;
        Ok(Response::new(pieces::send(found, self.cap)))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        let span = spans::request("Put", request.metadata());
        let answer = self.requests.put(request.into_inner(), within, false).instrument(span);
        Ok(Response::new(answer.await?))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        let span = spans::request("Delete", request.metadata());
        let answer = self.requests.delete(request.into_inner(), within, false).instrument(span);
        Ok(Response::new(answer.await?))
    }

    async fn batch_get(
        &self,
        request: Request<Streaming<BatchGetRequest>>,
    ) -> Result<Response<Self::BatchGetStream>, Status> {
        let (times, requests) = (self.times(request.metadata()), self.requests.clone());
        let stopping = requests.life.stopping();
        let trace = propagate::of(request.metadata()).to_owned();
        let answers = batch::answers(request.into_inner(), stopping, move |item| {
            let (requests, within) = (requests.clone(), times.within(item.deadline_ms, Instant::now()));
            let span = spans::item("BatchGet item", &trace);
            async move { requests.get_item(item, within).await }.instrument(span)
        });
        // The connection takes an answer when it has sent the one before.
        Ok(Response::new(answers.map(|answer| answer.map(|(answer, _held)| answer)).boxed()))
    }

    async fn batch_put(
        &self,
        request: Request<Streaming<BatchPutRequest>>,
    ) -> Result<Response<Self::BatchPutStream>, Status> {
        let (times, requests) = (self.times(request.metadata()), self.requests.clone());
        let stopping = requests.life.stopping();
        let trace = propagate::of(request.metadata()).to_owned();
        let answers = batch::answers(request.into_inner(), stopping, move |item| {
            let (requests, within) = (requests.clone(), times.within(item.deadline_ms, Instant::now()));
            let span = spans::item("BatchPut item", &trace);
            async move { requests.put_item(item, within).await }.instrument(span)
        });
        Ok(Response::new(answers))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        let span = spans::request("ListKeys", request.metadata());
        let answer = self.requests.list(request.into_inner(), within).instrument(span);
        Ok(Response::new(answer.await?))
    }

    async fn get_layout(&self, _: Request<GetLayoutRequest>) -> Result<Response<GetLayoutResponse>, Status> {
        let record = self.layouts.current().map(|standing| self.text.of(&standing.record));
        Ok(Response::new(GetLayoutResponse { record: record.unwrap_or_default() }))
    }
}
