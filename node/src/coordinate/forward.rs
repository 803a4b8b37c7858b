//! Handing a client's write to a member that holds the key. Once: a write that two members coordinate is two versions,
//! and one that might have been coordinated is never handed to another.

use bytes::Bytes;
use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{DeleteRequest, DeleteResponse, PutRequest, PutResponse};
use dynamo_ring::NodeId;
use dynamo_ring::fence::SenderStamp;
use tokio::time::Instant;

use super::drive::Coordinator;
use super::error::CoordinateError;
use super::order::{WriteAnswer, WriteOrder};
use crate::peer::{PeerError, Refused};
use crate::version::Context;

impl Coordinator {
    /// Hands a write to the first of these that takes it. [`CoordinateError::NotMine`] if none does for now, and
    /// certainly none has.
    pub(super) async fn forward_write(
        &self,
        holders: &[NodeId],
        order: &WriteOrder,
        stamp: SenderStamp,
    ) -> Result<WriteAnswer, CoordinateError> {
        let mut nobody = CoordinateError::NotMine;
        for holder in holders {
            let left = order.terms.until.saturating_duration_since(Instant::now());
            self.parts.metrics.forwarded();
            match self.parts.network.call(*holder, request(order), stamp, left).await {
                Ok(body) => return answer(body),
                Err(PeerError::Overloaded(_)) => nobody = CoordinateError::Overloaded,
                Err(PeerError::Refused(Refused { reason: Reason::Overloaded, .. })) => {
                    nobody = CoordinateError::Overloaded;
                }
                Err(why) if why.nothing_done() => {
                    tracing::debug!(%holder, %why, "a holder does not take a forwarded write");
                }
                Err(why) => return Err(CoordinateError::CoordinatorSilent(why.to_string())),
            }
        }
        Err(nobody)
    }
}

/// The client's write as it is forwarded.
fn request(order: &WriteOrder) -> Op {
    let key = order.key.clone();
    let context = Context::encode(&order.key, &order.context);
    let write_id = order.write_id.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(&id.0));
    let (w, strict) = (order.terms.quorum, order.terms.strict);
    match &order.value {
        Some(value) => {
            let value = value.clone();
            Op::ForwardPut(PutRequest { key, value, context, w, strict, write_id, ttl_ms: order.ttl_ms })
        }
        None => Op::ForwardDelete(DeleteRequest { key, context, w, strict, write_id }),
    }
}

fn answer(body: Body) -> Result<WriteAnswer, CoordinateError> {
    // Puts and deletes are answered with the same facts.
    let put = match body {
        Body::ForwardPut(put) => put,
        Body::ForwardDelete(DeleteResponse { context, answered, sloppy, epoch, siblings, witness }) => {
            PutResponse { context, answered, sloppy, epoch, siblings, witness }
        }
        Body::ForwardStatus(status) => return Err(CoordinateError::Forwarded(status)),
        _ => return Err(CoordinateError::CoordinatorSilent("it answered out of place".to_owned())),
    };
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let PutResponse { context, answered, sloppy, epoch, siblings, witness } = put;
    let (answered, versions) = (count(answered), count(siblings));
    Ok(WriteAnswer { context, witness, answered, sloppy, epoch, versions })
}
