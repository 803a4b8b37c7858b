//! Gossip as it travels.

use dynamo_proto::v1;
use dynamo_proto::v1::gossip_fact::Fact as Message;
use dynamo_ring::NodeId;

use super::fact::{Fact, fit};
use super::table::{Delta, Digest, Seen, Update};
use crate::peer::WireError;
use crate::peer::wire::{node_id, node_id_bytes, stamp, stamp_message};
use crate::phase::Phase;

/// A digest as it travels.
pub fn digest_message(digest: Digest) -> Vec<v1::GossipSeen> {
    let seen =
        |Seen { node, process, version }| v1::GossipSeen { node_id: node_id_bytes(node), process, version };
    digest.into_iter().map(seen).collect()
}

/// A digest, from what came.
pub fn digest(messages: &[v1::GossipSeen]) -> Result<Digest, WireError> {
    let seen = |message: &v1::GossipSeen| {
        let node = node_id("digest.node_id", &message.node_id)?;
        Ok(Seen { node, process: message.process, version: message.version })
    };
    messages.iter().map(seen).collect()
}

/// News as they travel.
pub fn delta_message(delta: Delta) -> Vec<v1::GossipUpdate> {
    let update = |Update { node, process, from, version, facts }| v1::GossipUpdate {
        node_id: node_id_bytes(node),
        process,
        from,
        version,
        facts: facts.into_iter().map(|(version, fact)| fact_message(version, fact)).collect(),
    };
    delta.into_iter().map(update).collect()
}

/// News, from what came. A kind of fact that this program does not know is left out.
pub fn delta(messages: Vec<v1::GossipUpdate>) -> Result<Delta, WireError> {
    messages.into_iter().map(update).collect()
}

fn update(message: v1::GossipUpdate) -> Result<Update, WireError> {
    let node: NodeId = node_id("delta.node_id", &message.node_id)?;
    let (from, version) = (message.from, message.version);
    let known = message.facts.into_iter().filter_map(|fact| Some((fact.version, fact.fact?)));
    let facts =
        known.map(|(version, message)| Ok((version, fact(message)?))).collect::<Result<Vec<_>, _>>()?;
    if facts.iter().any(|(of, _)| *of <= from || *of > version) {
        return Err(WireError("delta.facts.version"));
    }
    Ok(Update { node, process: message.process, from, version, facts })
}

fn fact_message(version: u64, fact: Fact) -> v1::GossipFact {
    let fact = match fact {
        Fact::Addresses(addresses) => {
            Message::Addresses(v1::GossipAddresses { addresses: addresses.to_vec() })
        }
        Fact::Layout(sender) => {
            let v1::Stamp { epoch, step, hash } = stamp_message(sender);
            Message::Layout(v1::GossipLayout { epoch, step, hash })
        }
        Fact::Commits { last, synced } => Message::Commits(v1::GossipCommits { last, synced }),
        Fact::Transfer { wanted, synced } => Message::Transfer(v1::GossipTransfer { wanted, synced }),
        Fact::Phase(phase) => Message::Phase(phase_number(phase)),
    };
    v1::GossipFact { version, fact: Some(fact) }
}

fn fact(message: Message) -> Result<Fact, WireError> {
    Ok(match message {
        Message::Addresses(told) => Fact::Addresses(fit(told.addresses)),
        Message::Layout(v1::GossipLayout { epoch, step, hash }) => {
            Fact::Layout(stamp(Some(&v1::Stamp { epoch, step, hash }))?)
        }
        Message::Commits(v1::GossipCommits { last, synced }) => Fact::Commits { last, synced },
        Message::Transfer(v1::GossipTransfer { wanted, synced }) => Fact::Transfer { wanted, synced },
        Message::Phase(number) => Fact::Phase(phase(number)?),
    })
}

/// A phase as it travels.
pub const fn phase_number(phase: Phase) -> u32 {
    match phase {
        Phase::Starting => 1,
        Phase::Serving => 2,
        Phase::Stopping => 3,
    }
}

const fn phase(number: u32) -> Result<Phase, WireError> {
    match number {
        1 => Ok(Phase::Starting),
        2 => Ok(Phase::Serving),
        3 => Ok(Phase::Stopping),
        _ => Err(WireError("delta.facts.phase")),
    }
}

/// What was heard of a member, as a status shows it.
pub fn heard_of(node: NodeId, facts: &[(u64, Fact)], process: u64) -> v1::HeardOf {
    let introduction = v1::Introduction { process, ..v1::Introduction::default() };
    let mut heard = v1::HeardOf {
        node_id: node_id_bytes(node),
        introduction: Some(introduction),
        ..v1::HeardOf::default()
    };
    for (version, fact) in facts {
        match fact_message(*version, fact.clone()).fact {
            Some(Message::Addresses(told)) => {
                let addresses = told.addresses;
                heard.introduction = Some(v1::Introduction { process, version: *version, addresses });
            }
            Some(Message::Layout(layout)) => heard.layout = Some(layout),
            Some(Message::Commits(commits)) => heard.commits = Some(commits),
            Some(Message::Transfer(transfer)) => heard.transfer = Some(transfer),
            Some(Message::Phase(phase)) => heard.phase = phase,
            None => {}
        }
    }
    heard
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dynamo_ring::fence::SenderStamp;
    use dynamo_ring::{LayoutHash, LayoutId, Stamp, Step};
    use prost::Message as _;

    use super::super::fact::{LONGEST_ADDRESS, MOST_ADDRESSES};
    use super::super::table::AROUND;
    use super::*;

    fn facts() -> Vec<(u64, Fact)> {
        let id = LayoutId { epoch: u64::MAX, hash: LayoutHash([3; 16]) };
        let layout = SenderStamp { stamp: Stamp { epoch: u64::MAX, step: Step::Committed }, id };
        let facts = [
            Fact::Addresses(fit(
                (0..MOST_ADDRESSES).map(|n| format!("{n}{}", "x".repeat(LONGEST_ADDRESS - 1)))
            )),
            Fact::Layout(layout),
            Fact::Commits { last: u64::MAX, synced: u64::MAX },
            Fact::Transfer { wanted: u32::MAX, synced: u32::MAX },
            Fact::Phase(Phase::Serving),
        ];
        (u64::MAX - 9..).zip(facts).collect()
    }

    fn whole() -> Update {
        let (process, version) = (u64::MAX, u64::MAX);
        Update { node: NodeId([1; 16]), process, from: u64::MAX - 10, version, facts: facts() }
    }

    #[test]
    fn news_survive_the_way_and_take_no_more_than_was_reckoned() {
        assert_eq!(delta(delta_message(vec![whole()])), Ok(vec![whole()]));
        let seen = Seen { node: NodeId([2; 16]), process: 3, version: 4 };
        assert_eq!(digest(&digest_message(vec![seen])), Ok(vec![seen]));
        let reckoned = AROUND + whole().facts.iter().map(|(_, fact)| fact.weight()).sum::<usize>();
        let reply = v1::GossipReply { delta: delta_message(vec![whole()]), digest: Vec::new() };
        assert!(reply.encoded_len() <= reckoned, "{} > {reckoned}", reply.encoded_len());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_what_is_not_known_is_left_out() {
        let message = || delta_message(vec![whole()]);
        let mut unknown = message();
        unknown[0].facts[1].fact = None;
        assert_eq!(delta(unknown).unwrap()[0].facts.len(), 4);
        let mut wrong = message();
        wrong[0].facts[4].fact = Some(Message::Phase(4));
        assert_eq!(delta(wrong), Err(WireError("delta.facts.phase")));
        let mut beyond = message();
        beyond[0].version = 1;
        assert_eq!(delta(beyond), Err(WireError("delta.facts.version")));
        let mut nobody = message();
        nobody[0].node_id = Bytes::new();
        assert_eq!(delta(nobody), Err(WireError("delta.node_id")));
        let mut many = message();
        let addresses = (0..100).map(|n| format!("10.0.0.{n}:1")).chain(["x".repeat(1 << 20)]).collect();
        many[0].facts[0].fact = Some(Message::Addresses(v1::GossipAddresses { addresses }));
        let Fact::Addresses(kept) = &delta(many).unwrap()[0].facts[0].1 else { panic!() };
        assert_eq!(kept.len(), MOST_ADDRESSES);
    }
}
