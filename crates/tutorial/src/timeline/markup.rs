//! Elements, as text that is HTML and XML alike.

use std::fmt::Display;

/// An element with this content, which is markup already.
pub(super) fn element(name: &str, attributes: &[(&str, &str)], content: &str) -> String {
    let line_feed = if matches!(name, "b" | "title") { "" } else { "\n" };
    format!("<{name}{}>{content}</{name}>{line_feed}", list(attributes))
}

/// Characters that mean something in markup are escaped.
pub(super) fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn list(attributes: &[(&str, &str)]) -> String {
    attributes.iter().map(|(name, value)| format!(" {name}=\"{}\"", text(value))).collect()
}

/// A number of an attribute: two decimals are a hundredth of a pixel.
pub(super) fn number(value: f64) -> String {
    format!("{value:.2}")
}

/// A rectangle of this class, with a text for who points at it.
pub(super) fn rectangle(class: &str, [x, y, width, height]: [f64; 4], opacity: f64, title: &str) -> String {
    let [x, y, width, height] = [x, y, width, height].map(number);
    let opacity = if opacity < 1.0 { format!(" fill-opacity=\"{opacity:.2}\"") } else { String::new() };
    let title = if title.is_empty() { String::new() } else { element("title", &[], &text(title)) };
    format!(
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{opacity}>{title}</rect>\n"
    )
}

/// A label of this class at this place.
pub(super) fn label(class: &str, [x, y]: [f64; 2], content: impl Display) -> String {
    let [x, y] = [x, y].map(number);
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>\n", text(&content.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_is_escaped() {
        assert_eq!(element("b", &[("a", "x\"y")], &text("1 < 2 & 3")), "<b a=\"x&quot;y\">1 &lt; 2 &amp; 3</b>");
        let drawn = rectangle("bar", [1.0, 2.0, 3.456, 4.0], 0.5, "<f>");
        assert!(drawn.contains("width=\"3.46\"") && drawn.contains("fill-opacity=\"0.50\""), "{drawn}");
        assert!(drawn.contains("<title>&lt;f&gt;</title>"), "{drawn}");
        assert_eq!(label("tick", [0.0, 1.0], "5 ms"), "<text class=\"tick\" x=\"0.00\" y=\"1.00\">5 ms</text>\n");
    }
}
