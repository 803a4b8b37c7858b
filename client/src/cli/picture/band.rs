//! The ring itself, cut open at 0 and wrapped to the width: a column a partition, or some of them where there are too
//! many. Above, the owner of its token; below, only where something moves: who comes or goes, and how far that is. Pure.

use dynamo_ring::{NodeId, Partition};

use super::journey::{Journey, State};
use super::style::{Line, Style};
use super::{Letters, Scene};

/// In front of each row: the first partition of it.
const LABEL: usize = 6;
/// Columns in a row, at most.
const MOST: usize = 128;
/// Lines that the ring has at least, however low the terminal.
const LEAST_LINES: usize = 6;

/// How the ring is cut into rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Columns.
    pub(crate) columns: usize,
    /// Partitions in each.
    pub(crate) each: usize,
}

impl Grid {
    /// For so many partitions in so many columns of a terminal, and lines if they are limited.
    pub(crate) fn fit(partitions: usize, width: usize, lines: Option<usize>) -> Self {
        let room = width.saturating_sub(LABEL).clamp(8, MOST);
        // A power of two, so that rows begin at round numbers.
        let columns = (1 << room.ilog2()).min(partitions.max(1));
        let rows = lines.map(|lines| (lines.max(LEAST_LINES) / 3).max(1));
        let mut each = 1;
        while rows.is_some_and(|rows| partitions.div_ceil(each * columns) > rows) && each < partitions {
            each *= 2;
        }
        Self { columns, each }
    }
}

/// One column.
struct Cell<'a> {
    owners: Vec<NodeId>,
    moves: Vec<&'a Journey>,
}

impl Cell<'_> {
    /// The owner, if it is one.
    fn owner(&self, letters: &Letters) -> (Style, char) {
        match self.owners.as_slice() {
            [first, rest @ ..] if rest.iter().all(|id| id == first) => {
                (letters.style(first), letters.letter(first))
            }
            _ => (Style::Dim, ':'),
        }
    }

    /// Who comes, or after the commit goes: one letter, or a star for several.
    fn mover(&self, letters: &Letters, comes: bool) -> (Style, char) {
        let mut movers: Vec<NodeId> =
            self.moves.iter().flat_map(|one| if comes { &one.to } else { &one.from }).copied().collect();
        movers.sort_unstable();
        movers.dedup();
        match movers.as_slice() {
            [] => (Style::Plain, ' '),
            [one] => (letters.style(one), letters.letter(one)),
            _ => (Style::Plain, '*'),
        }
    }

    /// Of several moves the one that is furthest behind.
    fn state(&self) -> (Style, char) {
        let Some(state) = self.moves.iter().map(|one| one.state).min() else { return (Style::Plain, ' ') };
        let style = match state {
            State::Unknown => Style::Bad,
            State::Synced | State::Dropped => Style::Good,
            state if state.is_busy() => Style::Busy,
            _ => Style::Plain,
        };
        (style, state.mark())
    }
}

impl Scene {
    /// The ring, in no more than so many lines if they are limited.
    pub(super) fn band(&self, width: usize, lines: Option<usize>) -> Vec<Line> {
        let record = &self.look.record;
        let q = record.stable().partitions().count();
        let grid = Grid::fit(q, width, lines.map(|lines| lines.saturating_sub(1)));
        let comes = record.target().is_some();
        let what = match grid.each {
            1 => "ring: a column a partition".to_owned(),
            each => format!("ring: a column is {each} partitions"),
        };
        let below = match (self.journeys.is_empty(), comes) {
            (true, _) => "",
            (false, true) => "; below it who comes, and how far",
            (false, false) => "; below it who goes, and how far",
        };
        let mut out = vec![Line::of(Style::Dim, format!("{what}, by its token's owner{below}"))];
        let partitions: Vec<Partition> = record.stable().partitions().iter().collect();
        for row in partitions.chunks(grid.columns * grid.each) {
            let cells: Vec<Cell<'_>> = row.chunks(grid.each).map(|some| self.cell(some)).collect();
            let label = row.first().map_or(0, |first| first.0);
            let mut draw = |label: String, of: &dyn Fn(&Cell<'_>) -> (Style, char)| {
                let mut line = Line::of(Style::Dim, format!("{label:>width$} ", width = LABEL - 1));
                for cell in &cells {
                    let (style, letter) = of(cell);
                    line.push(style, letter);
                }
                out.push(line);
            };
            draw(label.to_string(), &|cell| cell.owner(&self.letters));
            if cells.iter().any(|cell| !cell.moves.is_empty()) {
                draw(String::new(), &|cell| cell.mover(&self.letters, comes));
                draw(String::new(), &|cell| cell.state());
            }
        }
        out
    }

    fn cell(&self, partitions: &[Partition]) -> Cell<'_> {
        let stable = self.look.record.stable();
        let owners = partitions.iter().filter_map(|p| stable.holders(*p).next()).map(|member| member.node_id);
        let (first, last) = (partitions.first(), partitions.last());
        let inside = |one: &&Journey| Some(&one.partition) >= first && Some(&one.partition) <= last;
        Cell { owners: owners.collect(), moves: self.journeys.iter().filter(inside).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_wide_as_fits_and_begin_at_round_numbers() {
        assert_eq!(Grid::fit(256, 80, None), Grid { columns: 64, each: 1 });
        assert_eq!(Grid::fit(256, 200, None), Grid { columns: 128, each: 1 });
        assert_eq!(Grid::fit(8, 80, None), Grid { columns: 8, each: 1 });
        assert_eq!(Grid::fit(64, 5, None), Grid { columns: 8, each: 1 }, "however narrow");
    }

    #[test]
    fn a_large_ring_is_drawn_coarser_where_lines_are_few() {
        assert_eq!(Grid::fit(4096, 80, None), Grid { columns: 64, each: 1 });
        assert_eq!(Grid::fit(4096, 80, Some(24)), Grid { columns: 64, each: 8 }, "8 rows of 3 lines");
        assert_eq!(Grid::fit(4096, 80, Some(0)), Grid { columns: 64, each: 32 }, "2 rows at least");
        assert_eq!(Grid::fit(64, 80, Some(24)), Grid { columns: 64, each: 1 });
    }
}
