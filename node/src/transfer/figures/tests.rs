use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::layout::state::tests::{fresh, member_id, members, standing};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 3 -> 4 members, seen by the one that comes; its figures begin at 100 s.
fn joining() -> (Standing, Vec<Partition>, Figures) {
    let standing = standing(3, &fresh(3).propose(&members(0..4)).unwrap());
    let gains: Vec<Partition> = standing.gains().into_iter().collect();
    let mut figures = Figures::default();
    let nothing = gains.iter().map(|p| (*p, Copied::default())).collect();
    figures.begin(standing.record.id(), nothing, s(100));
    (standing, gains, figures)
}

fn of(moves: &[Move], partition: Partition) -> &Move {
    moves.iter().find(|one| one.partition == u32::from(partition.0)).unwrap()
}

#[test]
fn a_partition_is_seen_on_its_whole_way_to_this_node() {
    let (standing, gains, mut figures) = joining();
    let (id, p, from) = (standing.record.id(), gains[0], member_id(1));
    let state = |figures: &Figures| of(&figures.moves(&standing, s(110)), p).clone();
    assert_eq!(state(&figures).state(), MoveState::Waiting);
    assert_eq!(state(&figures).bytes_wanted, None, "not 0: nobody has said");

    let copy = (p, from, Work::Copy);
    figures.begins(id, copy, s(108));
    let mut copied = Copied { wanted_bytes: 1000, pulled_bytes: 400, ..Copied::default() };
    figures.note(id, p, &copied, 400, s(109));
    let seen = state(&figures);
    assert_eq!((seen.state(), seen.with), (MoveState::Copying, vec![node_id_bytes(from)]));
    assert_eq!((seen.bytes_wanted, seen.bytes_pulled), (Some(1000), 400));
    assert_eq!((seen.bytes_per_second, seen.left_ms), (Some(200), Some(3000)), "400 in 2 s, 600 are left");
    figures.ends(id, copy);
    assert_eq!(state(&figures).state(), MoveState::Waiting, "cut off: it goes on with somebody");
    assert_eq!((state(&figures).bytes_pulled, state(&figures).bytes_per_second), (400, None));

    copied.pull = Pull::Done;
    figures.note(id, p, &copied, 0, s(109));
    assert_eq!(state(&figures).state(), MoveState::Copied);
    for node in [member_id(1), member_id(0)] {
        figures.begins(id, (p, node, Work::Compare), s(109));
    }
    let both = [0_u8, 1].map(|i| node_id_bytes(member_id(i)));
    assert_eq!((state(&figures).state(), &state(&figures).with[..]), (MoveState::Comparing, &both[..]));
    copied.synced = Some(id);
    figures.note(id, p, &copied, 0, s(109));
    assert_eq!(state(&figures).state(), MoveState::Synced);
}

#[test]
fn in_sum_what_is_not_known_is_guessed_from_what_is_or_said_to_be_unknown() {
    let (standing, gains, mut figures) = joining();
    let id = standing.record.id();
    let wanted = count(gains.len());
    let shown = figures.report(&standing, s(100)).unwrap();
    assert_eq!((shown.partitions_wanted, shown.partitions_unsized), (wanted, wanted));
    assert_eq!((shown.bytes_per_second, shown.left_ms), (None, None), "too early");
    assert_eq!(figures.report(&standing, s(120)).unwrap().left_ms, None, "no size is known");

    let copied = Copied { pull: Pull::Done, wanted_bytes: 100, pulled_bytes: 90, ..Copied::default() };
    figures.note(id, gains[0], &copied, 90, s(101));
    let empty = Copied { pull: Pull::Done, synced: Some(id), ..Copied::default() };
    figures.note(id, gains[1], &empty, 0, s(101));
    let shown = figures.report(&standing, s(109)).unwrap();
    let others = u64::from(wanted) - 2;
    assert_eq!((shown.partitions_synced, u64::from(shown.partitions_unsized)), (1, others));
    assert_eq!(
        (shown.bytes_wanted, shown.bytes_pulled),
        (100 + 50 * others, 90),
        "the others weigh as these"
    );
    assert_eq!(shown.bytes_per_second, Some(10), "90 in 9 s");
    assert_eq!(
        shown.left_ms,
        Some(5000 * others),
        "a pull that is done has nothing left, whatever it carried"
    );
    let shown = figures.report(&standing, s(200)).unwrap();
    assert_eq!((shown.bytes_per_second, shown.left_ms), (Some(0), None), "nothing comes: no end can be told");
}

#[test]
fn without_figures_a_frozen_target_has_everything_and_a_proposed_one_nothing() {
    let record = fresh(3).propose(&members(0..4)).unwrap();
    let (nothing, now) = (Figures::default(), s(5));
    let proposed = nothing.report(&standing(3, &record), now).unwrap();
    assert_eq!((proposed.partitions_synced, proposed.left_ms), (0, None));
    let frozen = nothing.report(&standing(3, &record.freeze().unwrap()), now).unwrap();
    assert_eq!((frozen.partitions_synced, frozen.left_ms), (proposed.partitions_wanted, Some(0)));
    let settled = standing(0, &fresh(3));
    assert_eq!(nothing.report(&settled, now), None);
    assert!(nothing.moves(&settled, now).is_empty());
}

#[test]
fn what_leaves_is_seen_until_it_is_dropped() {
    let proposed = fresh(4).propose(&members(0..3)).unwrap();
    let before = standing(3, &proposed);
    let mut figures = Figures::default();
    let leaving = figures.moves(&before, s(0));
    assert!(!leaving.is_empty() && leaving.iter().all(|one| one.state() == MoveState::Leaving));

    let committed = proposed.freeze().unwrap().switch().unwrap().commit().unwrap();
    let p = Partition(u16::try_from(leaving[0].partition).unwrap());
    let now = Standing { held: Arc::new(BTreeSet::from([p])), ..standing(3, &committed) };
    figures.begins(committed.id(), (p, member_id(1), Work::HandOver), s(0));
    figures.pushed(committed.id(), p, 70);
    figures.pushed(proposed.stable().id(), p, 5);
    let moves = figures.moves(&now, s(0));
    assert_eq!(moves.len(), leaving.len());
    assert_eq!((of(&moves, p).state(), of(&moves, p).bytes_pushed), (MoveState::HandingOver, 70));
    assert_eq!(of(&moves, p).with, [node_id_bytes(member_id(1))]);
    let states: BTreeMap<_, _> = figures.states(Some(&now)).into_iter().collect();
    assert_eq!((states["handing_over"], states["dropped"]), (1, leaving.len() as u64 - 1));
    assert_eq!((states["waiting"], states.len()), (0, 8), "every state has a figure");
}

#[test]
fn a_late_word_of_an_abandoned_target_changes_nothing_and_the_last_rate_is_kept() {
    let (standing, gains, mut figures) = joining();
    let old = standing.record.id();
    figures.note(old, gains[0], &Copied::default(), 5000, s(101));
    assert_eq!(figures.copied_per_second(), Some(5000));
    let other = LayoutId { epoch: old.epoch + 1, ..old };
    figures.begin(other, BTreeMap::new(), s(102));
    let work = (gains[0], member_id(0), Work::Copy);
    figures.begins(old, work, s(103));
    figures.note(old, gains[0], &Copied::default(), 7, s(103));
    figures.ends(old, work);
    assert!(figures.busy.is_empty() && figures.coming.is_empty());
    assert_eq!(figures.copied_per_second(), Some(5000), "of the copying before");
    assert_eq!(figures.report(&standing, s(110)).unwrap().partitions_unsized, count(gains.len()));
}
