//! A client's request from the wire to the coordinator and back, whichever way it came: straight, or forwarded by a
//! member.

use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::batch_get_response::Result as GetResult;
use dynamo_proto::v1::batch_put_request::Write;
use dynamo_proto::v1::batch_put_response::Result as PutResult;
use dynamo_proto::v1::{
    BatchGetRequest, BatchGetResponse, BatchPutRequest, BatchPutResponse, DeleteRequest, DeleteResponse,
    ErrorStatus, GetRequest, GetResponse, PutRequest, PutResponse, Sibling,
};
use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::answers::Found;
use super::door::{Admitted, Door};
use super::errors::{self, Violations};
use super::metrics::{ApiMetrics, Op};
use super::pieces::longest_answer;
use crate::coordinate::{
    CoordinateError, Coordinator, ReadAnswer, ReadOrder, Terms, WriteAnswer, WriteOrder,
};
use crate::limits::{Crowded, Gate, Pass};
use crate::pace::Foreground;
use crate::peer::room::{Held, Room};
use crate::phase::{Life, Phase};
use crate::spans;
use crate::version::Context;

/// What a read is taken to bring, before anybody knows how much it will be.
const FOUND: usize = 16 << 10;

/// A request that did not end well: what its client is told, and whether the member that forwarded it may ask another.
#[derive(Debug)]
pub enum Failed {
    /// For the client.
    Status(Status),
    /// Nothing was done: another member may be asked.
    Passed(CoordinateError),
}

impl From<Failed> for Status {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Status(status) => status,
            Failed::Passed(why) => errors::status(why),
        }
    }
}

impl From<CoordinateError> for Failed {
    fn from(why: CoordinateError) -> Self {
        match why {
            CoordinateError::NotMine
            | CoordinateError::NotServing
            | CoordinateError::Stopping
            | CoordinateError::Overloaded => Self::Passed(why),
            why => Self::Status(errors::status(why)),
        }
    }
}

/// Takes clients' requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Requests {
    /// Carries them out.
    pub coordinator: Coordinator,
    /// Bounds those under way.
    pub gate: Gate,
    /// Bounds the bytes of answers on their way.
    pub answers: Room,
    /// Whether this node takes any.
    pub life: Life,
    /// What they have to be like.
    pub door: Door,
    /// What is counted.
    pub metrics: ApiMetrics,
    /// Told how long requests take.
    pub foreground: Foreground,
}

impl Requests {
    /// A read that is answered in one message.
    pub async fn get(&self, request: GetRequest, within: Duration, forwarded: bool) -> Result<Found, Failed> {
        self.read(request, within, forwarded, longest_answer(self.door.max_value)).await
    }

    /// A read that is answered in pieces.
    pub async fn get_stream(&self, request: GetRequest, within: Duration) -> Result<Found, Failed> {
        self.read(request, within, false, usize::MAX).await
    }

    async fn read(
        &self,
        request: GetRequest,
        within: Duration,
        forwarded: bool,
        longest: usize,
    ) -> Result<Found, Failed> {
        let begun = Instant::now();
        let answer = async {
            let pass = self.enter(request.key.len() + FOUND)?;
            let at_least = Door::get(&request).map_err(|wrong| Failed::Status(wrong.status()))?;
            let GetRequest { key, r, strict, allow_partial, .. } = request;
            let terms = Terms { quorum: r, strict, forwarded, until: begun + within, pass };
            let order = ReadOrder { key: key.clone(), allow_partial, at_least, terms };
            let answer = self.coordinator.read(order).await?;
            spans::quorum(answer.answered, answer.sloppy, answer.epoch);
            let response = get_response(&key, &answer);
            self.metrics.found(Op::Get, response.siblings.len() + response.tombstones as usize);
            let bytes = response.encoded_len();
            if bytes > longest {
                return Err(Failed::Status(errors::too_large(bytes, longest)));
            }
            Ok(Found { response, held: self.room_for(bytes)? })
        };
        self.counted(Op::Get, forwarded, begun, answer.await)
    }

    /// A write.
    pub async fn put(
        &self,
        request: PutRequest,
        within: Duration,
        forwarded: bool,
    ) -> Result<PutResponse, Failed> {
        let begun = Instant::now();
        let answer = async {
            let pass = self.enter(request.key.len() + request.value.len())?;
            let (quorum, strict) = (request.w, request.strict);
            let admitted = self.door.put(request).map_err(|wrong| Failed::Status(wrong.status()))?;
            let terms = Terms { quorum, strict, forwarded, until: begun + within, pass };
            let WriteAnswer { context, witness, answered, sloppy, epoch, versions } =
                self.written(Op::Put, order(admitted, terms)).await?;
            let (answered, siblings) = (count(answered), count(versions));
            Ok(PutResponse { context, answered, sloppy, epoch, siblings, witness })
        };
        self.counted(Op::Put, forwarded, begun, answer.await)
    }

    /// A write of a tombstone.
    pub async fn delete(
        &self,
        request: DeleteRequest,
        within: Duration,
        forwarded: bool,
    ) -> Result<DeleteResponse, Failed> {
        let begun = Instant::now();
        let answer = async {
            let pass = self.enter(request.key.len())?;
            let (quorum, strict) = (request.w, request.strict);
            let admitted = self.door.delete(request).map_err(|wrong| Failed::Status(wrong.status()))?;
            let terms = Terms { quorum, strict, forwarded, until: begun + within, pass };
            let WriteAnswer { context, witness, answered, sloppy, epoch, versions } =
                self.written(Op::Delete, order(admitted, terms)).await?;
            let (answered, siblings) = (count(answered), count(versions));
            Ok(DeleteResponse { context, answered, sloppy, epoch, siblings, witness })
        };
        self.counted(Op::Delete, forwarded, begun, answer.await)
    }

    /// A write of either kind, and what figures and traces show of its answer.
    async fn written(&self, op: Op, order: WriteOrder) -> Result<WriteAnswer, Failed> {
        let answer = self.coordinator.write(order).await?;
        spans::quorum(answer.answered, answer.sloppy, answer.epoch);
        self.metrics.found(op, answer.versions);
        Ok(answer)
    }

    /// A read out of a batch: as if it had come alone. What it holds is to be kept until the answer is taken.
    pub async fn get_item(
        &self,
        item: BatchGetRequest,
        within: Duration,
    ) -> (BatchGetResponse, Option<Held>) {
        let found = match item.get {
            Some(get) => self.get(get, within, false).await.map_err(packed),
            None => Err(nothing("get")),
        };
        let (result, held) = match found {
            Ok(Found { response, held }) => (GetResult::Found(response), held),
            Err(status) => (GetResult::Failed(status), None),
        };
        (BatchGetResponse { id: item.id, result: Some(result) }, held)
    }

    /// A put or delete out of a batch: as if it had come alone.
    pub async fn put_item(&self, item: BatchPutRequest, within: Duration) -> BatchPutResponse {
        let written = match item.write {
            Some(Write::Put(put)) => self.put(put, within, false).await.map(PutResult::Put).map_err(packed),
            Some(Write::Delete(delete)) => {
                self.delete(delete, within, false).await.map(PutResult::Delete).map_err(packed)
            }
            None => Err(nothing("write")),
        };
        BatchPutResponse { id: item.id, result: Some(written.unwrap_or_else(PutResult::Failed)) }
    }

    pub(super) fn enter(&self, bytes: usize) -> Result<Pass, Failed> {
        match self.life.phase() {
            Phase::Serving => self.gate.enter(bytes).map_err(|why| Failed::Status(errors::crowded(why))),
            Phase::Starting => Err(CoordinateError::NotServing.into()),
            Phase::Stopping => Err(CoordinateError::Stopping.into()),
        }
    }

    /// Room for an answer. The gate has counted a small one already.
    fn room_for(&self, bytes: usize) -> Result<Option<Held>, Failed> {
        if bytes <= FOUND {
            return Ok(None);
        }
        let held = self.answers.take(bytes);
        let crowded = || Failed::Status(errors::crowded(Crowded::Answers(self.answers.bytes())));
        held.map(Some).ok_or_else(crowded)
    }

    pub(super) fn counted<T>(
        &self,
        op: Op,
        forwarded: bool,
        begun: Instant,
        answer: Result<T, Failed>,
    ) -> Result<T, Failed> {
        let code = match &answer {
            Ok(_) => Code::Ok,
            Err(Failed::Status(status)) => status.code(),
            Err(Failed::Passed(why)) => errors::status(why.clone()).code(),
        };
        self.metrics.ended(op, code, forwarded, begun.elapsed());
        spans::ended(code);
        match (op, code) {
            // As long as there are keys.
            (Op::List, _) => {}
            (_, Code::Ok | Code::DeadlineExceeded) => self.foreground.answered(begun.elapsed()),
            (_, Code::ResourceExhausted) => self.foreground.refused(),
            // How long these take says nothing of the load.
            _ => {}
        }
        answer
    }
}

fn packed(failed: Failed) -> ErrorStatus {
    errors::pack(&failed.into())
}

/// An item without its one field that matters.
fn nothing(field: &str) -> ErrorStatus {
    let mut wrong = Violations::default();
    wrong.add(field, "missing; an item holds one request");
    errors::pack(&wrong.status())
}

fn order(admitted: Admitted, terms: Terms) -> WriteOrder {
    let Admitted { key, context, value, ttl_ms, write_id } = admitted;
    WriteOrder { key, context, value, ttl_ms, write_id, terms }
}

/// What a client is shown of a state.
fn get_response(key: &Bytes, answer: &ReadAnswer) -> GetResponse {
    let view = answer.state.view_at(answer.now_ms);
    let sibling = |sibling: &&crate::version::Sibling| Sibling {
        value: sibling.value.clone().unwrap_or_default(),
        written_at_ms: sibling.written_at_ms,
        expires_at_ms: sibling.expires_at_ms,
    };
    GetResponse {
        siblings: view.values.iter().map(sibling).collect(),
        context: Context::encode(key, view.context),
        answered: count(answer.answered),
        sloppy: answer.sloppy,
        epoch: answer.epoch,
        tombstones: count(view.tombstones),
        expired: count(view.expired),
        behind: answer.behind,
    }
}

pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
