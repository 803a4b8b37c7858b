//! Asks the other members what they know of this node, for as long as the decision needs it.

use std::collections::BTreeMap;
use std::time::Duration;

use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{HelloReply, HelloRequest};
use dynamo_ring::NodeId;
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::decide::{Known, Start, decide};
use crate::layout::Standing;
use crate::peer::{Network, ask};
use crate::store::{Local, StoreError};

/// Between two questions to a member that did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// What is stored here of a peer's commit numbers: the answer to its Hello.
pub fn known_of(local: &Local, peer: NodeId) -> Result<Known, StoreError> {
    let mark = local.peer(peer)?;
    Ok(mark.map_or_else(Known::default, |mark| Known { commit: mark.commit, synced: mark.synced }))
}

/// Decides how this start goes on. `own` is the number of the last batch on disk. Asks nobody after a crash (a new actor
/// id is taken anyway, and a copy set back is found when the peers are greeted); else waits for every other member of
/// `standing`, `within` at the longest.
pub async fn settle(
    network: &dyn Network,
    standing: &Standing,
    me: NodeId,
    own: u64,
    was_clean: bool,
    within: Duration,
) -> Start {
    if !was_clean {
        return decide(own, false, &BTreeMap::new());
    }
    let until = Instant::now() + within;
    let others = standing.record.view().members().map(|member| member.node_id).filter(|node| *node != me);
    let questions: Vec<_> =
        others.map(|peer| async move { (peer, question(network, standing, peer, until).await) }).collect();
    let at_once = questions.len().max(1);
    let answers = stream::iter(questions).buffer_unordered(at_once).collect().await;
    decide(own, true, &answers)
}

async fn question(network: &dyn Network, standing: &Standing, peer: NodeId, until: Instant) -> Option<Known> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let hello = Op::Hello(HelloRequest::default());
        match ask::<HelloReply>(network, peer, hello, standing.stamp(), left).await {
            Ok(reply) => return Some(Known { commit: reply.known_commit, synced: reply.known_synced }),
            Err(error) => tracing::debug!(%peer, %error, "no answer to hello yet"),
        }
        tokio::time::sleep(PAUSE.min(left)).await;
    }
}
