//! A cluster's ring as a person watches it: who owns what, what moves where and how far that is, member by member. Pure:
//! what was seen, to lines.

pub(crate) mod band;
pub(crate) mod bars;
pub(crate) mod journey;
pub(crate) mod style;

use std::collections::BTreeMap;

use dynamo_client::change::Look;
use dynamo_client::change::report::stamp;
use dynamo_ring::{NodeId, Record, Stamp, Step};
use serde_json::{Value as Json, json};

use self::journey::{Journey, Said, State, journeys};
use self::style::{Line, Style};
use crate::progress::Sum;
use crate::status::advice;
use crate::text::{human, span};

/// Moves that are listed one by one.
const LISTED: usize = 8;
/// The steps of a change, as they follow each other.
const STEPS: [&str; 7] = ["propose", "copy", "freeze", "switch", "commit", "hand over", "settled"];

/// What was seen at one moment.
#[derive(Debug)]
pub(crate) struct Scene {
    look: Look,
    journeys: Vec<Journey>,
    letters: Letters,
}

/// Where it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Columns.
    pub(crate) width: usize,
    /// Lines, if there is a limit.
    pub(crate) height: Option<usize>,
}

/// What a picture says apart from figures that change all the time: the picture is worth drawing again when this differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gist {
    stamp: Stamp,
    step: usize,
    answers: Vec<NodeId>,
    states: Vec<State>,
}

/// A letter and a number for each member, in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct Letters(BTreeMap<NodeId, usize>);

impl Letters {
    fn of(record: &Record) -> Self {
        let mut members: Vec<_> = record.view().members().collect();
        // cart-2 before cart-10.
        members.sort_by_key(|member| (member.name.len(), &member.name));
        Self(members.iter().enumerate().map(|(at, member)| (member.node_id, at)).collect())
    }

    /// Its place.
    pub(crate) fn place(&self, id: &NodeId) -> Option<usize> {
        self.0.get(id).copied()
    }

    /// Its letter; a star past those that there are.
    pub(crate) fn letter(&self, id: &NodeId) -> char {
        let letters = ('A'..='Z').chain('a'..='z').chain('0'..='9');
        self.place(id).and_then(|at| letters.into_iter().nth(at)).unwrap_or('*')
    }

    fn style(&self, id: &NodeId) -> Style {
        self.place(id).map_or(Style::Plain, Style::Member)
    }

    fn all(&self, ids: &[NodeId]) -> String {
        ids.iter().map(|id| self.letter(id)).collect()
    }
}

impl Scene {
    /// What the members say of themselves and of their moves.
    pub(crate) fn new(look: Look, said: &Said) -> Self {
        let (journeys, letters) = (journeys(&look.record, said), Letters::of(&look.record));
        Self { look, journeys, letters }
    }

    /// What is seen of the members.
    pub(crate) const fn look(&self) -> &Look {
        &self.look
    }

    /// What is worth a new picture.
    pub(crate) fn gist(&self) -> Gist {
        let answers = self.look.statuses.iter().filter(|(_, status)| status.is_some());
        Gist {
            stamp: self.look.record.stamp(),
            step: self.step(),
            answers: answers.map(|(id, _)| *id).collect(),
            states: self.journeys.iter().map(|journey| journey.state).collect(),
        }
    }

    /// Which of [`STEPS`] the change is at.
    fn step(&self) -> usize {
        let record = &self.look.record;
        // A step is behind us when all that answer have acknowledged it; those that do not are named elsewhere.
        let acked = self.look.statuses.values().flatten().all(|status| {
            status.acked.as_ref().and_then(stamp).is_some_and(|(stamp, _)| stamp >= record.stamp())
        });
        match (record.step(), acked) {
            (Step::Proposed, false) => 0,
            (Step::Proposed, true) => 1,
            (Step::Frozen, _) => 2,
            (Step::Switched, _) => 3,
            (Step::Committed, _) if record.settled() => 6,
            (Step::Committed, false) => 4,
            (Step::Committed, true) => 5,
        }
    }

    /// The picture.
    pub(crate) fn draw(&self, frame: Frame) -> Vec<Line> {
        let mut lines = vec![self.heading(), self.steps(frame.width)];
        if let Some(sum) = Sum::of(&self.look) {
            lines.push(Line::of(Style::Bold, sum.text()));
        }
        lines.push(Line::default());
        let (bars, after) = (self.bars(frame), self.after());
        let taken = lines.len() + bars.len() + after.len() + 2;
        let room = frame.height.map(|height| height.saturating_sub(taken));
        lines.extend(self.band(frame.width, room));
        lines.push(Line::default());
        lines.extend(bars);
        lines.extend(after);
        lines
    }

    fn heading(&self) -> Line {
        let record = &self.look.record;
        let (q, epoch) = (record.stable().partitions().count(), record.stamp().epoch);
        let from = record.previous().unwrap_or_else(|| record.stable()).members().len();
        let members = match (record.settled(), record.current().members().len()) {
            (true, now) => now.to_string(),
            (false, to) => format!("{from} -> {to}"),
        };
        Line::of(Style::Bold, format!("{members} members, {q} partitions, epoch {epoch}"))
            .and(Style::Dim, format!("  cluster {}", record.cluster_id()))
    }

    fn steps(&self, width: usize) -> Line {
        let at = self.step();
        let whole: usize = STEPS.iter().map(|step| step.len() + 4).sum();
        if width < whole {
            return Line::of(Style::Busy, format!("step {} of {}: {}", at + 1, STEPS.len(), STEPS[at]));
        }
        let mut line = Line::default();
        for (i, step) in STEPS.iter().enumerate() {
            match i.cmp(&at) {
                std::cmp::Ordering::Less => line.push(Style::Good, format!(" {step}  ")),
                std::cmp::Ordering::Equal => line.push(Style::Busy, format!("[{step}] ")),
                std::cmp::Ordering::Greater => line.push(Style::Dim, format!(" {step}  ")),
            }
        }
        line
    }

    /// Below the members: what is moving, in what state all that moves is, and what is to be done.
    fn after(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let busy = || self.journeys.iter().filter(|journey| journey.state.is_busy());
        if busy().next().is_some() {
            lines.push(Line::default());
            lines.extend(busy().take(LISTED).map(|journey| self.listed(journey)));
            let more = busy().count().saturating_sub(LISTED);
            if more > 0 {
                lines.push(Line::of(Style::Dim, format!("       and {more} more")));
            }
        }
        if !self.journeys.is_empty() {
            let count = |state: State| self.journeys.iter().filter(|journey| journey.state == state).count();
            let counts = State::ALL.into_iter().map(|state| (state, count(state))).filter(|(_, n)| *n > 0);
            let words = counts.map(|(state, n)| format!("{} {n} {}", state.mark(), state.word()));
            lines.push(Line::default());
            lines.push(Line::of(Style::Plain, words.collect::<Vec<_>>().join("   ")));
        }
        lines.push(Line::of(Style::Plain, advice(&self.look)));
        lines
    }

    /// One move.
    fn listed(&self, journey: &Journey) -> Line {
        let Journey { partition, from, to, state, said } = journey;
        let (from, to) = (self.letters.all(from), self.letters.all(to));
        let mut line = Line::of(Style::Plain, format!("{:>5}  {from} -> {to}  ", partition.0));
        line.push(Style::Busy, format!("{:<13}", state.word()));
        let mut figures = Vec::new();
        match (state, said.bytes_wanted) {
            (State::Copying, Some(wanted)) => {
                figures.push(format!("{} of {}", human(said.bytes_pulled), human(wanted)));
            }
            (State::Copying, None) => figures.push(format!("{} of ?", human(said.bytes_pulled))),
            (State::HandingOver, _) => figures.push(format!("{} pushed", human(said.bytes_pushed))),
            _ => figures.push(format!("{} fetched", human(said.bytes_compared))),
        }
        figures.extend(said.bytes_per_second.map(|rate| format!("{}/s", human(rate))));
        figures.extend(said.left_ms.map(|ms| format!("{} left", span(ms))));
        line.and(Style::Plain, figures.join(", "))
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Json {
        let record = &self.look.record;
        let name = |id: &NodeId| record.view().member(id).map(|member| member.name.clone());
        let names = |ids: &[NodeId]| ids.iter().map(name).collect::<Vec<_>>();
        let journey = |journey: &Journey| {
            json!({
                "partition": journey.partition.0, "from": names(&journey.from), "to": names(&journey.to),
                "state": journey.state.word(), "bytes_wanted": journey.said.bytes_wanted,
                "bytes_pulled": journey.said.bytes_pulled, "bytes_compared": journey.said.bytes_compared,
                "bytes_per_second": journey.said.bytes_per_second, "left_ms": journey.said.left_ms,
            })
        };
        json!({
            "epoch": record.stamp().epoch,
            "step": STEPS[self.step()],
            "move": Sum::of(&self.look).map(|sum| sum.json()),
            "moves": self.journeys.iter().map(journey).collect::<Vec<_>>(),
            "next": advice(&self.look),
        })
    }
}

#[cfg(test)]
mod tests;
