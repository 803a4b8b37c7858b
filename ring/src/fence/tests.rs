use super::*;
use crate::record::tests::{change, fresh, member, members};

fn of(record: &Record) -> SenderStamp {
    SenderStamp::of(record)
}

#[test]
fn equal_and_one_before_are_served_older_and_newer_are_not() {
    // `settle` moves no stamp, so the five records are five steps in a row.
    let steps = change();
    for (at, mine) in steps.iter().enumerate() {
        for (from, sender) in steps.iter().enumerate() {
            let expected = match at.checked_sub(from) {
                None => Verdict::IAmOld,
                Some(0 | 1) => Verdict::Accept,
                Some(_) => Verdict::SenderIsOld,
            };
            assert_eq!(judge(mine, of(sender)), expected, "{} asks {}", of(sender), of(mine));
        }
    }
}

#[test]
fn a_replaced_target_is_old_but_the_layout_that_serves_is_not() {
    let [settled, proposed, ..] = change();
    let replaced = proposed.propose(&members(0..5)).unwrap();
    let again = replaced.propose(&members(0..4)).unwrap();
    assert_eq!(judge(&replaced, of(&proposed)), Verdict::SenderIsOld);
    assert_eq!(judge(&again, of(&proposed)), Verdict::SenderIsOld, "and so is one replaced before");
    assert_eq!(judge(&replaced, of(&settled)), Verdict::Accept);
    assert_eq!(judge(&proposed, of(&replaced)), Verdict::IAmOld);
}

#[test]
fn the_commit_of_another_epoch_is_not_one_before() {
    let [settled, .., committed] = change();
    let next = committed.settle().unwrap().propose(&members(0..5)).unwrap();
    assert_eq!(judge(&next, of(&committed)), Verdict::Accept);
    assert_eq!(judge(&next, of(&settled)), Verdict::SenderIsOld);
}

/// Two proposals made from one record by two who did not see each other.
fn twins() -> [Record; 2] {
    [fresh(3).propose(&members(0..4)).unwrap(), fresh(3).propose(&members(0..5)).unwrap()]
}

#[test]
fn two_layouts_of_one_epoch_conflict() {
    let [a, b] = twins();
    assert_eq!(judge(&a, of(&b)), Verdict::Conflict);
    assert!(matches!(may_take(Some(&a), &b, member(0).node_id), Err(Refusal::SecondHash { .. })));
    let replaced = a.propose(&members(0..6)).unwrap();
    assert_eq!(judge(&replaced, of(&b)), Verdict::Conflict, "the replaced one is known by its hash too");
    let lying = SenderStamp { stamp: fresh(3).stamp(), id: a.id() };
    assert_eq!(judge(&a, lying), Verdict::Conflict);
}

#[test]
fn a_member_takes_what_is_ahead_and_nothing_else() {
    let me = member(0).node_id;
    let steps = change();
    for (at, mine) in steps.iter().enumerate() {
        assert_eq!(may_take(None, mine, me), Ok(Take::New));
        for (from, offered) in steps.iter().enumerate() {
            let taken = may_take(Some(mine), offered, me);
            match from.cmp(&at) {
                std::cmp::Ordering::Less => assert!(matches!(taken, Err(Refusal::Old { .. })), "{taken:?}"),
                std::cmp::Ordering::Equal => assert_eq!(taken, Ok(Take::Same)),
                std::cmp::Ordering::Greater => assert_eq!(taken, Ok(Take::New)),
            }
        }
    }
    let committed = &steps[4];
    let settled = committed.settle().unwrap();
    assert_eq!(may_take(Some(committed), &settled, me), Ok(Take::New));
    assert!(matches!(may_take(Some(&settled), committed, me), Err(Refusal::Old { .. })));
}

#[test]
fn a_promise_holds_until_the_record_shows_that_it_was_kept() {
    let me = member(0).node_id;
    let [_, proposed, frozen, switched, committed] = change();
    let other = proposed.propose(&members(0..5)).unwrap();
    for mine in [&frozen, &switched] {
        let refused = may_take(Some(mine), &other, me).unwrap_err();
        assert_eq!(refused, Refusal::Promised { promised: mine.id(), offered: other.id() });
        let later = other.freeze().unwrap().switch().unwrap().commit().unwrap();
        assert!(matches!(may_take(Some(mine), &later, me), Err(Refusal::Promised { .. })));

        let next = committed.settle().unwrap().propose(&members(0..5)).unwrap();
        assert_eq!(may_take(Some(mine), &next, me), Ok(Take::New), "S is what was promised");
    }
    assert_eq!(may_take(Some(&proposed), &other, me), Ok(Take::New), "nothing was promised yet");
}

#[test]
fn a_member_that_was_away_takes_a_later_change() {
    let [settled, .., committed] = change();
    let later = committed.settle().unwrap().propose(&members(0..5)).unwrap().freeze().unwrap();
    assert_eq!(may_take(Some(&settled), &later, member(0).node_id), Ok(Take::New));
}

#[test]
fn a_branch_from_a_stale_copy_is_refused() {
    // Proposed twice on a copy in which the commit never happened: its epoch is high, its S is old.
    let me = member(0).node_id;
    let [_, proposed, .., committed] = change();
    let branch = proposed.propose(&members(0..5)).unwrap();
    assert!(branch.stamp() > committed.stamp());
    assert!(matches!(may_take(Some(&committed), &branch, me), Err(Refusal::Old { .. })));
}

#[test]
fn fates_are_not_taken_back() {
    let me = member(0).node_id;
    let [settled, proposed, ..] = change();
    let gone = member(2).node_id;
    let lost = settled.lost(&gone).unwrap();
    assert_eq!(may_take(Some(&settled), &lost, me), Ok(Take::New), "a loss moves no stamp, but is news");
    assert_eq!(may_take(Some(&lost), &settled, me), Err(Refusal::Forgets(gone)));
    assert_eq!(may_take(Some(&lost), &proposed, me), Err(Refusal::Forgets(gone)));
    assert_eq!(may_take(None, &lost, gone), Err(Refusal::Barred(Fate::Lost)));
}

#[test]
fn another_clusters_record_is_refused() {
    let mine = fresh(3);
    let mut json = serde_json::to_value(&mine).unwrap();
    let other = serde_json::to_value(ClusterId([8; 16])).unwrap();
    json["cluster_id"] = other.clone();
    json["stable"]["cluster_id"] = other;
    json["stable"].as_object_mut().unwrap().remove("hash");
    let theirs = Record::from_json(&json.to_string()).unwrap();
    let refused = may_take(Some(&mine), &theirs, member(0).node_id).unwrap_err();
    assert!(matches!(refused, Refusal::OtherCluster { .. }));
}
