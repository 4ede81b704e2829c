//! Which worker ran what when: one page of HTML that needs nothing else.
//!
//! [`chart`]: the picture of one row. [`scale`]: its axis. [`markup`]: elements and escaping.

mod chart;
mod markup;
mod scale;

use crate::row::Row;
use crate::run::Report;
use crate::table::{time, times};
use markup::element;

/// What the page looks like, by day and by night.
const STYLE: &str = include_str!("timeline/style.css");

/// Draws all rows that have been recorded as a page: for each a picture with a lane for every worker, above it one for the
/// sequential run at the same scale. It is well-formed XML as well.
#[must_use]
pub fn page(report: &Report, workers: usize) -> String {
    let mut body = element("h1", &[], "ganger tutorial: who ran what when");
    body += &element("p", &[("class", "lead")], &introduction(report, workers));
    let (with, without): (Vec<&Row>, Vec<&Row>) = report.rows.iter().partition(|row| row.gang.is_some());
    with.into_iter().for_each(|row| body += &section(row));
    if !without.is_empty() {
        let names: Vec<String> = without.iter().map(|row| format!("{} {}", row.tutorial, row.workload)).collect();
        let text = format!("Without a pool, and so without a picture: {}.", names.join("; "));
        body += &element("p", &[], &markup::text(&text));
    }
    let head = [
        "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n",
        &element("title", &[], "ganger tutorial"),
        &element("style", &[], STYLE),
    ];
    let page =
        element("html", &[("lang", "en")], &(element("head", &[], &head.concat()) + &element("body", &[], &body)));
    format!("<!DOCTYPE html>\n{page}")
}

fn introduction(report: &Report, workers: usize) -> String {
    let start = report.typical_start().map_or("unknown".to_owned(), time);
    format!(
        "Pools of {workers} workers, unless a row says otherwise, under the start method {}; starting one took {start}, \
         and is not in the pictures. A lane is a worker, a bar is a task, or several short ones after each other: point at it to \
         see which. It is the paler the more the worker had to wait meanwhile. Bars end when the supervisor heard of it, up to \
         about a millisecond late. The grey bar is the same work in one process, at the same scale.",
        ganger::start_method()
    )
}

fn section(row: &Row) -> String {
    let figures = format!(
        "sequential {}, parallel {}: {}, {}",
        time(row.sequential),
        time(row.parallel),
        row.speed_up().map_or("no speed-up".to_owned(), times),
        row.answer.as_str()
    );
    let heading = element("b", &[], row.tutorial.as_str()) + " " + &markup::text(&row.workload);
    let content = element("h2", &[], &heading) + &element("p", &[], &markup::text(&figures)) + &chart::draw(row);
    element("section", &[], &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Tutorial;
    use crate::row::{Answer, Bar, Gang};
    use std::time::Duration;

    fn bar(worker: u32, start: u64, end: u64) -> Bar {
        let [start, end] = [start, end].map(Duration::from_micros);
        Bar { worker, task: "app::<f & \"g\">".into(), index: 1, tasks: 2, start, end, work: (end - start) / 2 }
    }

    fn row(workload: &str, gang: Option<Gang>) -> Row {
        let [sequential, parallel] = [300, 1_000].map(Duration::from_micros);
        Row { tutorial: Tutorial::T4, workload: workload.to_owned(), sequential, parallel, answer: Answer::Equal, gang }
    }

    fn drawn(rows: Vec<Row>) -> String {
        page(&Report { rows, starts: vec![Duration::from_millis(3)] }, 2)
    }

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_else() {
        let bars = vec![bar(0, 0, 400), bar(0, 400, 1_000), bar(2, 100, 1_200)];
        let gang = Gang { workers: 3, bars, missed: 7 };
        let page = drawn(vec![row("sums <of> & all", Some(gang)), row("processes", None)]);
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document =
            roxmltree::Document::parse_with_options(&page, options).unwrap_or_else(|error| panic!("{error}: {page}"));
        let with = |class: &str| document.descendants().filter(|it| it.attribute("class") == Some(class)).count();
        assert_eq!((with("lane"), with("bar"), with("alone")), (3, 3, 1), "{page}");
        let titles: Vec<_> =
            document.descendants().filter(|it| it.has_tag_name(("http://www.w3.org/2000/svg", "title"))).collect();
        assert_eq!(titles.len(), 4, "each bar has one, the sequential run as well");
        assert!(titles.iter().any(|it| it.text().unwrap().contains("2 tasks of app::<f & \"g\">")), "{page}");
        assert!(page.contains("7 more tasks") && page.contains("without a picture: T4 processes."), "{page}");
        for foreign in ["<script", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn rows_without_any_bar_have_their_lanes() {
        let page = drawn(vec![row("nothing", Some(Gang { workers: 2, ..Gang::default() }))]);
        assert_eq!((page.matches("class=\"lane\"").count(), page.matches("class=\"bar\"").count()), (2, 0));
    }
}
