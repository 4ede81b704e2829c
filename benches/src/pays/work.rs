//! Tasks that take a given time of a processor, and look at what they are sent.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ganger::{Error, SharedArray};

/// Bytes of a page, of which a task looks at one.
const PAGE: usize = 4096;

/// The task with a vector of bytes.
pub(super) fn on_bytes(payload: Vec<u8>, turns: u64) -> u64 {
    work(&payload, turns)
}

/// The task with shared memory.
pub(super) fn on_shared(payload: SharedArray<u8, 1>, turns: u64) -> Result<u64, Error> {
    Ok(work(&payload.view()?, turns))
}

/// The same in a loop: looks at each page, and computes.
pub(super) fn work(payload: &[u8], turns: u64) -> u64 {
    let seen: u64 = payload.iter().step_by(PAGE).map(|byte| u64::from(*byte)).sum();
    spin(seen, turns)
}

/// So many turns, each of which needs the one before. (A clock would be no work: it goes on while somebody else has the
/// processor.)
fn spin(start: u64, turns: u64) -> u64 {
    (0..black_box(turns))
        .fold(start, |state, _| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
}

/// How many turns fit into a microsecond, when nobody disturbs.
pub(super) fn turns_per_microsecond() -> f64 {
    const TURNS: u64 = 500_000;
    let measured = (0..40).map(|_| {
        let start = Instant::now();
        black_box(spin(black_box(1), TURNS));
        start.elapsed()
    });
    TURNS as f64 / (measured.min().unwrap_or(Duration::from_secs(1)).as_secs_f64() * 1e6)
}
