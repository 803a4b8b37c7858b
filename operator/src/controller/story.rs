//! The story of a change, as Events: what `kubectl describe` shows. Told once a step has succeeded, from what it did.

use dynamo_ring::{Fate, Record, Step as Phase, plan as placement};
use kube::runtime::events::EventType;

use super::observed::Observed;
use super::plan::{Step, Why};
use super::risk;
use crate::api::cluster::DynamoClusterStatus;
use crate::names::Names;

/// One sentence of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tale {
    /// Whether a person should look.
    pub type_: EventType,
    /// One word.
    pub reason: &'static str,
    /// The sentence.
    pub note: String,
}

impl Tale {
    /// It tells of the end of a member.
    pub fn is_removal(&self) -> bool {
        matches!(self.reason, "MemberRetired" | "MemberLost")
    }
}

/// What a step that has succeeded is worth telling. Steps that are repeated until they take hold are not.
pub fn tell(step: &Step, observed: &Observed, names: &Names) -> Vec<Tale> {
    let normal = |reason, note| vec![Tale { type_: EventType::Normal, reason, note }];
    match step {
        Step::CreateStatefulSet(claims) => {
            normal("StatefulSetCreated", format!("{} pods are wanted", claims.replicas))
        }
        Step::ApplyStatefulSet { claims, .. } => match &observed.statefulset {
            Some(live) if live.replicas < claims.replicas => {
                normal("PodsAdded", format!("{} -> {} pods", live.replicas, claims.replicas))
            }
            Some(live) if live.replicas > claims.replicas => {
                let note = format!(
                    "{} -> {} pods: the members of the others have retired or were never named",
                    live.replicas, claims.replicas
                );
                normal("PodsRemoved", note)
            }
            _ => Vec::new(),
        },
        Step::CreateLayout(record) => {
            let members = record.stable().members().len();
            let note = format!(
                "{members} members, {} partitions, cluster {}",
                record.stable().partitions(),
                record.cluster_id()
            );
            normal("LayoutFormed", note)
        }
        Step::ReplaceLayout { record, .. } => {
            observed.layout.record().map_or_else(Vec::new, |before| chapters(before, record))
        }
        Step::DeleteVolume { ordinal, .. } => {
            normal("VolumeDeleted", format!("{}: its member has retired", names.claim(*ordinal)))
        }
        Step::Restart { ordinal, why, .. } => {
            let why = match why {
                Why::Template => "image or settings have changed",
                Why::Retired => "its member has retired, and a new one is wanted in its place",
                Why::Volume => "its volume is being deleted, and holds nothing",
            };
            normal("PodRestarted", format!("{}: {why}", names.pod(*ordinal)))
        }
        Step::MarkVolume { .. } | Step::Tell { .. } | Step::Retire { .. } | Step::SetPace { .. } => {
            Vec::new()
        }
    }
}

/// The end of a member.
fn removed(lost: bool, name: &str, node_id: &str) -> Tale {
    let note = format!("{name} (node {node_id})");
    if lost {
        Tale { type_: EventType::Warning, reason: "MemberLost", note }
    } else {
        Tale { type_: EventType::Normal, reason: "MemberRetired", note }
    }
}

/// The removals that the status is about to show for the first time. An operator that died between noting one in the
/// record and telling of it leaves that to the next one: each is told before the status that shows it is written.
pub fn removals(before: Option<&DynamoClusterStatus>, after: &DynamoClusterStatus) -> Vec<Tale> {
    let known =
        |node_id: &str| before.is_some_and(|before| before.removals.iter().any(|r| r.node_id == node_id));
    let fresh = after.removals.iter().filter(|removal| !known(&removal.node_id));
    let lost = format!("{:?}", Fate::Lost);
    fresh.map(|removal| removed(removal.fate == lost, &removal.name, &removal.node_id)).collect()
}

/// What is new in a record.
fn chapters(before: &Record, after: &Record) -> Vec<Tale> {
    let mut tales = Vec::new();
    for named in after.named() {
        let was = before.fate(&named.node_id);
        if was == Some(named.fate) {
            continue;
        }
        match named.fate {
            Fate::Active => {}
            Fate::Retired => tales.push(removed(false, &named.name, &named.node_id.to_string())),
            Fate::Lost => tales.push(removed(true, &named.name, &named.node_id.to_string())),
        }
    }
    if let Some(note) = risk::sentence(after)
        && risk::sentence(before).as_ref() != Some(&note)
        && before.stable() == after.stable()
    {
        tales.push(Tale { type_: EventType::Warning, reason: "DataAtRisk", note });
    }
    let epoch = after.stamp().epoch;
    let normal = |reason, note| Tale { type_: EventType::Normal, reason, note };
    match (before.stamp() == after.stamp(), after.step(), after.target()) {
        (false, Phase::Proposed, Some(target)) => {
            let (from, to) = (before.stable().members().len(), target.layout.members().len());
            let moves = placement::moves(before.stable(), &target.layout).len();
            let replaced = if target.replaces.is_some() { ", in place of the one before" } else { "" };
            let note = format!(
                "epoch {epoch}: {from} -> {to} members, {moves} replicas of partitions move{replaced}"
            );
            tales.push(normal("LayoutProposed", note));
        }
        (false, Phase::Frozen, _) => {
            tales
                .push(normal("LayoutFrozen", format!("epoch {epoch}: everything has arrived and is synced")));
        }
        (false, Phase::Switched, _) => {
            tales.push(normal("LayoutSwitched", format!("epoch {epoch}: reads use the new layout")));
        }
        (false, Phase::Committed, _) => {
            tales.push(normal("LayoutCommitted", format!("epoch {epoch}: the new layout serves alone")));
        }
        _ => {}
    }
    if before.previous().is_some() && after.previous().is_none() {
        tales.push(normal("LayoutSettled", format!("epoch {epoch}: every old holder has handed over")));
    }
    tales
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::model;
    use crate::controller::observed::{LayoutSeen, Version};
    use crate::testing::desired;

    fn told(before: &Record, after: Record) -> Vec<String> {
        let at = Version { uid: "u".into(), resource_version: "1".into() };
        let layout = LayoutSeen::Present {
            record: Box::new(before.clone()),
            version: at.clone(),
            owned_as_wanted: true,
        };
        let observed = Observed { layout, ..Observed::default() };
        let step = Step::ReplaceLayout { at, record: Box::new(after) };
        let tales = tell(&step, &observed, &desired(3).names);
        tales.into_iter().map(|tale| format!("{}: {}", tale.reason, tale.note)).collect()
    }

    #[test]
    fn each_step_of_a_change_is_told_once() {
        let mut record = model::settled(5);
        let mut story = Vec::new();
        let mut turn = |next: Record| {
            story.extend(
                told(&record, next.clone()).into_iter().map(|t| t.split(':').next().unwrap().to_owned()),
            );
            record = next;
        };
        let proposed = model::settled(5).propose(&model::members(3)).unwrap();
        turn(proposed.clone());
        turn(proposed.freeze().unwrap());
        turn(proposed.freeze().unwrap().switch().unwrap());
        let committed = proposed.freeze().unwrap().switch().unwrap().commit().unwrap();
        turn(committed.clone());
        let settled = committed.settle().unwrap();
        turn(settled.clone());
        turn(settled.retired(&model::node_id(4)).unwrap());
        assert_eq!(
            story,
            [
                "LayoutProposed",
                "LayoutFrozen",
                "LayoutSwitched",
                "LayoutCommitted",
                "LayoutSettled",
                "MemberRetired"
            ]
        );
    }

    #[test]
    fn a_proposal_says_what_moves() {
        let texts = told(&model::settled(3), model::proposed(3, 5));
        assert!(texts[0].starts_with("LayoutProposed: epoch 2: 3 -> 5 members, "), "{texts:?}");
    }

    #[test]
    fn a_removal_that_nobody_told_is_told_with_the_status_that_shows_it() {
        let removal = |ordinal: u64, fate: &str| crate::api::cluster::Removal {
            name: format!("cart-{ordinal}"),
            node_id: model::node_id(ordinal).to_string(),
            fate: fate.into(),
            at: "2026-01-01T00:00:00Z".into(),
        };
        let status = |removals: &[_]| DynamoClusterStatus {
            removals: removals.to_vec(),
            ..DynamoClusterStatus::default()
        };
        let (retired, lost) = (removal(3, "Retired"), removal(1, "Lost"));
        let before = status(std::slice::from_ref(&retired));
        let after = status(&[lost, retired]);
        let reasons = |tales: &[Tale]| tales.iter().map(|tale| tale.reason).collect::<Vec<_>>();
        assert_eq!(reasons(&removals(Some(&before), &after)), ["MemberLost"]);
        assert_eq!(reasons(&removals(None, &after)), ["MemberLost", "MemberRetired"]);
        assert_eq!(removals(Some(&after), &after), []);
        // As the pass that noted it in the record would have told it.
        let record = model::settled(3);
        let noted = chapters(&record, &record.lost(&model::node_id(1)).unwrap());
        assert_eq!(
            removals(
                None,
                &status(&[crate::api::cluster::Removal { name: "cart-0".into(), ..removal(1, "Lost") }])
            ),
            noted
        );
    }

    #[test]
    fn a_loss_that_leaves_too_few_copies_is_told_with_the_partitions() {
        let record = model::settled(3);
        let one = record.lost(&model::node_id(1)).unwrap();
        let two = one.lost(&model::node_id(2)).unwrap();
        assert_eq!(told(&record, one.clone()), [format!("MemberLost: cart-0 (node {})", model::node_id(1))]);
        let texts = told(&one, two);
        assert!(
            texts[1].starts_with("DataAtRisk: losses left fewer than N - W + 1 copies of partitions 0, 1, 2"),
            "{texts:?}"
        );
    }
}
