//! A history as lines of JSON, one event each: written as it happens, so that a run that died can be judged.

use std::collections::BTreeSet;
use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use crate::history::{End, History, Op, OpId, Outcome, Request, Terms, Value};

/// The version of the format that is written and read here.
pub const VERSION: u32 = 1;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Run {
        /// Of the format.
        version: u32,
        /// Members that hold a key.
        n: u32,
        /// For a person: the seed, and how to run it again.
        about: String,
    },
    /// A request begins. Requests are numbered from 0 in the order of these lines.
    Begun {
        /// Its number.
        op: OpId,
        /// When.
        at: u64,
        /// The key.
        key: u32,
        /// What is asked.
        request: Request,
        /// What is to be promised with it.
        terms: Terms,
    },
    /// A request ends. One without this line was never answered.
    Ended {
        /// Its number.
        op: OpId,
        /// When.
        at: u64,
        /// What the client was told.
        outcome: Outcome,
        /// Distinct members that the answer counts.
        answered: u32,
        /// It may have been carried out more than once.
        repeated: bool,
        /// The write that a read had to cover, and that its answer says it covers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        covers: Option<OpId>,
    },
    /// For a person: a fault, say.
    Note {
        /// When.
        at: u64,
        /// What.
        what: String,
    },
    /// What all replicas of a key answer together when every fault has healed.
    Key {
        /// The key.
        key: u32,
        /// What stands.
        values: BTreeSet<Value>,
    },
    /// What did not agree within the bound.
    Apart {
        /// In words.
        what: String,
    },
    /// The last line: everything has been asked. Without it the run died, and its end is not judged.
    Whole,
}

/// Why lines are no history.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The file.
    #[error("the history cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line that is none of ours.
    #[error("line {line} is no event of a history ({reason}): {text}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
        /// How it begins.
        text: String,
    },
    /// Not a history, or one of another version.
    #[error(
        "the first line is not {{\"run\": ...}} of version {VERSION}: not a history, or one of another version"
    )]
    Title,
}

impl Line {
    /// As it stands in the file, with its line feed.
    ///
    /// # Errors
    /// None that this format can meet: the type of the serialiser has them.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|text| text + "\n")
    }
}

impl History {
    /// Reads lines. A last line without its line feed was cut off when the run died, and is left out.
    ///
    /// # Errors
    /// [`LineError`] at the first line that makes no sense.
    pub fn read(mut lines: impl BufRead) -> Result<Self, LineError> {
        let mut history = Self::default();
        let (mut end, mut text, mut number) = (End::default(), String::new(), 0);
        loop {
            text.clear();
            lines.read_line(&mut text)?;
            let Some(whole) = text.strip_suffix('\n') else { break };
            number += 1;
            let malformed = |reason: String| LineError::Malformed {
                line: number,
                reason,
                text: whole.chars().take(120).collect(),
            };
            let line = serde_json::from_str(whole).map_err(|why| malformed(why.to_string()));
            match (number, line) {
                (1, Ok(Line::Run { version: VERSION, n, .. })) => history.n = n,
                (1, _) => return Err(LineError::Title),
                (_, line) => history.take(line?, &mut end).map_err(malformed)?,
            }
        }
        if number == 0 { Err(LineError::Title) } else { Ok(history) }
    }

    fn take(&mut self, line: Line, end: &mut End) -> Result<(), String> {
        match line {
            Line::Run { .. } => return Err("a second beginning".to_owned()),
            Line::Begun { op, at, key, request, terms } => {
                let begun = Op::begun(key, request, terms, at);
                if op != self.ops.len() {
                    return Err(format!("request {} is the next", self.ops.len()));
                }
                if let Some(seen) = begun.seen().filter(|seen| *seen >= op) {
                    return Err(format!("it carries the context of request {seen}, which comes later"));
                }
                self.ops.push(begun);
            }
            Line::Ended { op, at, outcome, answered, repeated, covers } => {
                if let Some(covers) = covers.filter(|covers| *covers >= self.ops.len()) {
                    return Err(format!("it covers request {covers}, which did not begin"));
                }
                let known = self.ops.get_mut(op).ok_or("a request that did not begin")?;
                (known.ended, known.outcome, known.answered, known.repeated) =
                    (at, outcome, answered, repeated);
                known.covers = covers;
            }
            Line::Note { .. } => {}
            Line::Key { key, values } => {
                end.values.insert(key, values);
            }
            Line::Apart { what } => end.disagreements.push(what),
            Line::Whole => self.end = Some(std::mem::take(end)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { strict: true, quorum: 2, partial: false };

    fn lines() -> Vec<Line> {
        let put = Request::Put { value: 7, seen: None };
        vec![
            Line::Run { version: VERSION, n: 3, about: "seed 1".to_owned() },
            Line::Begun { op: 0, at: 5, key: 1, request: put, terms: TERMS },
            Line::Note { at: 6, what: "killed dev-1".to_owned() },
            Line::Begun { op: 1, at: 7, key: 1, request: Request::Get, terms: TERMS },
            Line::Ended {
                op: 0,
                at: 8,
                outcome: Outcome::Acknowledged,
                answered: 2,
                repeated: true,
                covers: None,
            },
            Line::Key { key: 1, values: BTreeSet::from([7]) },
            Line::Apart { what: "a hint is left".to_owned() },
            Line::Whole,
        ]
    }

    fn read(lines: &[Line], more: &str) -> Result<History, LineError> {
        let text: String = lines.iter().map(|line| line.text().unwrap()).collect();
        History::read((text + more).as_bytes())
    }

    #[test]
    fn what_was_written_is_read() {
        let history = read(&lines(), "").unwrap();
        assert_eq!((history.n, history.ops.len()), (3, 2));
        let put = &history.ops[0];
        assert_eq!((put.begun, put.ended, put.answered, put.repeated), (5, 8, 2, true));
        assert_eq!((history.ops[1].ended, &history.ops[1].outcome), (u64::MAX, &Outcome::Unknown));
        let end = history.end.unwrap();
        assert_eq!(end.values[&1], BTreeSet::from([7]));
        assert_eq!(end.disagreements, ["a hint is left"]);
    }

    #[test]
    fn a_run_that_died_has_no_end_and_its_last_line_may_be_cut_off() {
        let history = read(&lines()[..6], "{\"ended\":{\"op\":1,").unwrap();
        assert_eq!((history.ops.len(), history.end), (2, None));
    }

    #[test]
    fn what_makes_no_sense_is_named_by_its_line() {
        let twice = [&lines()[..2], &lines()[1..2]].concat();
        assert!(read(&twice, "").unwrap_err().to_string().starts_with("line 3 "));
        assert!(read(&lines(), "junk\n").unwrap_err().to_string().starts_with("line 9 "));
        let later = Request::Delete { seen: Some(1) };
        let forward = Line::Begun { op: 0, at: 5, key: 1, request: later, terms: TERMS };
        assert!(read(&[lines()[0].clone(), forward], "").is_err());
        assert!(matches!(read(&lines()[1..], ""), Err(LineError::Title)));
        assert!(matches!(read(&[], ""), Err(LineError::Title)));
    }
}
