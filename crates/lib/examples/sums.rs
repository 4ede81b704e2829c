//! Tutorial T4: the sum of many numbers, which the tasks of a pool add to a dictionary in a manager, and what is faster.
//!
//! `cargo run --release --example sums -- [--serial] [--full] [--most NUMBERS] [--start-method fork|spawn|forkserver]`

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use ganger::manager::Dict;
use ganger::{Manager, Pool, partial};
use indicatif::{ProgressBar, ProgressIterator};

/// A sum, or why there is none.
pub type Sum = Result<u64, Box<dyn Error>>;

/// How many numbers there are to add; the last one for `--full` only, and without `--release` those up to 10,000.
pub const SIZES: [u64; 7] = [5, 50, 500, 1_000, 10_000, 10_000_000, 100_000_000];

/// The numbers. This is a generator: no number is there before somebody asks for it.
pub fn numbers(size: u64) -> impl Iterator<Item = u64> + Send + 'static {
    0..size
}

/// The same numbers, 10,000 at a time, which are made as lazily.
fn chunks(size: u64) -> impl Iterator<Item = Vec<u64>> + Send + 'static {
    let mut rest = numbers(size);
    std::iter::from_fn(move || Some(rest.by_ref().take(10_000).collect()).filter(|chunk: &Vec<u64>| !chunk.is_empty()))
}

/// What must come out, by Gauss.
pub fn arithmetic(size: u64) -> u64 {
    size * size.saturating_sub(1) / 2
}

/// The loop that everybody begins with. (`black_box`: or the compiler knows Gauss's formula as well, and there is no loop.)
pub fn sequential(size: u64) -> u64 {
    numbers(size).fold(0, |sum, number| sum + black_box(number))
}

/// A task for each number, a message to the manager for each task. `Dict::add` is one step of the manager's: no update is lost.
pub fn one_by_one(pool: &Pool, manager: &Manager, size: u64) -> Sum {
    let totals: Dict<String, u64> = manager.dict()?;
    let tasks = pool.imap_unordered(partial(add, (totals.clone(),)), numbers(size));
    tasks.progress_with(ProgressBar::new(size)).try_for_each(|task| task)?; // after this, all tasks have ended
    Ok(totals.get("sum")?.unwrap_or(0))
}

fn add(totals: Dict<String, u64>, number: u64) -> Result<(), ganger::Error> {
    totals.add("sum", number).map(drop)
}

/// A task for each 10,000 numbers, and few messages for each task: still every number is added by the manager.
pub fn in_batches(pool: &Pool, manager: &Manager, size: u64) -> Sum {
    let totals: Dict<String, u64> = manager.dict()?;
    let tasks = pool.imap_unordered(partial(add_all, (totals.clone(),)), chunks(size));
    tasks.progress_with(ProgressBar::new(size.div_ceil(10_000))).try_for_each(|task| task)?;
    Ok(totals.get("sum")?.unwrap_or(0))
}

fn add_all(totals: Dict<String, u64>, numbers: Vec<u64>) -> Result<(), ganger::Error> {
    totals.add_many(numbers.into_iter().map(|number| ("sum".to_owned(), number)))
}

/// No manager: workers add up what they are sent, and only sums travel back.
pub fn folded(pool: &Pool, size: u64) -> Sum {
    Ok(pool.fold(|number: u64| number, numbers(size), 0, |a, b| a + b)?)
}

/// Each worker makes its share of the numbers by itself: two numbers travel to it, and one comes back.
pub fn partial_sums(pool: &Pool, size: u64) -> Sum {
    let shares = pool.size() as u64;
    let ends = (0..shares).map(|share| (size * share / shares, size * (share + 1) / shares));
    Ok(pool.starmap(|from: u64, to: u64| (from..to).fold(0, |sum, number| sum + black_box(number)), ends)?.iter().sum())
}

/// The sum in all ways that are sensible for so many numbers, timed on standard error. One that is wrong is an error.
pub fn parallel(pool: &Pool, manager: &Manager, size: u64) -> Sum {
    let ways: [(&str, u64, &dyn Fn() -> Sum); 4] = [
        ("one by one", 10_000, &|| one_by_one(pool, manager, size)), // for more it is as right, and slow
        ("in batches", u64::MAX, &|| in_batches(pool, manager, size)),
        ("fold", u64::MAX, &|| folded(pool, size)),
        ("partial sums", u64::MAX, &|| partial_sums(pool, size)),
    ];
    for (name, _, way) in ways.into_iter().filter(|(_, most, _)| size <= *most) {
        let (started, sum) = (Instant::now(), way()?);
        eprintln!("{size:>11} numbers, {name:<12} {:>10.6} s", started.elapsed().as_secs_f64());
        if sum != arithmetic(size) {
            return Err(format!("{size} numbers, {name}: {sum} is not {}", arithmetic(size)).into());
        }
    }
    Ok(arithmetic(size))
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut serial, mut most) = (false, if cfg!(debug_assertions) { 10_000 } else { 10_000_000 });
    let mut switches = std::env::args().skip(1);
    while let Some(switch) = switches.next() {
        let mut value = || switches.next().ok_or(format!("{switch} needs a value"));
        match switch.as_str() {
            "--serial" => serial = true,
            "--full" => most = u64::MAX,
            "--most" => most = value()?.parse().map_err(|error| format!("--most: {error}"))?,
            "--start-method" => ganger::set_start_method(value()?.parse()?)?,
            _ => return Err(format!("there is no switch {switch:?}").into()),
        }
    }
    let gang = if serial { None } else { Some((Pool::builder().build()?, Manager::new()?)) };
    for size in SIZES.into_iter().filter(|size| *size <= most) {
        let sum = if let Some((pool, manager)) = &gang { parallel(pool, manager, size)? } else { sequential(size) };
        println!("{size:>11} numbers: {sum}");
    }
    Ok(())
}

/// Prints the sums, or why there are none.
pub fn main() -> ExitCode {
    run().map_or_else(|error| (eprintln!("sums: {error}"), ExitCode::FAILURE).1, |()| ExitCode::SUCCESS)
}
