//! Finds a member: its addresses are connected to side by side, and those that answer are greeted one after another.
//!
//! Never two greetings at a time: a member takes the stream that it was greeted on last for the only one, and makes what
//! is unread on an earlier one void.

use std::collections::VecDeque;
use std::sync::Arc;

use dynamo_ring::{Member, NodeId};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::connection::{Broken, Connection, Greeted};
use super::link::Shared;
use super::transport::{ConnectError, Wire};

/// Where a member may be: at the address that the layout has, and wherever it was last heard to be.
pub(super) fn candidates(member: &Member, heard: Vec<String>) -> Vec<String> {
    let mut candidates = vec![member.address.clone()];
    for address in heard {
        if !candidates.contains(&address) {
            candidates.push(address);
        }
    }
    candidates
}

/// Connects to wherever the member may be, and greets whoever answers until it is the member. Says why the last one was
/// not.
pub(super) async fn find(member: &Member, shared: &Shared) -> Result<Greeted, Broken> {
    let addresses = candidates(member, shared.hearsay.addresses(member.node_id));
    let mut connects: FuturesUnordered<_> =
        addresses.iter().map(|address| shared.transport.connect(address)).collect();
    let mut there: VecDeque<Arc<dyn Wire>> = VecDeque::new();
    let mut last = Broken::Connect(ConnectError::Silent);
    loop {
        let wire = match there.pop_front() {
            Some(wire) => wire,
            None => match connects.next().await {
                Some(Ok(wire)) => wire,
                Some(Err(why)) => {
                    last = why.into();
                    continue;
                }
                None => return Err(last),
            },
        };
        let greeting = greet(wire, member.node_id, shared);
        tokio::pin!(greeting);
        // The others go on meanwhile: this one may hear nothing until its time is over.
        let greeted = loop {
            tokio::select! {
                biased;
                greeted = &mut greeting => break greeted,
                Some(connected) = connects.next() => there.extend(connected),
            }
        };
        match greeted {
            Ok(greeted) => return Ok(greeted),
            Err(broken) => last = broken,
        }
    }
}

async fn greet(wire: Arc<dyn Wire>, node: NodeId, shared: &Shared) -> Result<Greeted, Broken> {
    let (voice, room) = (Arc::clone(&shared.voice), shared.room.clone());
    Connection::greet(wire, node, voice, shared.hearsay.introduction(), shared.bounds, room).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_layout_comes_first_and_no_address_twice() {
        let member = Member {
            name: "cart-0".to_owned(),
            node_id: NodeId([1; 16]),
            zone: String::new(),
            address: "cart-0:7070".to_owned(),
            weight: 1,
        };
        let heard = ["10.0.0.1:7070", "cart-0:7070", "10.0.0.1:7070"].map(str::to_owned).to_vec();
        assert_eq!(candidates(&member, heard), ["cart-0:7070", "10.0.0.1:7070"]);
    }
}
