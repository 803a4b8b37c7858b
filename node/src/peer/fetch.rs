//! Fetches the layout record that another member goes by, and takes it.

use std::time::Duration;

use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{LayoutReply, LayoutRequest};
use dynamo_ring::{NodeId, Record};
use tokio::time::timeout;

use super::network::{Network, ask};
use crate::layout::Layouts;

/// Asks `from` for its record and takes it, each `within` at the longest. When it returns, this node goes by that record
/// or a later one; an error says why not, for a person.
pub async fn fetch_layout(
    network: &dyn Network,
    layouts: &Layouts,
    from: NodeId,
    within: Duration,
) -> Result<(), String> {
    let mine = layouts.current().ok_or("this node has none at all")?;
    let op = Op::Layout(LayoutRequest {});
    let reply: LayoutReply =
        ask(network, from, op, mine.stamp(), within).await.map_err(|why| why.to_string())?;
    let text = std::str::from_utf8(&reply.record).map_err(|why| why.to_string())?;
    let record = Record::from_json(text).map_err(|why| why.to_string())?;
    let taken = timeout(within, layouts.take(record)).await;
    taken.map_err(|_| format!("not taken within {within:?}"))?.map(drop).map_err(|why| why.to_string())
}
