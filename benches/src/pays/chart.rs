//! Curves with axes as an SVG picture that can be read on a light page and on a dark one.

use std::fmt::Write;

use super::scale::Scale;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
/// Where the curves are: left, right, top and bottom.
const FRAME: [f64; 4] = [64.0, 600.0, 56.0, 338.0];

/// The picture has a background of its own: a page may be light where its reader's system is dark. The colours go from
/// cold to warm, as the sizes that they mostly stand for grow, and differ in lightness for those who see fewer of them.
const STYLE: &str = "\
:root { --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --grid: #e4e8ec;
  --c0: #4b2991; --c1: #1f6fb4; --c2: #159a80; --c3: #c98a00; --c4: #c8323c }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --faint: #9aa4af; --grid: #262c34;
  --c0: #b79bff; --c1: #5fb0f5; --c2: #3fd0ac; --c3: #f0b93a; --c4: #ff7b80 } }
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: var(--ink) }
.title { font-size: 15px; font-weight: 600 }
.faint { fill: var(--faint) }
.grid { stroke: var(--grid); stroke-width: 1 }
.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 5px }
.mark { stroke: var(--faint); stroke-width: 1.5; stroke-dasharray: 2 4 }
.curve { fill: none; stroke-width: 2.25; stroke-linejoin: round }
.dashed { stroke-dasharray: 7 4 }
";

/// An axis, and the values that are written beside it.
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
}

/// A line through points.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// One of the five colours.
    pub(super) colour: usize,
    pub(super) dashed: bool,
}

/// A picture.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// What stands above the names of the curves.
    pub(super) legend: &'static str,
    pub(super) curves: Vec<Curve>,
    pub(super) marks: Vec<Mark>,
}

/// A height that means something.
pub(super) struct Mark {
    pub(super) value: f64,
    pub(super) name: &'static str,
    /// Where its name stands: below the line at the right, or above it at the left, where there are few curves.
    pub(super) at_the_right: bool,
}

impl Chart {
    pub(super) fn svg(&self) -> String {
        let body = [self.grid(), self.axes(), self.drawn_curves(), self.marks(), self.names()].concat();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" style=\"fill: var(--paper)\"/>\n{body}</svg>\n",
            title = escaped(&self.title)
        )
    }

    fn left(&self, value: f64) -> f64 {
        let [left, right, ..] = FRAME;
        left + self.x.scale.place(value) * (right - left)
    }

    fn top(&self, value: f64) -> f64 {
        let [.., top, bottom] = FRAME;
        bottom - self.y.scale.place(value) * (bottom - top)
    }

    fn grid(&self) -> String {
        let [left, right, top, bottom] = FRAME;
        let across =
            self.y.ticks.iter().map(|(value, _)| line([left, self.top(*value)], [right, self.top(*value)], "grid"));
        let down =
            self.x.ticks.iter().map(|(value, _)| line([self.left(*value), top], [self.left(*value), bottom], "grid"));
        across.chain(down).collect()
    }

    fn axes(&self) -> String {
        let [left, right, top, bottom] = FRAME;
        let below =
            self.x.ticks.iter().map(|(value, name)| text([self.left(*value), bottom + 20.0], "middle", "faint", name));
        let beside =
            self.y.ticks.iter().map(|(value, name)| text([left - 8.0, self.top(*value) + 4.5], "end", "faint", name));
        let labels = [
            text([left, 26.0], "start", "title", &self.title),
            text([left, top - 10.0], "start", "faint", self.y.label),
            text([(left + right) / 2.0, bottom + 44.0], "middle", "", self.x.label),
        ];
        below.chain(beside).chain(labels).collect()
    }

    fn marks(&self) -> String {
        let [left, right, ..] = FRAME;
        let mark = |Mark { value, name, at_the_right }: &Mark| {
            let height = self.top(*value);
            let (place, anchor) = if *at_the_right {
                ([right - 8.0, height + 16.0], "end")
            } else {
                ([left + 8.0, height - 6.0], "start")
            };
            line([left, height], [right, height], "mark") + &text(place, anchor, "faint halo", name)
        };
        self.marks.iter().map(mark).collect()
    }

    fn drawn_curves(&self) -> String {
        let mut out = String::new();
        for Curve { points, colour, dashed, .. } in &self.curves {
            let places: Vec<_> = points.iter().map(|(x, y)| (self.left(*x), self.top(*y))).collect();
            let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let class = if *dashed { "curve dashed" } else { "curve" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "<polyline class=\"{class}\" style=\"stroke: var(--c{colour})\" points=\"{}\"/>",
                path.join(" ")
            );
            for (x, y) in places {
                let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" style=\"fill: var(--c{colour})\"/>");
            }
        }
        out
    }

    /// The names of the curves, beside the frame.
    fn names(&self) -> String {
        let [_, right, top, _] = FRAME;
        let left = right + 24.0;
        let mut out = text([left, top + 4.5], "start", "faint", self.legend);
        for (place, Curve { name, colour, dashed, .. }) in (1..).zip(&self.curves) {
            let height = top + f64::from(place) * 24.0;
            let class = if *dashed { "curve dashed" } else { "curve" };
            let _ = writeln!(
                out,
                "<path class=\"{class}\" style=\"stroke: var(--c{colour})\" d=\"M{left:.1} {height:.1}h26\"/>"
            );
            out += &text([left + 34.0, height + 4.5], "start", "", name);
        }
        out
    }
}

fn line([x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) -> String {
    format!("<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>\n")
}

fn text([x, y]: [f64; 2], anchor: &str, class: &str, text: &str) -> String {
    let text = escaped(text);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_where_the_axes_say() {
        let axis =
            |label| Axis { label, scale: Scale::Linear { from: 0.0, to: 10.0 }, ticks: vec![(5.0, "5".to_owned())] };
        let curve =
            Curve { name: "a < b & c".to_owned(), points: vec![(0.0, 0.0), (10.0, 10.0)], colour: 2, dashed: true };
        let chart = Chart {
            title: "title".to_owned(),
            x: axis("x"),
            y: axis("y"),
            legend: "names",
            curves: vec![curve],
            marks: vec![Mark { value: 5.0, name: "middle", at_the_right: true }],
        };
        let svg = chart.svg();
        assert!(svg.contains("points=\"64.0,338.0 600.0,56.0\""), "{svg}");
        assert!(svg.contains(">a &lt; b &amp; c</text>"), "{svg}");
        assert!(svg.contains("class=\"mark\" d=\"M64.0 197.0L600.0 197.0\""), "{svg}");
    }
}
