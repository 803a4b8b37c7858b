//! Lines of coloured pieces, cut to a terminal's width. Pure.

use std::fmt::Write;

/// How a piece of a line is shown, where colours are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    #[default]
    Plain,
    /// Brighter.
    Bold,
    /// Less bright.
    Dim,
    /// In the colour of this member, of six that come round.
    Member(usize),
    /// Going well.
    Good,
    /// Under way.
    Busy,
    /// Somebody should look.
    Bad,
}

impl Style {
    /// What a terminal takes for it.
    const fn code(self) -> &'static str {
        const MEMBERS: [&str; 6] = ["36", "33", "35", "34", "32", "31"];
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Member(at) => MEMBERS[at % MEMBERS.len()],
            Self::Good => "32",
            Self::Busy => "33",
            Self::Bad => "31",
        }
    }
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    /// A line that begins so.
    pub(crate) fn of(style: Style, text: impl Into<String>) -> Self {
        Self(Vec::new()).and(style, text)
    }

    /// With this behind it.
    pub(crate) fn and(mut self, style: Style, text: impl Into<String>) -> Self {
        self.push(style, text);
        self
    }

    /// Puts this behind it.
    pub(crate) fn push(&mut self, style: Style, text: impl Into<String>) {
        let text = text.into();
        match self.0.last_mut() {
            Some((last, before)) if *last == style => before.push_str(&text),
            _ => self.0.push((style, text)),
        }
    }

    /// What is to be written: at most `width` characters and, if wanted, codes of colours, which end with the line.
    pub(crate) fn render(&self, width: usize, colours: bool) -> String {
        let (mut out, mut left) = (String::new(), width);
        for (style, text) in &self.0 {
            let piece: String = text.chars().take(left).collect();
            left -= piece.chars().count();
            if colours && *style != Style::Plain && !piece.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(out, "\x1b[{}m{piece}\x1b[0m", style.code());
            } else {
                out.push_str(&piece);
            }
        }
        if colours { out } else { out.trim_end().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_coloured_by_what_is_seen() {
        let line = Line::of(Style::Plain, "ring ").and(Style::Member(7), "ABC").and(Style::Bad, "!");
        assert_eq!(line.render(80, false), "ring ABC!");
        assert_eq!(line.render(7, false), "ring AB");
        assert_eq!(
            line.render(7, true),
            "ring \x1b[33mAB\x1b[0m",
            "codes take no room, and nothing stays coloured"
        );
        assert_eq!(line.render(0, true), "");
    }

    #[test]
    fn pieces_alike_are_one() {
        assert_eq!(Line::of(Style::Dim, "a").and(Style::Dim, "b"), Line::of(Style::Dim, "ab"));
    }
}
