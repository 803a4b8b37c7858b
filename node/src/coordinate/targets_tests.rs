use dynamo_ring::{ClusterId, Member, Partitions, Quorum, Record, plan};

use super::*;

fn member(i: u8) -> Member {
    let address = format!("cart-{i}.cart-peers:7070");
    Member {
        name: format!("cart-{i}"),
        node_id: NodeId([i + 1; 16]),
        zone: String::new(),
        address,
        weight: 1,
    }
}

fn record(count: u8) -> Record {
    let members: Vec<_> = (0..count).map(member).collect();
    let layout = plan::first(&members, Partitions::new(16).unwrap(), 3, ClusterId([7; 16])).unwrap();
    Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
}

fn change() -> [Record; 4] {
    let members: Vec<_> = (0..6).map(member).collect();
    let proposed = record(5).propose(&members).unwrap();
    let frozen = proposed.freeze().unwrap();
    let switched = frozen.switch().unwrap();
    let committed = switched.commit().unwrap();
    [proposed, frozen, switched, committed]
}

#[test]
fn writes_go_to_the_holders_of_both_layouts_and_count_for_what_each_holds() {
    for record in change() {
        for partition in record.stable().partitions().iter() {
            let targets = WriteTargets::of(record.view(), partition);
            for layout in record.view().write_layouts() {
                for holder in layout.holders(partition) {
                    assert!(targets.sides_of(holder.node_id).is_some());
                }
            }
            for holder in &targets.holders {
                assert_eq!(holder.sides.stable, record.stable().holds(&holder.node, partition));
                let target = record.target().is_some_and(|t| t.layout.holds(&holder.node, partition));
                assert_eq!(holder.sides.target, target);
            }
            assert_eq!(targets.sides.target, record.target().is_some());
        }
    }
}

#[test]
fn every_member_is_a_holder_or_a_fallback_once() {
    for record in change() {
        for partition in record.stable().partitions().iter() {
            let targets = WriteTargets::of(record.view(), partition);
            let mut all: Vec<_> = targets
                .holders
                .iter()
                .map(|h| h.node)
                .chain(targets.fallbacks.iter().map(|f| f.node))
                .collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
            assert_eq!(count, record.view().write_layouts().map(|l| l.members().len()).max().unwrap());
        }
    }
}

#[test]
fn who_is_named_by_the_target_alone_counts_for_the_target_alone() {
    for record in change() {
        for partition in record.stable().partitions().iter() {
            for fallback in WriteTargets::of(record.view(), partition).fallbacks {
                assert_eq!(fallback.counts.stable, record.stable().names(&fallback.node));
                assert!(fallback.counts.target);
            }
        }
    }
}

#[test]
fn reads_follow_the_switch_and_repair_the_other_layout_too() {
    for record in change() {
        for partition in record.stable().partitions().iter() {
            let me = NodeId([2; 16]);
            let layout = record.view().read_layout();
            let targets = ReadTargets::of(record.view(), partition, me);
            assert_eq!(targets.holders.len(), 3);
            assert!(targets.holders.iter().all(|node| layout.holds(node, partition)));
            assert_eq!(targets.holders[0] == me, layout.holds(&me, partition));
            assert!(
                targets
                    .others
                    .iter()
                    .all(|node| { !layout.holds(node, partition) && record.view().holds(node, partition) })
            );
        }
    }
}

#[test]
fn the_suspected_come_last_and_nobody_is_left_out() {
    let record = record(5);
    let (view, partition) = (record.view(), Partition(3));
    let plain = WriteTargets::of(view, partition);
    let holders: Vec<NodeId> = plain.holders.iter().map(|holder| holder.node).collect();
    let doubted = [holders[0], plain.fallbacks[0].node];
    let suspected = |node: NodeId| doubted.contains(&node);
    let write = plain.clone().doubting(suspected);
    let last = |nodes: &[NodeId]| [&nodes[1..], &nodes[..1]].concat();
    let standing_in =
        |targets: &WriteTargets| -> Vec<NodeId> { targets.fallbacks.iter().map(|f| f.node).collect() };
    assert_eq!(standing_in(&write), last(&standing_in(&plain)));
    let outsider = plain.fallbacks[1].node;
    assert_eq!(route(&write, outsider, false, false, false, |_| true), Route::Forward(last(&holders)));

    let plain = ReadTargets::of(view, partition, outsider);
    let read = plain.clone().doubting(suspected);
    assert_eq!((read.holders, read.fallbacks), (last(&plain.holders), last(&plain.fallbacks)));
    let mine = ReadTargets::of(view, partition, holders[1]).doubting(suspected);
    assert_eq!(mine.holders[0], holders[1], "the own copy is asked first, whoever else is suspected");
}

#[test]
fn lesson_4_a_write_is_forwarded_at_most_once() {
    let record = record(5);
    let partition = Partition(3);
    let targets = WriteTargets::of(record.view(), partition);
    let holders: Vec<_> = targets.holders.iter().map(|holder| holder.node).collect();
    let outsider = targets.fallbacks[0].node;
    let from = |me, forwarded| route(&targets, me, true, forwarded, false, |_| true);
    assert_eq!(from(holders[2], false), Route::Here(Own::Holder));
    assert_eq!(from(holders[2], true), Route::Here(Own::Holder));
    assert_eq!(from(outsider, false), Route::Forward(holders.clone()));
    assert_eq!(from(outsider, true), Route::NotMine);

    let not_ready = route(&targets, holders[0], false, false, false, |_| true);
    assert_eq!(not_ready, Route::Forward(holders[1..].to_vec()), "its store does not take the key yet");
}

#[test]
fn without_a_reachable_holder_an_outsider_stands_in_unless_strict() {
    let record = record(5);
    let targets = WriteTargets::of(record.view(), Partition(3));
    let (first, outsider) = (targets.holders[0].node, targets.fallbacks[0].node);
    let nobody = |_| false;
    assert_eq!(route(&targets, outsider, false, false, false, nobody), Route::Here(Own::StandsInFor(first)));
    assert_eq!(route(&targets, outsider, false, false, true, nobody), Route::Nowhere);
    assert_eq!(route(&targets, outsider, false, true, false, nobody), Route::NotMine);
}
