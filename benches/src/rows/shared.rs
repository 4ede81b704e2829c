//! 64 MiB of shared array: to a task and back, made, and filled in place by two workers, beside copies in one process.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

use ganger::{Error, Pool, SharedArray};

use super::Report;
use crate::Result;
use crate::stats::Series;
use crate::table::{Bound, Line};

const BYTES: usize = 64 << 20;
const LENGTH: usize = BYTES / 8;
const WORKERS: usize = 2;
/// What is promised of the way to a task and back, in milliseconds.
const PROMISED: f64 = 1.0;

/// Each worker's own numbers, so that filling rows reads as much as it writes, like a copy.
static SOURCE: OnceLock<Vec<f64>> = OnceLock::new();

fn prepare() {
    SOURCE.get_or_init(|| vec![1.5; LENGTH / WORKERS]);
}

fn pass(array: SharedArray<f64, 1>) -> SharedArray<f64, 1> {
    array
}

fn fill(rows: SharedArray<f64, 1>) -> std::result::Result<(), Error> {
    let source = SOURCE.get_or_init(|| vec![1.5; LENGTH / WORKERS]);
    rows.claim()?.copy_from_slice(source);
    Ok(())
}

pub(super) fn measure(quick: bool) -> Result<Report> {
    let pool = Pool::builder().workers(WORKERS).initializer(prepare, ()).build()?;
    let values = vec![2.5; LENGTH];
    let mut copied = vec![0.0; LENGTH];
    let series = |name: &str, unit| Series::new(name, unit);
    let mut way = series("64 MiB to a task and back", "ms");
    let mut zeros = series("zeros of 64 MiB", "us");
    let mut from_vec = series("from_vec of 64 MiB", "ms");
    let mut fresh = series("copy of 64 MiB into fresh pages", "ms");
    let mut filled = series("64 MiB filled by 2 workers", "ms");
    let mut copy = series("copy of 64 MiB in one process", "ms");
    // The first round warms up all of them and does not count.
    for round in 0..=if quick { 4 } else { 20 } {
        let start = Instant::now();
        let zeroed = SharedArray::<f64, 1>::zeros([LENGTH])?;
        let zeros_took = start.elapsed();
        drop(zeroed);

        let start = Instant::now();
        let array = SharedArray::from_vec([LENGTH], &values)?;
        let from_vec_took = start.elapsed();

        let start = Instant::now();
        let clone = black_box(values.clone());
        let fresh_took = start.elapsed();
        drop(clone);

        let start = Instant::now();
        let back: SharedArray<f64, 1> = pool.apply(pass, (array.clone(),))?;
        let way_took = start.elapsed();

        let start = Instant::now();
        let _: Vec<()> = pool.map(fill, back.split_rows(WORKERS)?)?;
        let filled_took = start.elapsed();
        if array.get([0])? != 1.5 || array.get([LENGTH - 1])? != 1.5 {
            return Err("the array is not filled".into());
        }

        let start = Instant::now();
        copied.copy_from_slice(black_box(&values));
        black_box(&copied);
        let copy_took = start.elapsed();
        if round > 0 {
            let all = [&mut way, &mut zeros, &mut from_vec, &mut fresh, &mut filled, &mut copy];
            let times = [way_took, zeros_took, from_vec_took, fresh_took, filled_took, copy_took];
            all.into_iter().zip(times).for_each(|(series, time)| series.push_time(time));
        }
    }
    let ratio = |one: &Series, other: &Series| one.median() / other.median();
    let lines = vec![
        Line::new(
            "64 MiB SharedArray to a task and back",
            &way,
            format!("{PROMISED} ms"),
            way.median() / PROMISED,
            Bound::Below(1.0),
        ),
        Line::new(
            "SharedArray::from_vec / a copy into fresh pages",
            &from_vec,
            &fresh,
            ratio(&from_vec, &fresh),
            Bound::None,
        ),
        Line::new("filled in place by 2 workers / a copy", &filled, &copy, ratio(&filled, &copy), Bound::None),
    ];
    let notes = vec![format!("zeros of 64 MiB: {zeros}")];
    Ok(Report { lines, notes, runs: vec![way, zeros, from_vec, fresh, filled, copy] })
}
