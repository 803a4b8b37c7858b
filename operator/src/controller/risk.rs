//! Which partitions losses have left with too few copies: the one thing that no repair can mend.

use dynamo_ring::{Fate, Record};

/// The partitions of which losses have left fewer copies than the writes were promised: N - W + 1 of a write quorum
/// must live for a read of them all to be certain to meet each write.
fn at_risk(record: &Record) -> Vec<u16> {
    let quorum = record.quorum();
    let needed = usize::from(quorum.n - quorum.w) + 1;
    let stable = record.stable();
    let lives = |id| record.fate(id) != Some(Fate::Lost);
    let risky = stable.partitions().iter().filter(|p| {
        let holders = stable.holders(*p);
        let living = holders.filter(|m| lives(&m.node_id)).count();
        living < needed
    });
    risky.map(|p| p.0).collect()
}

/// The same as a sentence; nothing if every write has copies enough.
pub fn sentence(record: &Record) -> Option<String> {
    match at_risk(record).as_slice() {
        [] => None,
        risky => Some(format!(
            "losses left fewer than N - W + 1 copies of partitions {}: acknowledged writes may be missing there",
            listed(risky)
        )),
    }
}

/// The first few, and how many more.
fn listed(items: &[u16]) -> String {
    const SHOWN: usize = 16;
    let shown = items.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::model;

    #[test]
    fn losses_that_leave_too_few_copies_are_named() {
        let record = model::settled(3);
        assert_eq!(sentence(&record), None);
        let one = record.lost(&model::node_id(1)).unwrap();
        assert_eq!(at_risk(&one), Vec::<u16>::new(), "2 of 3 copies: W = 2 of them, N - W + 1 = 2");
        let two = one.lost(&model::node_id(2)).unwrap();
        assert_eq!(at_risk(&two).len(), 16);
        assert!(sentence(&two).unwrap().contains("partitions 0, 1, 2, 3,"));
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(listed(&[1, 2]), "1, 2");
        assert!(listed(&(0..20).collect::<Vec<_>>()).ends_with("15 and 4 more"));
    }
}
