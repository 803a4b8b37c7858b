//! The first layout: made only of nodes that have just said that they have neither a layout nor data.

use dynamo_proto::v1 as proto;
use dynamo_ring::{ClusterId, Member, Partitions, PlanError, Quorum, Record, plan, record::RecordError};

use super::report::node_id;

/// A node that is to be a member: where it is, and what it has just said.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// `host:port`.
    pub address: String,
    /// Its failure domain; empty where there are none.
    pub zone: String,
    /// Its answer; none if it gave none.
    pub status: Option<proto::NodeStatus>,
}

/// Why there is no first layout.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// Nobody knows whether it holds data. Wait for it.
    #[error("{0} could not be asked whether it holds data: start it, or wait for it")]
    Silent(String),
    /// It belongs to a cluster, or did. A second first layout would hide its data.
    #[error(
        "{0} has a layout already: it belongs to a cluster; use empty data directories, or that cluster's record"
    )]
    HasLayout(String),
    /// It holds data that no layout would lead to.
    #[error("{0} holds data already: use empty data directories")]
    HasData(String),
    /// It said who it is in a way that this program does not understand.
    #[error("{0} answered without a name or a node id; are the programs of one version?")]
    NoIdentity(String),
    /// No layout can be made of these.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The quorum does not fit.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The member that a candidate is.
pub fn member(candidate: &Candidate) -> Result<Member, FormError> {
    let address = candidate.address.clone();
    let Some(status) = &candidate.status else { return Err(FormError::Silent(address)) };
    match node_id(&status.node_id) {
        Some(node_id) if !status.name.is_empty() => Ok(Member {
            name: status.name.clone(),
            node_id,
            zone: candidate.zone.clone(),
            address,
            weight: 1,
        }),
        _ => Err(FormError::NoIdentity(address)),
    }
}

/// The record of a cluster's first layout.
pub fn first(
    candidates: &[Candidate],
    partitions: Partitions,
    quorum: Quorum,
    cluster_id: ClusterId,
) -> Result<Record, FormError> {
    let mut members = Vec::new();
    for candidate in candidates {
        let member = member(candidate)?;
        let Some(status) = &candidate.status else { continue };
        if !status.record.is_empty() || status.stage() != proto::Stage::Dormant {
            return Err(FormError::HasLayout(member.address));
        }
        if status.has_data {
            return Err(FormError::HasData(member.address));
        }
        members.push(member);
    }
    let layout = plan::first(&members, partitions, quorum.n, cluster_id)?;
    Ok(Record::first(layout, quorum)?)
}

#[cfg(test)]
pub(super) mod tests {
    use dynamo_ring::NodeId;

    use super::*;

    const QUORUM: Quorum = Quorum { n: 3, r: 2, w: 2 };

    pub(in crate::change) fn member(i: u8) -> Member {
        Member {
            name: format!("dev-{i}"),
            node_id: NodeId([i; 16]),
            zone: String::new(),
            address: format!("127.0.0.1:{}", 7000 + u16::from(i)),
            weight: 1,
        }
    }

    fn candidate(i: u8) -> Candidate {
        let member = member(i);
        let status = proto::NodeStatus {
            node_id: member.node_id.as_bytes().to_vec().into(),
            name: member.name,
            stage: proto::Stage::Dormant.into(),
            ..proto::NodeStatus::default()
        };
        Candidate { address: member.address, zone: String::new(), status: Some(status) }
    }

    fn form(candidates: &[Candidate]) -> Result<Record, FormError> {
        first(candidates, Partitions::new(16).unwrap(), QUORUM, ClusterId([7; 16]))
    }

    pub(in crate::change) fn record(count: u8) -> Record {
        form(&(0..count).map(candidate).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn dormant_nodes_without_data_make_a_layout() {
        let members: Vec<_> = (0..4).map(member).collect();
        assert_eq!(record(4).stable().members(), members);
    }

    #[test]
    fn one_that_is_silent_or_holds_anything_stops_it() {
        let with = |change: fn(&mut Candidate)| {
            let mut candidates: Vec<_> = (0..3).map(candidate).collect();
            change(&mut candidates[1]);
            form(&candidates)
        };
        assert!(matches!(with(|c| c.status = None), Err(FormError::Silent(_))));
        assert!(matches!(with(|c| c.status.as_mut().unwrap().has_data = true), Err(FormError::HasData(_))));
        let named = with(|c| c.status.as_mut().unwrap().record = "{}".into());
        assert!(matches!(named, Err(FormError::HasLayout(_))));
        let retired = with(|c| c.status.as_mut().unwrap().set_stage(proto::Stage::Retired));
        assert!(matches!(retired, Err(FormError::HasLayout(_))));
        let nameless = with(|c| c.status.as_mut().unwrap().name.clear());
        assert!(matches!(nameless, Err(FormError::NoIdentity(_))));
        assert!(matches!(form(&[candidate(0), candidate(1)]), Err(FormError::Plan(_))), "fewer than n");
    }
}
