//! How far a change of members has come, summed over those that are to copy something. Pure.
//!
//! A sum of which a part is not known is not known, and is said to be so.

use dynamo_client::change::Look;
use dynamo_client::change::report::stamp;
use dynamo_proto::v1::TargetProgress;
use dynamo_ring::NodeId;
use serde_json::{Value as Json, json};

use crate::text::{human, span};

/// The sums of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Replicas of partitions that have arrived and are compared.
    pub(crate) synced: usize,
    /// Those that move.
    pub(crate) wanted: usize,
    /// Bytes that pulls have carried.
    pub(crate) pulled: u64,
    /// Bytes that are to be carried; nothing while a member cannot tell.
    pub(crate) bytes: Option<u64>,
    /// Bytes a second, together; nothing while a member cannot tell.
    pub(crate) per_second: Option<u64>,
    /// Until the last member has pulled everything: members copy at the same time.
    pub(crate) left_ms: Option<u64>,
}

impl Sum {
    /// Of the change under way, if the members are still copying for it.
    pub(crate) fn of(look: &Look) -> Option<Self> {
        let target = &look.record.target()?.layout;
        let (bytes, per_second, left_ms) = (Some(0), Some(0), Some(0));
        let mut sum = Self { bytes, per_second, left_ms, ..Self::default() };
        for member in target.members() {
            let id = member.node_id;
            let gains = target.partitions_of(&id).filter(|p| !look.record.stable().holds(&id, *p)).count();
            if gains > 0 {
                sum.add(gains, report(look, id));
            }
        }
        Some(sum)
    }

    fn add(&mut self, gains: usize, said: Option<&TargetProgress>) {
        let plus = |sum: Option<u64>, more: Option<u64>| Some(sum?.saturating_add(more?));
        self.wanted += gains;
        let sized = said.filter(|p| p.partitions_unsized == 0 || p.partitions_unsized < p.partitions_wanted);
        self.bytes = plus(self.bytes, sized.map(|p| p.bytes_wanted));
        self.per_second = plus(self.per_second, said.and_then(|p| p.bytes_per_second));
        self.left_ms = self.left_ms.zip(said.and_then(|p| p.left_ms)).map(|(one, other)| one.max(other));
        if let Some(said) = said {
            self.synced +=
                gains.saturating_sub(said.partitions_wanted.saturating_sub(said.partitions_synced) as usize);
            self.pulled = self.pulled.saturating_add(said.bytes_pulled);
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let Self { synced, wanted, pulled, bytes, per_second, left_ms } = self;
        let of = bytes.map_or_else(|| "an unknown amount".into(), human);
        let rate =
            per_second.map_or_else(|| "rate not known yet".into(), |rate| format!("{}/s", human(rate)));
        let left = match left_ms {
            None => ", end not known".to_owned(),
            Some(0) => String::new(),
            Some(ms) => format!(", {} left", span((*ms).max(1000))),
        };
        format!("{synced} of {wanted} partitions synced, {} of {of} copied, {rate}{left}", human(*pulled))
    }

    /// For scripts; null where nothing is known.
    pub(crate) fn json(&self) -> Json {
        json!({
            "partitions_synced": self.synced, "partitions_to_sync": self.wanted,
            "bytes_moved": self.pulled, "bytes_to_move": self.bytes,
            "bytes_per_second": self.per_second, "left_ms": self.left_ms,
        })
    }
}

/// What a member says of the present target.
pub(crate) fn report(look: &Look, member: NodeId) -> Option<&TargetProgress> {
    let progress = look.statuses.get(&member)?.as_ref()?.target.as_ref()?;
    let (_, id) = progress.target.as_ref().and_then(stamp)?;
    (Some(id) == look.record.target().map(|target| target.layout.id())).then_some(progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(wanted: u32, unsized_: u32, per_second: Option<u64>, left_ms: Option<u64>) -> TargetProgress {
        TargetProgress {
            partitions_wanted: wanted,
            partitions_synced: 1,
            bytes_wanted: 4 << 20,
            bytes_pulled: 1 << 20,
            bytes_per_second: per_second,
            partitions_unsized: unsized_,
            left_ms,
            ..TargetProgress::default()
        }
    }

    fn sum(of: &[Option<TargetProgress>]) -> Sum {
        let mut sum = Sum { bytes: Some(0), per_second: Some(0), left_ms: Some(0), ..Sum::default() };
        for said in of {
            sum.add(6, said.as_ref());
        }
        sum
    }

    #[test]
    fn rates_add_up_and_the_slowest_says_when_it_ends() {
        let both = [said(6, 2, Some(1 << 20), Some(3000)), said(6, 0, Some(2 << 20), Some(9000))].map(Some);
        let text = sum(&both).text();
        assert_eq!(text, "2 of 12 partitions synced, 2.0 MiB of 8.0 MiB copied, 3.0 MiB/s, 9 s left");
    }

    #[test]
    fn what_one_member_cannot_tell_is_not_known() {
        let silent = sum(&[Some(said(6, 0, Some(1 << 20), Some(3000))), None]);
        let unknown = "1 of 12 partitions synced, 1.0 MiB of an unknown amount copied, rate not known yet, end not known";
        assert_eq!(silent.text(), unknown);
        assert_eq!((&silent.json()["left_ms"], &silent.json()["bytes_to_move"]), (&Json::Null, &Json::Null));
        let young = sum(&[Some(said(6, 6, None, None))]);
        assert_eq!((young.bytes, young.per_second, young.left_ms), (None, None, None));
    }
}
