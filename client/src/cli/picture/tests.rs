use dynamo_proto::v1::{Move, MoveState, MovesReply, TargetProgress};

use super::*;
use crate::scenes::{look, members, node_id, record, stamp};

fn text(scene: &Scene, width: usize) -> String {
    let lines = scene.draw(Frame { width, height: None });
    lines.iter().map(|line| line.render(width, false) + "\n").collect()
}

/// 3 -> 4 members over 16 partitions: two copies are under way, one partition is synced.
fn moving() -> Scene {
    let proposed = record(3, 16).propose(&members(4)).unwrap();
    let mut look = look(&proposed);
    let journeys = journey::journeys(&proposed, &Said::new());
    let one = |at: usize, state: MoveState| Move {
        partition: journeys[at].partition.0.into(),
        state: state.into(),
        with: vec![node_id(1).as_bytes().to_vec().into()],
        bytes_wanted: Some(4 << 20),
        bytes_pulled: 1 << 20,
        bytes_per_second: Some(1 << 20),
        left_ms: Some(3000),
        ..Move::default()
    };
    let still = |one: Move| Move { bytes_per_second: None, left_ms: None, ..one };
    let (synced, comparing) = (still(one(0, MoveState::Synced)), still(one(2, MoveState::Comparing)));
    let mut moves = vec![synced, one(1, MoveState::Copying), comparing];
    let waiting = journeys[3..].iter().map(|journey| Move {
        partition: journey.partition.0.into(),
        state: MoveState::Waiting.into(),
        ..Move::default()
    });
    moves.extend(waiting);
    let target = TargetProgress {
        target: Some(stamp(&proposed)),
        partitions_wanted: 12,
        partitions_synced: 1,
        partitions_unsized: 9,
        bytes_wanted: 48 << 20,
        bytes_pulled: 3 << 20,
        bytes_per_second: Some(2 << 20),
        left_ms: Some(22_500),
        ..TargetProgress::default()
    };
    for (id, status) in &mut look.statuses {
        let status = status.as_mut().unwrap();
        status.partitions_held = 16;
        status.target = (*id == node_id(3)).then(|| target.clone());
    }
    let reply = MovesReply { layout: Some(stamp(&proposed)), moves };
    Scene::new(look, &Said::from([(node_id(3), Some(reply))]))
}

#[test]
fn a_ring_that_moves_is_one_picture() {
    let expected = "\
3 -> 4 members, 16 partitions, epoch 2  cluster 00000000000000000000000000000000
 propose  [copy]  freeze   switch   commit   hand over   settled
1 of 12 partitions synced, 3.0 MiB of 48.0 MiB copied, 2.0 MiB/s, 22 s left

ring: a column a partition, by its token's owner; below it who comes, and how far
    0 ABCCBACCCABACBBA
      DDDDDDDDDD   D D
      +>~.......   . .

A m-0 [####################] 16 of 16, 0 B
B m-1 [####################] 16 of 16, 0 B
C m-2 [####################] 16 of 16, 0 B
D m-3 [#...................] 1 of 12 synced, 3.0 MiB of 48.0 MiB, 2.0 MiB/s, 22 s left

    1  B -> D  copying      1.0 MiB of 4.0 MiB, 1.0 MiB/s, 3 s left
    2  B -> D  comparing    0 B fetched

. 9 waiting   > 1 copying   ~ 1 comparing   + 1 synced
next: wait while m-0, m-1, m-2, m-3 copy
";
    assert_eq!(text(&moving(), 100), expected);
}

#[test]
fn a_settled_ring_is_who_owns_what() {
    let expected = "\
3 members, 16 partitions, epoch 1  cluster 00000000000000000000000000000000
 propose   copy   freeze   switch   commit   hand over  [settled]

ring: a column a partition, by its token's owner
    0 ABCCBACCCABACBBA

A m-0 [................] 0 of 16, 0 B
B m-1 [................] 0 of 16, 0 B
C m-2 [................] 0 of 16, 0 B
next: nothing; all is well
";
    assert_eq!(text(&Scene::new(look(&record(3, 16)), &Said::new()), 80), expected);
}

#[test]
fn a_silent_member_is_not_made_up() {
    let proposed = record(3, 16).propose(&members(4)).unwrap();
    let mut look = look(&proposed);
    look.statuses.insert(node_id(3), None);
    let text = text(&Scene::new(look, &Said::new()), 80);
    assert!(text.contains("0 of 12 partitions synced, 0 B of an unknown amount copied"), "{text}");
    assert!(text.contains("D m-3 [????????????????] no answer"), "{text}");
    assert!(text.contains("? 12 no answer") && text.contains("bring back m-3"), "{text}");
}

#[test]
fn a_commit_shows_who_goes_and_to_whom() {
    let proposed = record(3, 16).propose(&members(4)).unwrap();
    let committed = proposed.freeze().unwrap().switch().unwrap().commit().unwrap();
    let first = journey::journeys(&committed, &Said::new())[0].clone();
    let gone = Move {
        partition: first.partition.0.into(),
        state: MoveState::HandingOver.into(),
        bytes_pushed: 2048,
        ..Move::default()
    };
    let reply = MovesReply { layout: Some(stamp(&committed)), moves: vec![gone] };
    let text = text(&Scene::new(look(&committed), &Said::from([(first.from[0], Some(reply))])), 90);
    assert!(text.contains("[hand over]") && text.contains("below it who goes"), "{text}");
    assert!(text.contains(" -> D  handing over 2.0 KiB pushed"), "{text}");
}

#[test]
fn no_line_is_wider_or_lower_than_the_terminal_however_small() {
    let large = record(8, 4096).propose(&members(12)).unwrap();
    for scene in [moving(), Scene::new(look(&large), &Said::new())] {
        for width in [0, 1, 7, 20, 33, 64, 500] {
            let lines = scene.draw(Frame { width, height: None });
            assert!(lines.iter().all(|line| line.render(width, false).chars().count() <= width), "{width}");
        }
        let lines = scene.draw(Frame { width: 80, height: Some(40) });
        assert!(lines.len() <= 40, "{} lines", lines.len());
    }
}

#[test]
fn figures_alone_make_no_new_gist() {
    let (before, mut after) = (moving(), moving());
    after.journeys[1].said.bytes_pulled += 1;
    assert_eq!(before.gist(), after.gist());
    after.journeys[1].state = State::Copied;
    assert_ne!(before.gist(), after.gist());
    assert_eq!(after.json()["moves"][1]["state"], "copied");
}
