//! The Kv service: what clients call.

use std::time::Duration;

use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::{
    DeleteRequest, DeleteResponse, GetLayoutRequest, GetLayoutResponse, GetRequest, GetResponse, PutRequest,
    PutResponse,
};
use tonic::{Request, Response, Status};

use super::deadline;
use super::record::RecordText;
use super::requests::Requests;
use crate::layout::Layouts;

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
}

#[tonic::async_trait]
impl Kv for KvService {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        Ok(Response::new(self.requests.get(request.into_inner(), within, false).await?))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        Ok(Response::new(self.requests.put(request.into_inner(), within, false).await?))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let within = deadline::within(request.metadata(), self.cap);
        Ok(Response::new(self.requests.delete(request.into_inner(), within, false).await?))
    }

    async fn get_layout(&self, _: Request<GetLayoutRequest>) -> Result<Response<GetLayoutResponse>, Status> {
        let record = self.layouts.current().map(|standing| self.text.of(&standing.record));
        Ok(Response::new(GetLayoutResponse { record: record.unwrap_or_default() }))
    }
}
