//! Ids and stamps as they travel.

use bytes::Bytes;
use dynamo_proto::v1;
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{ClusterId, LayoutHash, LayoutId, NodeId, Stamp, Step};

use crate::store::PeerMark;
use crate::version::ActorId;

/// A field of a peer's message that is no id or stamp. Refuse the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is missing or makes no sense")]
pub struct WireError(
    /// The field.
    pub &'static str,
);

/// Who speaks, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The sender's cluster; `None` if it has not been told yet.
    pub cluster_id: Option<ClusterId>,
    /// The sender, its actor id and its commit numbers.
    pub mark: PeerMark,
}

/// A node id as it travels.
pub fn node_id_bytes(id: NodeId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// A node id, from what came.
pub fn node_id(field: &'static str, bytes: &[u8]) -> Result<NodeId, WireError> {
    id(field, bytes).map(NodeId)
}

/// A cluster id, from what came.
pub fn cluster_id(field: &'static str, bytes: &[u8]) -> Result<ClusterId, WireError> {
    id(field, bytes).map(ClusterId)
}

/// A stamp as it travels.
pub fn stamp_message(sender: SenderStamp) -> v1::Stamp {
    let step = match sender.stamp.step {
        Step::Proposed => 1,
        Step::Frozen => 2,
        Step::Switched => 3,
        Step::Committed => 4,
    };
    let hash = Bytes::copy_from_slice(sender.id.hash.as_bytes());
    v1::Stamp { epoch: sender.stamp.epoch, step, hash }
}

/// A stamp, from what came.
pub fn stamp(message: Option<&v1::Stamp>) -> Result<SenderStamp, WireError> {
    let message = message.ok_or(WireError("stamp"))?;
    let step = match message.step {
        1 => Step::Proposed,
        2 => Step::Frozen,
        3 => Step::Switched,
        4 => Step::Committed,
        _ => return Err(WireError("stamp.step")),
    };
    let epoch = message.epoch;
    let hash = LayoutHash(id("stamp.hash", &message.hash)?);
    Ok(SenderStamp { stamp: Stamp { epoch, step }, id: LayoutId { epoch, hash } })
}

impl Sender {
    /// As it travels.
    pub fn message(&self) -> v1::Sender {
        v1::Sender {
            cluster_id: self.cluster_id.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
            node_id: node_id_bytes(self.mark.node_id),
            actor: self.mark.actor.0,
            commit: self.mark.commit,
            synced: self.mark.synced,
        }
    }

    /// From what came.
    pub fn from_message(message: Option<&v1::Sender>) -> Result<Self, WireError> {
        let message = message.ok_or(WireError("sender"))?;
        let cluster_id = match &message.cluster_id[..] {
            [] => None,
            bytes => Some(cluster_id("sender.cluster_id", bytes)?),
        };
        let mark = PeerMark {
            node_id: node_id("sender.node_id", &message.node_id)?,
            actor: ActorId(message.actor),
            commit: message.commit,
            synced: message.synced,
        };
        Ok(Self { cluster_id, mark })
    }
}

fn id(field: &'static str, bytes: &[u8]) -> Result<[u8; 16], WireError> {
    bytes.try_into().map_err(|_| WireError(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_survive_the_way() {
        for step in [Step::Proposed, Step::Frozen, Step::Switched, Step::Committed] {
            let id = LayoutId { epoch: 7, hash: LayoutHash([3; 16]) };
            let sender = SenderStamp { stamp: Stamp { epoch: 7, step }, id };
            assert_eq!(stamp(Some(&stamp_message(sender))), Ok(sender));
        }
    }

    #[test]
    fn senders_survive_the_way() {
        let mark = PeerMark { node_id: NodeId([1; 16]), actor: ActorId(2), commit: 3, synced: 2 };
        for cluster_id in [None, Some(ClusterId([9; 16]))] {
            let sender = Sender { cluster_id, mark };
            assert_eq!(Sender::from_message(Some(&sender.message())), Ok(sender));
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let good = v1::Stamp { epoch: 1, step: 1, hash: Bytes::from_static(&[0; 16]) };
        assert_eq!(stamp(None), Err(WireError("stamp")));
        assert_eq!(stamp(Some(&v1::Stamp { step: 5, ..good.clone() })), Err(WireError("stamp.step")));
        assert_eq!(stamp(Some(&v1::Stamp { hash: Bytes::new(), ..good })), Err(WireError("stamp.hash")));
        let nobody = v1::Sender { node_id: Bytes::from_static(&[1; 15]), ..v1::Sender::default() };
        assert_eq!(Sender::from_message(Some(&nobody)), Err(WireError("sender.node_id")));
    }
}
