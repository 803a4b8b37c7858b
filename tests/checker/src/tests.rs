//! Histories that must fail, each beside one that is nearly the same and must pass.

use std::collections::BTreeSet;

use super::*;

struct Script(History);

const STRICT: Terms = Terms { strict: true, quorum: 2, partial: false };
const SLOPPY: Terms = Terms { strict: false, ..STRICT };

impl Script {
    fn new() -> Self {
        Self(History { n: 3, ..History::default() })
    }

    fn op(&mut self, request: Request, terms: Terms, outcome: Outcome) -> OpId {
        let begun = 10 * self.0.ops.len() as u64;
        let (ended, answered) = (begun + 5, terms.quorum);
        self.0.ops.push(Op { ended, outcome, answered, ..Op::begun(1, request, terms, begun) });
        self.0.ops.len() - 1
    }

    fn put(&mut self, value: Value, seen: Option<OpId>) -> OpId {
        self.op(Request::Put { value, seen }, STRICT, Outcome::Acknowledged)
    }

    fn delete(&mut self, seen: OpId) -> OpId {
        self.op(Request::Delete { seen: Some(seen) }, STRICT, Outcome::Acknowledged)
    }

    fn get(&mut self, values: &[Value]) -> OpId {
        self.get_under(STRICT, values)
    }

    fn get_under(&mut self, terms: Terms, values: &[Value]) -> OpId {
        self.op(Request::Get, terms, Outcome::Read(set(values)))
    }

    fn end(mut self, values: &[Value]) -> Vec<Violation> {
        self.0.end.get_or_insert_default().values.insert(1, set(values));
        check(&self.0)
    }
}

fn set(values: &[Value]) -> BTreeSet<Value> {
    values.iter().copied().collect()
}

#[test]
fn an_acknowledged_write_that_is_gone_is_lost_and_one_that_was_replaced_is_not() {
    let mut gone = Script::new();
    gone.put(1, None);
    assert_eq!(gone.end(&[]), [Violation::Lost { write: 0, key: 1 }]);

    let mut replaced = Script::new();
    replaced.put(1, None);
    let read = replaced.get(&[1]);
    replaced.put(2, Some(read));
    assert_eq!(replaced.end(&[2]), []);

    let mut dropped_sibling = Script::new();
    dropped_sibling.put(1, None);
    dropped_sibling.put(2, None);
    assert_eq!(dropped_sibling.end(&[2]), [Violation::Lost { write: 0, key: 1 }], "2 knew nothing of 1");
}

#[test]
fn an_unanswered_write_may_appear_or_not_and_a_refused_one_may_not() {
    for end in [&[][..], &[1]] {
        let mut script = Script::new();
        script.op(Request::Put { value: 1, seen: None }, STRICT, Outcome::Unknown);
        assert_eq!(script.end(end), []);
    }
    let mut refused = Script::new();
    refused.op(Request::Put { value: 1, seen: None }, STRICT, Outcome::Refused);
    assert_eq!(refused.end(&[1]), [Violation::FromNowhere { read: None, key: 1, value: 1 }]);
}

#[test]
fn an_unanswered_write_may_have_replaced_what_it_saw() {
    let mut script = Script::new();
    script.put(1, None);
    let read = script.get(&[1]);
    script.op(Request::Put { value: 2, seen: Some(read) }, STRICT, Outcome::Unknown);
    assert_eq!(script.end(&[2]), []);
}

#[test]
fn a_strict_read_knows_strict_writes_and_a_sloppy_one_need_not() {
    let stale = |terms| {
        let mut script = Script::new();
        script.put(1, None);
        script.get_under(terms, &[]);
        script.end(&[1])
    };
    assert_eq!(stale(STRICT), [Violation::Stale { read: 1, write: 0, key: 1 }]);
    assert_eq!(stale(SLOPPY), []);
}

#[test]
fn a_write_that_was_not_over_when_a_read_began_need_not_be_seen() {
    let mut script = Script::new();
    script.put(1, None);
    script.get(&[]);
    script.0.ops[1].begun = 3;
    assert_eq!(script.end(&[1]), []);
}

#[test]
fn a_value_that_a_delete_covered_does_not_come_back() {
    let history = |end: &[Value]| {
        let mut script = Script::new();
        script.put(1, None);
        let read = script.get(&[1]);
        script.delete(read);
        script.end(end)
    };
    // The delete is lost, and the value is back.
    let (lost, back) =
        (Violation::Lost { write: 2, key: 1 }, Violation::CameBack { write: 0, by: 2, key: 1 });
    assert_eq!(history(&[1]), [lost, back]);
    assert_eq!(history(&[]), []);
}

#[test]
fn a_delete_covers_what_its_read_returned_and_nothing_else() {
    let mut script = Script::new();
    script.put(1, None);
    let read = script.get(&[1]);
    script.put(2, None);
    script.delete(read);
    assert_eq!(script.end(&[]), [Violation::Lost { write: 2, key: 1 }]);
}

#[test]
fn a_value_whose_write_was_repeated_may_stand_beside_what_replaced_it() {
    let mut script = Script::new();
    let put = script.put(1, None);
    script.0.ops[put].repeated = true;
    let read = script.get(&[1]);
    script.put(2, Some(read));
    assert_eq!(script.end(&[1, 2]), []);
}

#[test]
fn what_is_covered_is_covered_through_any_number_of_writes() {
    let mut script = Script::new();
    script.put(1, None);
    for value in 2..9 {
        let read = script.get(&[value - 1]);
        script.put(value, Some(read));
    }
    let resurrected = Script(script.0.clone()).end(&[1, 8]);
    let back = resurrected.iter().filter(|one| matches!(one, Violation::CameBack { .. })).count();
    assert_eq!(back, 7, "each write after the first had replaced it: {resurrected:?}");
    assert_eq!(script.end(&[8]), []);
}

#[test]
fn replicas_that_differ_are_told() {
    let mut script = Script::new();
    script.put(1, None);
    script.0.end.get_or_insert_default().disagreements.push("roots of partition 3 differ".to_owned());
    assert_eq!(script.end(&[1]), [Violation::Apart("roots of partition 3 differ".to_owned())]);
}

#[test]
fn a_value_is_not_returned_beside_one_that_replaced_it_not_even_by_a_sloppy_read() {
    let history = |seen: bool| {
        let mut script = Script::new();
        script.put(1, None);
        let read = script.get(&[1]);
        script.op(Request::Put { value: 2, seen: seen.then_some(read) }, SLOPPY, Outcome::Unknown);
        script.get_under(SLOPPY, &[1, 2]);
        script
    };
    let beside = Violation::Beside { read: Some(3), write: 0, by: 2, key: 1 };
    assert_eq!(history(true).end(&[2]), [beside]);
    assert_eq!(history(false).end(&[1, 2]), [], "2 knew nothing of 1");
    let mut repeated = history(true);
    repeated.0.ops[0].repeated = true;
    assert_eq!(repeated.end(&[2]), [], "the second version of 1 was not seen");
    let at_the_end = Violation::Beside { read: None, write: 0, by: 2, key: 1 };
    let mut only_there = history(true);
    only_there.0.ops.pop();
    assert_eq!(only_there.end(&[1, 2]), [at_the_end], "an unanswered write that stands has taken effect");
}

#[test]
fn a_strict_read_does_not_return_what_a_strict_write_replaced_and_a_sloppy_one_may() {
    let history = |write: Terms, read: Terms| {
        let mut script = Script::new();
        script.put(1, None);
        let seen = script.get(&[1]);
        script.op(Request::Delete { seen: Some(seen) }, write, Outcome::Acknowledged);
        script.get_under(read, &[1]);
        script.end(&[])
    };
    let replaced = Violation::Replaced { read: 3, write: 0, by: 2, key: 1 };
    let stale = Violation::Stale { read: 3, write: 2, key: 1 };
    assert_eq!(history(STRICT, STRICT), [stale, replaced]);
    assert_eq!(history(SLOPPY, STRICT), []);
    assert_eq!(history(STRICT, SLOPPY), []);
}

#[test]
fn quorums_bind_where_they_meet_and_each_request_has_its_own() {
    let history = |w: u32, r: u32, partial: bool, answered: u32| {
        let mut script = Script::new();
        let put = Request::Put { value: 1, seen: None };
        script.op(put, Terms { quorum: w, ..STRICT }, Outcome::Acknowledged);
        let read = script.get_under(Terms { quorum: r, partial, ..STRICT }, &[]);
        script.0.ops[read].answered = answered;
        script.end(&[1])
    };
    let stale = [Violation::Stale { read: 1, write: 0, key: 1 }];
    assert_eq!(history(1, 3, false, 3), stale);
    assert_eq!(history(3, 1, false, 1), stale);
    assert_eq!(history(1, 2, false, 2), [], "1 + 2 is not above 3");
    assert_eq!(history(2, 2, true, 2), stale, "a partial read that found enough is as good as another");
    assert_eq!(history(2, 2, true, 1), [], "and promises less where it did not");
    let short = Violation::Short { op: 1, key: 1, quorum: 3, answered: 2 };
    assert!(history(1, 3, false, 2).contains(&short));
}

#[test]
fn the_context_of_a_write_s_answer_covers_that_write_and_what_it_had_seen() {
    let history = |seen: OpId| {
        let mut script = Script::new();
        script.put(1, None);
        let read = script.get(&[1]);
        script.put(2, Some(read));
        script.put(3, Some(seen));
        script
    };
    assert_eq!(history(2).end(&[3]), []);
    let back = history(2).end(&[1, 3]);
    assert!(back.contains(&Violation::CameBack { write: 0, by: 3, key: 1 }), "{back:?}");
    assert_eq!(history(1).end(&[3]), [Violation::Lost { write: 2, key: 1 }], "the read had not seen 2");
}

#[test]
fn a_delete_explains_a_loss_only_if_it_can_have_taken_effect() {
    let history = |outcome: Outcome, end: &[Value]| {
        let mut script = Script::new();
        script.put(1, None);
        script.put(2, None);
        let read = script.get(&[1, 2]);
        script.op(Request::Delete { seen: Some(read) }, STRICT, outcome);
        script.end(end)
    };
    let lost = Violation::Lost { write: 1, key: 1 };
    assert_eq!(history(Outcome::Unknown, &[]), []);
    assert_eq!(history(Outcome::Unknown, &[1]), [lost], "it covers both or none");
    assert_eq!(history(Outcome::Unknown, &[1, 2]), []);
    assert_eq!(history(Outcome::Refused, &[]).len(), 2);
}

#[test]
fn of_a_run_that_died_the_reads_are_judged_and_the_end_is_not() {
    let mut script = Script::new();
    script.put(1, None);
    script.put(2, None);
    assert_eq!(check(&script.0), []);
    script.get(&[2]);
    assert_eq!(check(&script.0), [Violation::Stale { read: 2, write: 0, key: 1 }]);
}

#[test]
fn an_answer_that_says_it_covers_a_write_has_to_know_it() {
    let demanded = |values: &[Value]| {
        let mut script = Script::new();
        let write = script.op(Request::Put { value: 1, seen: None }, SLOPPY, Outcome::Acknowledged);
        let read = script.get_under(SLOPPY, &[1]);
        script.op(Request::Put { value: 2, seen: Some(read) }, SLOPPY, Outcome::Acknowledged);
        let read = script.get_under(SLOPPY, values);
        script.0.ops[read].covers = Some(write);
        script.end(&[2])
    };
    assert_eq!(demanded(&[1]), []);
    assert_eq!(demanded(&[2]), [], "what replaced it covers it");
    assert_eq!(demanded(&[]), [Violation::Uncovered { read: 3, write: 0, key: 1 }]);
}
