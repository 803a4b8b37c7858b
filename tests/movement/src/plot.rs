//! Pictures as SVG, written by hand: lines over a plane.

use std::fmt::Write;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Its points, in the picture's own units.
    pub points: Vec<(f64, f64)>,
}

/// A plane with lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// What lies along the bottom; powers of two if `log`.
    pub bottom: String,
    /// The bottom goes by powers of two.
    pub log: bool,
    /// The top of the left side; it begins at 0.
    pub top: f64,
    /// What is drawn.
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 46.0;
const COLOURS: [&str; 4] = ["#1b7837", "#b2182b", "#2166ac", "#b8860b"];

/// All of them, one below the other.
pub fn svg(panels: &[Panel]) -> String {
    let mut out = String::new();
    let whole = f64::from(u32::try_from(panels.len()).unwrap_or(0)) * (HEIGHT + 90.0);
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {whole}\" font-family=\"sans-serif\" font-size=\"11\">"
    );
    let _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
    let mut down = 0.0;
    for panel in panels {
        let _ = writeln!(out, "<g transform=\"translate(0 {down})\">");
        draw(&mut out, panel);
        let _ = writeln!(out, "</g>");
        down += HEIGHT + 90.0;
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, panel: &Panel) {
    let scale = |x: f64| if panel.log { x.max(1.0).log2() } else { x };
    let xs = || panel.lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| scale(*x)));
    let (left, right) = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    let span = (right - left).max(1e-9);
    let at = |(x, y): (f64, f64)| {
        let across = MARGIN + (scale(x) - left) / span * (WIDTH - 2.0 * MARGIN);
        let up = HEIGHT - MARGIN - (y.min(panel.top) / panel.top) * (HEIGHT - 2.0 * MARGIN);
        (across, up)
    };
    let _ = writeln!(out, "<text x=\"{MARGIN}\" y=\"24\" font-size=\"13\">{}</text>", panel.title);
    for i in 0..=4 {
        let y = panel.top * f64::from(i) / 4.0;
        let (_, up) = at((0.0, y));
        let end = WIDTH - MARGIN;
        let _ = writeln!(
            out,
            "<line x1=\"{MARGIN}\" x2=\"{end}\" y1=\"{up:.1}\" y2=\"{up:.1}\" stroke=\"#ddd\"/>"
        );
        let _ = writeln!(out, "<text x=\"6\" y=\"{:.1}\">{y:.2}</text>", up + 4.0);
    }
    for i in 0..=4 {
        let x = left + span * f64::from(i) / 4.0;
        let shown = if panel.log { x.exp2() } else { x };
        let across = MARGIN + f64::from(i) / 4.0 * (WIDTH - 2.0 * MARGIN);
        let _ = writeln!(out, "<text x=\"{across:.1}\" y=\"{}\">{shown:.0}</text>", HEIGHT - MARGIN + 16.0);
    }
    let _ = writeln!(out, "<text x=\"{MARGIN}\" y=\"{}\">{}</text>", HEIGHT - 12.0, panel.bottom);
    for (line, colour) in panel.lines.iter().zip(COLOURS) {
        let points: Vec<String> =
            line.points.iter().map(|p| at(*p)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ = writeln!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>"
        );
    }
    for ((line, colour), i) in panel.lines.iter().zip(COLOURS).zip(0u8..) {
        let y = HEIGHT + 4.0 + 16.0 * f64::from(i);
        let _ = writeln!(
            out,
            "<rect x=\"{MARGIN}\" y=\"{}\" width=\"12\" height=\"3\" fill=\"{colour}\"/>",
            y - 5.0
        );
        let _ = writeln!(out, "<text x=\"{}\" y=\"{y}\">{}</text>", MARGIN + 18.0, line.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_all_its_lines() {
        let line = |name: &str| Line { name: name.into(), points: vec![(1.0, 0.5), (64.0, 1.0)] };
        let panel = Panel {
            title: "t".into(),
            bottom: "b".into(),
            log: true,
            top: 1.0,
            lines: vec![line("a"), line("z")],
        };
        let text = svg(&[panel.clone(), panel]);
        assert_eq!(text.matches("<polyline").count(), 4);
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n") && !text.contains("NaN"));
    }
}
