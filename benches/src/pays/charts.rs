//! Which plots there are, each of them of records.

use super::chart::{Axis, Chart, Curve, Mark};
use super::measure::WORKERS;
use super::payload::{Kind, Payload};
use super::record::{Figure, Record};
use super::scale::Scale;
use super::units::{size, time};

/// The names of the files, and what is in them.
pub(super) fn all(records: &[Record]) -> [(&'static str, String); 4] {
    [
        (
            "tasks-with-bytes.svg",
            tasks(records, Kind::Bytes, "Tasks that are sent bytes, to a pool that is there").svg(),
        ),
        (
            "tasks-with-shared-arrays.svg",
            tasks(records, Kind::Shared, "Tasks on parts of a shared array, by a pool that is there").svg(),
        ),
        ("start.svg", start(records).svg()),
        ("cost.svg", cost(records).svg()),
    ]
}

/// Speed-up against the length of tasks, a curve for each size of payload.
fn tasks(records: &[Record], kind: Kind, title: &str) -> Chart {
    let curves = (0..).zip(Payload::SIZES).map(|(colour, bytes)| Curve {
        name: size(bytes),
        points: speed_ups(records, |record| {
            record.figure == Figure::Task && record.payload == kind && record.bytes == bytes
        }),
        colour,
        dashed: false,
    });
    beside_the_loop(title, "how long a task computes", "for each task", curves.collect())
}

/// Speed-up against all work together, a curve for each start method.
fn start(records: &[Record]) -> Chart {
    let curves = methods(records).into_iter().zip([1, 3, 4]).map(|(method, colour)| Curve {
        points: speed_ups(records, |record| record.figure == Figure::Work && record.start_method == method),
        name: method,
        colour,
        dashed: false,
    });
    let title = "With a pool that is started for the work, and ended";
    beside_the_loop(title, "how long all of the work computes", "start method", curves.collect())
}

/// What a task costs that does nothing, against the size of its payload.
fn cost(records: &[Record]) -> Chart {
    let ways = [
        ("apply, bytes", Figure::Apply, Kind::Bytes, 4, true),
        ("map, bytes", Figure::Map, Kind::Bytes, 4, false),
        ("apply, shared", Figure::Apply, Kind::Shared, 1, true),
        ("map, shared", Figure::Map, Kind::Shared, 1, false),
    ];
    let method = methods(records).into_iter().next().unwrap_or_default();
    let curves: Vec<Curve> = ways
        .into_iter()
        .map(|(name, figure, kind, colour, dashed)| {
            let wanted = records
                .iter()
                .filter(|record| record.figure == figure && record.payload == kind && record.start_method == method);
            let points = wanted.map(|record| (record.bytes as f64, record.ganger_us)).collect();
            Curve { name: name.to_owned(), points, colour, dashed }
        })
        .collect();
    let costs = curves.iter().flat_map(|curve| &curve.points).map(|(_, cost)| *cost);
    Chart {
        title: "What a task costs that does nothing".to_owned(),
        x: Axis {
            label: "how many bytes it is sent, or shown in a shared array",
            scale: Scale::Logarithmic { from: 4.0, to: 32.0 * (1 << 20) as f64 },
            ticks: Payload::SIZES.map(|bytes| (bytes as f64, size(bytes))).into(),
        },
        y: time_axis("time for each task", Scale::decades(costs)),
        legend: "how, and with what",
        curves,
        marks: Vec::new(),
    }
}

fn beside_the_loop(title: &str, label: &'static str, legend: &'static str, curves: Vec<Curve>) -> Chart {
    let lengths = curves.iter().flat_map(|curve| &curve.points).map(|(length, _)| *length);
    let workers = WORKERS as f64;
    Chart {
        title: title.to_owned(),
        x: time_axis(label, Scale::decades(lengths)),
        y: Axis {
            label: "times as fast as the loop",
            scale: Scale::Linear { from: 0.0, to: workers * 1.1 },
            ticks: (0..=2 * WORKERS).map(|half| (half as f64 / 2.0, format!("{}", half as f64 / 2.0))).collect(),
        },
        legend,
        curves,
        marks: vec![
            Mark { value: 1.0, name: "the loop", at_the_right: true },
            Mark { value: workers, name: "two processors, without any cost", at_the_right: false },
        ],
    }
}

fn time_axis(label: &'static str, scale: Scale) -> Axis {
    Axis { label, scale, ticks: scale.powers().into_iter().map(|power| (power, time(power))).collect() }
}

fn speed_ups(records: &[Record], wanted: impl Fn(&Record) -> bool) -> Vec<(f64, f64)> {
    records.iter().filter(|record| wanted(record)).filter_map(Record::speed_up).collect()
}

/// The start methods of the records, in their order.
pub(super) fn methods(records: &[Record]) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    for Record { start_method, .. } in records {
        if !methods.contains(start_method) {
            methods.push(start_method.clone());
        }
    }
    methods
}
