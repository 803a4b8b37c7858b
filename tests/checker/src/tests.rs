//! Histories that must fail, each beside one that is nearly the same and must pass.

use std::collections::BTreeSet;

use super::*;

struct Script(History);

impl Script {
    fn new() -> Self {
        Self(History::default())
    }

    fn op(&mut self, request: Request, strict: bool, outcome: Outcome) -> OpId {
        let begun = 10 * self.0.ops.len() as u64;
        let op = Op { key: 1, request, strict, repeated: false, begun, ended: begun + 5, outcome };
        self.0.ops.push(op);
        self.0.ops.len() - 1
    }

    fn put(&mut self, value: Value, seen: Option<OpId>) -> OpId {
        self.op(Request::Put { value, seen }, true, Outcome::Acknowledged)
    }

    fn delete(&mut self, seen: OpId) -> OpId {
        self.op(Request::Delete { seen: Some(seen) }, true, Outcome::Acknowledged)
    }

    fn get(&mut self, values: &[Value]) -> OpId {
        self.op(Request::Get, true, Outcome::Read(set(values)))
    }

    fn end(mut self, values: &[Value]) -> Vec<Violation> {
        self.0.end.values.insert(1, set(values));
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
        script.op(Request::Put { value: 1, seen: None }, true, Outcome::Unknown);
        assert_eq!(script.end(end), []);
    }
    let mut refused = Script::new();
    refused.op(Request::Put { value: 1, seen: None }, true, Outcome::Refused);
    assert_eq!(refused.end(&[1]), [Violation::FromNowhere { read: 1, key: 1, value: 1 }]);
}

#[test]
fn an_unanswered_write_may_have_replaced_what_it_saw() {
    let mut script = Script::new();
    script.put(1, None);
    let read = script.get(&[1]);
    script.op(Request::Put { value: 2, seen: Some(read) }, true, Outcome::Unknown);
    assert_eq!(script.end(&[2]), []);
}

#[test]
fn a_strict_read_knows_strict_writes_and_a_sloppy_one_need_not() {
    let stale = |strict: bool| {
        let mut script = Script::new();
        script.put(1, None);
        script.op(Request::Get, strict, Outcome::Read(BTreeSet::new()));
        script.end(&[1])
    };
    assert_eq!(stale(true), [Violation::Stale { read: 1, write: 0, key: 1 }]);
    assert_eq!(stale(false), []);
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
    assert_eq!(history(&[1]), [Violation::CameBack { write: 0, by: 2, key: 1 }]);
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
    assert_eq!(resurrected.len(), 7, "each write after the first had replaced it: {resurrected:?}");
    assert_eq!(script.end(&[8]), []);
}

#[test]
fn replicas_that_differ_are_told() {
    let mut script = Script::new();
    script.put(1, None);
    script.0.end.disagreements.push("roots of partition 3 differ".to_owned());
    assert_eq!(script.end(&[1]), [Violation::Apart("roots of partition 3 differ".to_owned())]);
}
