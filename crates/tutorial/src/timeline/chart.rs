//! The picture of one row.

use std::time::Duration;

use super::markup::{element, label, number, rectangle};
use super::scale::Scale;
use crate::row::{Bar, Gang, Row};
use crate::stage::count;
use crate::table::time;

/// Sizes, in the picture's own units: a page shows one of them as about a pixel.
const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 30.0;
const LANE: f64 = 18.0;
const GAP: f64 = 4.0;
const AXIS: f64 = 20.0;

/// Narrower bars cannot be seen; one is drawn so wide if there is room for it.
const LEAST: f64 = 1.0;

/// Draws a row; one that was not recorded has no picture.
pub(super) fn draw(row: &Row) -> String {
    let Some(gang) = &row.gang else { return String::new() };
    let end = gang.bars.iter().map(|bar| bar.end).chain([row.parallel, row.sequential]).max().unwrap_or_default();
    let scale = Scale::new(end, LEFT, WIDTH - LEFT - RIGHT);
    let lanes = f64::from(gang.workers) + 1.0;
    let bottom = lanes * (LANE + GAP);
    let mut content = axis(scale, bottom) + &alone(scale, row.sequential);
    for worker in 0..gang.workers {
        content += &lane(scale, gang, worker);
    }
    let [width, height] = [WIDTH, bottom + AXIS].map(number);
    let about = format!("what {} workers ran when", gang.workers);
    let attributes = [
        ("xmlns", "http://www.w3.org/2000/svg"),
        ("viewBox", &format!("0 0 {width} {height}")),
        ("role", "img"),
        ("aria-label", &about),
    ];
    element("svg", &attributes, &content) + &missed(gang)
}

/// What the picture does not show.
fn missed(gang: &Gang) -> String {
    match gang.missed {
        0 => String::new(),
        missed => element("p", &[], &format!("{} more tasks had no room here.", count(missed))),
    }
}

fn axis(scale: Scale, bottom: f64) -> String {
    let mark = |(place, name): (f64, String)| {
        let [x, y] = [place, bottom].map(number);
        let line = format!("<line class=\"mark\" x1=\"{x}\" y1=\"0\" x2=\"{x}\" y2=\"{y}\"/>\n");
        line + &label("tick", [place, bottom + AXIS - 6.0], name)
    };
    scale.marks().into_iter().map(mark).collect()
}

/// The lane of the sequential run.
fn alone(scale: Scale, sequential: Duration) -> String {
    let width = (scale.place(sequential) - LEFT).max(LEAST);
    let title = format!("in one process: {}", time(sequential));
    name(0.0, "one process") + &rectangle("alone", [LEFT, 0.0, width, LANE], 1.0, &title)
}

/// The lane of a worker.
fn lane(scale: Scale, gang: &Gang, worker: u32) -> String {
    let top = (f64::from(worker) + 1.0) * (LANE + GAP);
    let mut content = name(top, &format!("worker {worker}"));
    content += &rectangle("rest", [LEFT, top, WIDTH - LEFT - RIGHT, LANE], 1.0, "");
    let bars: Vec<&Bar> = gang.bars.iter().filter(|bar| bar.worker == worker).collect();
    for (number, bar) in bars.iter().enumerate() {
        let left = scale.place(bar.start);
        let room = bars.get(number + 1).map_or(WIDTH - RIGHT, |next| scale.place(next.start)) - left;
        let width = (scale.place(bar.end) - left).max(LEAST.min(room)).max(0.0);
        let busy = bar.work.as_secs_f64() / (bar.end - bar.start).as_secs_f64().max(1e-9);
        content += &rectangle("bar", [left, top, width, LANE], 0.5 + 0.5 * busy.clamp(0.0, 1.0), &title(bar));
    }
    let number = worker.to_string();
    element("g", &[("class", "lane"), ("data-worker", &number)], &content)
}

fn name(top: f64, text: &str) -> String {
    label("name", [LEFT - 8.0, top + LANE - 5.0], text)
}

fn title(bar: &Bar) -> String {
    let Bar { worker, task, index, tasks, start, end, work } = bar;
    let what = match tasks {
        1 => format!("task {index} of {task}"),
        tasks => format!("{} tasks of {task}, the first is {index}", count(*tasks)),
    };
    let (start, took, work) = (time(*start), time(*end - *start), time(*work));
    format!("worker {worker}: {what}\nfrom {start} on, for {took}, of which {work} are work")
}
