//! The layout record as far as this client knows it. Records only ever get newer.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dynamo_ring::Record;

/// What came of a record that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    Newer,
    NotNewer,
    /// An address reaches another cluster.
    OtherCluster(String),
}

/// The newest record seen.
#[derive(Debug, Default)]
pub(crate) struct Knowledge(ArcSwapOption<Record>);

impl Knowledge {
    pub(crate) fn record(&self) -> Option<Arc<Record>> {
        self.0.load_full()
    }

    /// Takes `offered` if it is newer than what is known. Two tasks that offer at once may leave the older one; the
    /// next answer then shows it.
    pub(crate) fn offer(&self, offered: Record) -> Taken {
        match self.record() {
            Some(mine) if mine.cluster_id() != offered.cluster_id() => {
                return Taken::OtherCluster(format!(
                    "it belongs to cluster {}, the others to {}",
                    offered.cluster_id(),
                    mine.cluster_id()
                ));
            }
            Some(mine) if !newer(&mine, &offered) => return Taken::NotNewer,
            _ => {}
        }
        self.0.store(Some(Arc::new(offered)));
        Taken::Newer
    }

    /// Whether an answer that was served at `epoch` shows that the record known may be old.
    pub(crate) fn doubts(&self, epoch: u64) -> bool {
        self.record().is_none_or(|record| epoch != record.view().read_layout().epoch())
    }

    /// Whether a change is under way: the record is then looked at more often.
    pub(crate) fn moving(&self) -> bool {
        self.record().is_none_or(|record| !record.settled())
    }
}

/// Stamps order records; the last step of a change, settling, leaves the stamp as it is.
fn newer(mine: &Record, offered: &Record) -> bool {
    let settles = mine.previous().is_some() && offered.previous().is_none();
    offered.stamp() > mine.stamp() || (offered.stamp() == mine.stamp() && settles)
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, plan};

    use super::*;

    fn members(count: u8) -> Vec<Member> {
        let member = |i: u8| Member {
            name: format!("cart-{i}"),
            node_id: NodeId([i; 16]),
            zone: String::new(),
            address: format!("cart-{i}:7070"),
            weight: 1,
        };
        (0..count).map(member).collect()
    }

    fn first(cluster: u8) -> Record {
        let layout =
            plan::first(&members(3), Partitions::new(8).unwrap(), 3, ClusterId([cluster; 16])).unwrap();
        Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
    }

    #[test]
    fn records_only_get_newer() {
        let settled = first(1);
        let proposed = settled.propose(&members(4)).unwrap();
        let switched = proposed.freeze().unwrap().switch().unwrap();
        let committed = switched.commit().unwrap();
        let all = [settled, proposed, switched, committed.clone(), committed.settle().unwrap()];
        let known = Knowledge::default();
        for (i, record) in all.iter().enumerate() {
            assert_eq!(known.offer(record.clone()), Taken::Newer, "{i}");
            for older in &all[..=i] {
                assert_eq!(known.offer(older.clone()), Taken::NotNewer, "{i}");
            }
        }
        assert!(!known.moving());
    }

    #[test]
    fn another_clusters_record_is_not_taken() {
        let known = Knowledge::default();
        assert!(known.moving() && known.doubts(1), "nothing is known yet");
        known.offer(first(1));
        assert!(matches!(known.offer(first(2)), Taken::OtherCluster(_)));
        assert!(!known.doubts(1) && known.doubts(2));
    }
}
