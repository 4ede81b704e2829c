//! Tutorial T5, third part: an array that the workers of a pool fill in place. It is in memory that all of them share: only the
//! right to fill some of its rows travels, and no number comes back.
//!
//! `cargo run --release --example fill_array -- [--serial] [--rows ROWS] [--start-method METHOD]`

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use ganger::{Pool, SealedArray, SharedArray};
use indicatif::{ProgressBar, ProgressIterator};

/// What the random numbers are derived from: the same ones in every run.
pub const SEED: u64 = 5;

/// How many numbers there are in a row.
pub const COLUMNS: usize = 100;

/// How many tasks there are. (As each draws its own random numbers, the answer depends on how many there are, but not on the
/// number of workers.)
const PARTS: usize = 64;

/// The task: fills the rows that it is given. They are its own until `rows` is dropped; that somebody else gets one of them
/// meanwhile is an error, and not a wrong number somewhere.
fn fill(part: SharedArray<f64, 2>) -> Result<(), ganger::Error> {
    let first = part.first_row();
    let mut rows = part.claim()?;
    let mut random = ganger::task_rng();
    for (number, row) in rows.rows_mut().enumerate() {
        row.fill_with(|| (first + number) as f64 + random.unit());
    }
    Ok(())
}

/// One part after the other. `as_task` has `task_rng` draw what it draws in a worker.
pub fn sequential(rows: usize) -> Result<SealedArray<f64, 2>, Box<dyn Error>> {
    let array = SharedArray::zeros([rows, COLUMNS])?;
    for (number, part) in (0..).zip(array.split_rows(PARTS)?) {
        ganger::as_task(SEED, number, || fill(part))?;
    }
    Ok(array.seal()?)
}

/// The same, by the workers of a pool: one whose seed is [`SEED`], and that has done nothing before, since random numbers
/// are other ones in each call.
pub fn parallel(pool: &Pool, rows: usize) -> Result<SealedArray<f64, 2>, Box<dyn Error>> {
    let array = SharedArray::zeros([rows, COLUMNS])?;
    let parts = array.split_rows(PARTS)?;
    let bar = ProgressBar::new(parts.len() as u64);
    pool.imap_unordered(fill, parts).progress_with(bar).try_for_each(|task| task)?;
    Ok(array.seal()?) // from now on nobody can write to it
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut serial, mut rows) = (false, 50_000);
    let mut switches = std::env::args().skip(1);
    while let Some(switch) = switches.next() {
        let mut value = || switches.next().ok_or(format!("{switch} needs a value"));
        match switch.as_str() {
            "--serial" => serial = true,
            "--rows" => rows = value()?.parse().map_err(|error| format!("--rows: {error}"))?,
            "--start-method" => ganger::set_start_method(value()?.parse()?)?,
            _ => return Err(format!("there is no switch {switch:?}").into()),
        }
    }
    let pool = if serial { None } else { Some(Pool::builder().seed(SEED).build()?) };
    let started = Instant::now();
    let array = match &pool {
        Some(pool) => parallel(pool, rows)?,
        None => sequential(rows)?,
    };
    eprintln!("{:.3} s", started.elapsed().as_secs_f64());
    println!("{rows} x {COLUMNS} numbers; their mean is {:.6}", array.iter().sum::<f64>() / array.len() as f64);
    println!("the first is {:.6}, the last {:.6}", array[[0, 0]], array[[rows - 1, COLUMNS - 1]]);
    Ok(())
}

/// Prints the answer, or why there is none.
pub fn main() -> ExitCode {
    run().map_or_else(|error| (eprintln!("fill_array: {error}"), ExitCode::FAILURE).1, |()| ExitCode::SUCCESS)
}
