//! What one peer may have in service here at a time. More is refused at once, rather than left to fill the stream: what
//! waited there would be work that its caller has given up by the time it is begun.

use std::sync::Arc;

use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{Request, request::Op};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::overloaded;
use super::room::Held;

/// Bytes of one permit: a semaphore counts in u32, memory does not fit.
const UNIT: usize = 1024;

/// The share of each peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareLimits {
    /// Requests in service.
    pub requests: usize,
    /// Bytes of requests in service, and of answers beside those that wait in the box, each; but for one that is larger.
    /// Requests that came in parts have room of their own.
    pub bytes: usize,
    /// Of the requests, how many may be clients' that the peer forwards. They wait for other peers themselves: two nodes
    /// that forward to each other would stand still.
    pub forwards: usize,
}

impl Default for ShareLimits {
    fn default() -> Self {
        // As many as a node takes of its clients.
        Self { requests: 4096, bytes: 96 << 20, forwards: 512 }
    }
}

/// The share of one peer, as far as it is taken.
#[derive(Debug)]
pub(super) struct Share {
    limits: ShareLimits,
    requests: Arc<Semaphore>,
    units: Arc<Semaphore>,
    forwards: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// What an answer takes of its peer's share while it waits to be sent.
#[derive(Debug)]
#[must_use = "dropping it makes room for another answer"]
pub(super) struct Answering {
    _units: OwnedSemaphorePermit,
}

/// What a request takes of its peer's share until its answer waits to be sent.
#[derive(Debug)]
#[must_use = "dropping it makes room for another request"]
pub(super) struct Permits {
    _request: OwnedSemaphorePermit,
    _units: OwnedSemaphorePermit,
    _forward: Option<OwnedSemaphorePermit>,
    _held: Option<Held>,
}

impl Share {
    pub(super) fn new(limits: ShareLimits) -> Self {
        let count = |n: usize| Arc::new(Semaphore::new(n.clamp(1, Semaphore::MAX_PERMITS)));
        let (requests, forwards) = (count(limits.requests), count(limits.forwards));
        let (units, answers) = (count(limits.bytes / UNIT), count(limits.bytes / UNIT));
        Self { limits, requests, units, forwards, answers }
    }

    /// Takes a request into service, or refuses it at once. One that came in parts brings its room along.
    pub(super) fn admit(&self, request: &Request, held: Option<Held>) -> Result<Permits, Body> {
        let ShareLimits { requests, bytes, forwards } = self.limits;
        let slot = Arc::clone(&self.requests).try_acquire_owned();
        let slot = slot.map_err(|_| beyond(requests, "requests", "--peer-requests"))?;
        let weight = if held.is_some() { 0 } else { request.encoded_len() };
        let units = Arc::clone(&self.units).try_acquire_many_owned(self.units_of(weight));
        let units = units.map_err(|_| beyond(bytes, "bytes of requests", "--peer-request-bytes"))?;
        let forward = match &request.op {
            Some(Op::ForwardGet(_) | Op::ForwardPut(_) | Op::ForwardDelete(_)) => {
                let forward = Arc::clone(&self.forwards).try_acquire_owned();
                Some(forward.map_err(|_| beyond(forwards, "forwarded requests", "--peer-forwards"))?)
            }
            _ => None,
        };
        Ok(Permits { _request: slot, _units: units, _forward: forward, _held: held })
    }

    /// Lets an answer of so many bytes wait, or refuses it at once.
    pub(super) fn answer(&self, bytes: usize) -> Result<Answering, Body> {
        let units = Arc::clone(&self.answers).try_acquire_many_owned(self.units_of(bytes));
        let refused = |_| beyond(self.limits.bytes, "bytes of answers", "--peer-request-bytes");
        units.map(|units| Answering { _units: units }).map_err(refused)
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from((bytes / UNIT).min((self.limits.bytes / UNIT).max(1))).unwrap_or(u32::MAX)
    }
}

fn beyond(limit: usize, what: &str, flag: &str) -> Body {
    let message = format!(
        "{limit} {what} of the member that asks are in service here, its share ({flag}); try another member, or later"
    );
    overloaded(message)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dynamo_proto::v1::{GetRequest, StoreRequest, refusal};

    use super::*;
    use crate::peer::room::Room;

    fn store(bytes: usize) -> Request {
        let store = StoreRequest { state: vec![7; bytes].into(), ..StoreRequest::default() };
        Request { op: Some(Op::Store(store)), ..Request::default() }
    }

    fn forward() -> Request {
        let get = GetRequest { key: Bytes::from_static(b"k"), ..GetRequest::default() };
        Request { op: Some(Op::ForwardGet(get)), ..Request::default() }
    }

    fn said(answer: Result<Permits, Body>) -> String {
        match answer {
            Err(Body::Refused(refusal)) if refusal.reason() == refusal::Reason::Overloaded => refusal.message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_peer_with_more_than_its_share_is_refused_at_once_and_told_the_limit() {
        let share = Share::new(ShareLimits { requests: 3, bytes: 10 * UNIT, forwards: 1 });
        let first = share.admit(&store(8 * UNIT), None).unwrap();
        assert!(said(share.admit(&store(8 * UNIT), None)).contains("10240 bytes of requests"));
        let forwarded = share.admit(&forward(), None).unwrap();
        assert!(said(share.admit(&forward(), None)).contains("--peer-forwards"));
        let in_parts = Room::new(1 << 20).take(1).unwrap();
        let third = share.admit(&store(8 * UNIT), Some(in_parts)).unwrap();
        assert!(said(share.admit(&store(1), None)).starts_with("3 requests of the member"));
        drop((first, forwarded, third));
        let alone = share.admit(&store(100 * UNIT), None).unwrap();
        assert!(said(share.admit(&store(2 * UNIT), None)).contains("--peer-request-bytes"));
        drop(alone);
        assert!(share.admit(&forward(), None).is_ok(), "what was refused has taken nothing");
    }
}
