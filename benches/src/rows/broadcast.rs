//! 100 MB to eight workers, beside one copy of as many bytes into fresh pages.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ganger::Pool;

use super::Report;
use crate::Result;
use crate::stats::Series;
use crate::table::{Bound, Line};

const SIZE: usize = 100_000_000;
const WORKERS: usize = 8;

pub(super) fn measure(quick: bool) -> Result<Report> {
    let pool = Pool::new(WORKERS)?.with_chunksize(1)?;
    let bytes = vec![1_u8; SIZE];
    let [mut ours, mut bare] = ["map_with_bytes", "one copy"].map(|name| Series::new(format!("{name}: 100 MB"), "ms"));
    let rounds = if quick { 3 } else { 15 };
    // The first round warms up both and does not count.
    for round in 0..=rounds {
        let one = [copy(&bytes), broadcast(&pool, &bytes)?];
        if round > 0 {
            bare.push_time(one[0]);
            ours.push_time(one[1]);
        }
    }
    let ratio = ours.median() / bare.median();
    let line = Line::new("broadcast of 100 MB to 8 workers / one copy", &ours, &bare, ratio, Bound::AtMost(1.5));
    Ok(Report { lines: vec![line], notes: Vec::new(), runs: vec![bare, ours] })
}

/// Into memory that nobody has touched: an allocation of this size is a mapping of its own.
fn copy(bytes: &[u8]) -> Duration {
    let start = Instant::now();
    let copy = black_box(bytes.to_vec());
    let took = start.elapsed();
    drop(copy);
    took
}

/// Every worker looks at one place.
fn broadcast(pool: &Pool, bytes: &[u8]) -> Result<Duration> {
    let start = Instant::now();
    let look = |bytes: &[u8], number: usize| u64::from(bytes[number * (SIZE / WORKERS)]);
    let seen: Vec<u64> = pool.map_with_bytes(bytes, look, 0..WORKERS)?;
    let took = start.elapsed();
    if seen == [1; WORKERS] { Ok(took) } else { Err(format!("the workers saw {seen:?}").into()) }
}
