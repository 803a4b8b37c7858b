//! A line for each member: its letter, what it holds, and how far it has come with what is asked of it. Pure.

use dynamo_proto::v1::NodeStatus;
use dynamo_ring::{Member, NodeId};

use super::journey::State;
use super::style::{Line, Style};
use super::{Frame, Scene};
use crate::progress::report;
use crate::text::{human, span};

/// A name is cut after this.
const LONGEST_NAME: usize = 24;

/// What a member's bar shows.
struct Bar {
    done: u64,
    of: u64,
    words: String,
    style: Style,
}

impl Scene {
    pub(super) fn bars(&self, frame: Frame) -> Vec<Line> {
        let mut members: Vec<&Member> = self.look.record.view().members().collect();
        members.sort_by_key(|member| self.letters.place(&member.node_id));
        let most = frame.height.map_or(usize::MAX, |height| (height / 3).max(3));
        let more = members.len().saturating_sub(most);
        // Those of whom something is asked come first where there is no room for all.
        if more > 0 {
            members.sort_by_key(|member| (!self.moves(&member.node_id), self.letters.place(&member.node_id)));
            members.truncate(most);
        }
        let name =
            members.iter().map(|member| member.name.chars().count()).max().unwrap_or(0).min(LONGEST_NAME);
        let cells = (frame.width / 5).clamp(4, 24);
        let mut lines: Vec<Line> = members.iter().map(|member| self.bar(member, name, cells)).collect();
        if more > 0 {
            lines.push(Line::of(Style::Dim, format!("  and {more} members more")));
        }
        lines
    }

    /// Something comes to it or goes from it.
    fn moves(&self, id: &NodeId) -> bool {
        self.journeys.iter().any(|journey| journey.to.contains(id) || journey.from.contains(id))
    }

    fn bar(&self, member: &Member, name: usize, cells: usize) -> Line {
        let style = self.letters.style(&member.node_id);
        let short: String = member.name.chars().take(name).collect();
        let line = Line::of(style, format!("{} {short:<name$} ", self.letters.letter(&member.node_id)));
        let status = self.look.statuses.get(&member.node_id).and_then(Option::as_ref);
        let Some(status) = status else {
            return line.and(Style::Bad, format!("[{}] no answer", "?".repeat(cells)));
        };
        let bar = self.what(member.node_id, status);
        let cells_wide = cells as u64;
        let filled = (u128::from(bar.done.min(bar.of)) * u128::from(cells_wide))
            .checked_div(bar.of.into())
            .unwrap_or(0);
        let filled = usize::try_from(filled).unwrap_or(0);
        line.and(Style::Plain, "[")
            .and(bar.style, "#".repeat(filled))
            .and(Style::Dim, ".".repeat(cells.saturating_sub(filled)))
            .and(Style::Plain, format!("] {}", bar.words))
    }

    /// What is asked of a member that answers; if nothing is, what it holds.
    fn what(&self, id: NodeId, status: &NodeStatus) -> Bar {
        let comes = self.journeys.iter().filter(|journey| journey.to == [id]).count();
        let goes = || self.journeys.iter().filter(|journey| journey.from == [id]);
        let target = self.look.record.target().is_some();
        match report(&self.look, id).filter(|_| comes > 0 && target) {
            Some(said) => {
                let mut words =
                    vec![format!("{} of {} synced", said.partitions_synced, said.partitions_wanted)];
                let known = said.partitions_unsized < said.partitions_wanted;
                let of = if known { human(said.bytes_wanted) } else { "?".into() };
                words.push(format!("{} of {of}", human(said.bytes_pulled)));
                words.extend(said.bytes_per_second.map(|rate| format!("{}/s", human(rate))));
                words.extend(said.left_ms.filter(|ms| *ms > 0).map(|ms| format!("{} left", span(ms))));
                // Bytes are most of the work; where nothing is stored, there are only partitions.
                let (done, of) = match (known, said.bytes_wanted) {
                    (true, 1..) if said.partitions_synced < said.partitions_wanted => {
                        (said.bytes_pulled.min(said.bytes_wanted.saturating_sub(1)), said.bytes_wanted)
                    }
                    _ => (said.partitions_synced.into(), said.partitions_wanted.into()),
                };
                Bar { done, of, words: words.join(", "), style: Style::Busy }
            }
            None if !target && goes().next().is_some() => {
                let done = goes().filter(|journey| journey.state == State::Dropped).count() as u64;
                let of = goes().count() as u64;
                let words = format!("{done} of {of} handed over, {} hints", status.hints);
                Bar { done, of, words, style: Style::Busy }
            }
            None => {
                let of = self.look.record.stable().partitions().count() as u64;
                let held = status.partitions_held;
                let words = format!("{held} of {of}, {}", human(status.stored_bytes));
                Bar { done: held.into(), of, words, style: Style::Good }
            }
        }
    }
}
