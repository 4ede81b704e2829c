//! Cubes of `0..5000` by three workers: all the ways in which a pool is called, and that they give the same.
//!
//! ```sh
//! cargo run --release --example cubes -- 5000 --start-method fork      # or: --serial
//! ```
use std::error::Error;
use std::time::Instant;

use ganger::{Pool, TaskError, partial};
use indicatif::ProgressIterator;

/// How many workers the tutorial has.
pub const WORKERS: usize = 3;

/// The numbers whose cubes are wanted.
pub fn numbers(count: usize) -> Vec<i64> {
    (0..).take(count).collect()
}

/// The task.
pub fn cube(x: i64) -> i64 {
    x * x * x
}

/// A task of two arguments.
pub fn power(x: i64, exponent: u32) -> i64 {
    x.pow(exponent)
}

/// In this process.
pub fn sequential(numbers: &[i64]) -> Vec<i64> {
    numbers.iter().map(|x| cube(*x)).collect()
}

/// The usual way: `map` waits for all values, and gives them in the order of the items.
pub fn parallel(pool: &Pool, numbers: &[i64]) -> Result<Vec<i64>, TaskError> {
    pool.map(cube, numbers.iter().copied())
}

/// Every other way, by its name.
pub fn other_ways(pool: &Pool, numbers: &[i64]) -> Result<Vec<(&'static str, Vec<i64>)>, TaskError> {
    let items = || numbers.iter().copied();
    // Waits for one task at a time: nothing runs beside anything, so this is for single calls.
    let apply = items().map(|x| pool.apply(cube, (x,))).collect::<Result<_, _>>()?;
    // Several arguments for each task; and what stays the same, bound. (In Python a second function is written for that.)
    let starmap = pool.starmap(power, items().map(|x| (x, 3)))?;
    let bound = pool.map(partial(|exponent, x| power(x, exponent), (3_u32,)), items())?;
    // These return at once, with handles. All of the work is under way before the first value is asked for.
    let handles: Vec<_> = items().map(|x| pool.apply_async(cube, (x,))).collect();
    let map_async = pool.map_async(cube, items());
    let starmap_async = pool.starmap_async(power, items().map(|x| (x, 3)));
    let apply_async = handles.into_iter().map(|handle| handle.get()).collect::<Result<_, _>>()?;
    // Values as they come, in order or in any, while the input is pulled no further ahead than needed.
    let imap = pool.imap(cube, numbers.to_vec()).progress_count(numbers.len() as u64).collect::<Result<_, _>>()?;
    let mut unordered = pool.imap_unordered(cube, numbers.to_vec()).collect::<Result<Vec<_>, _>>()?;
    unordered.sort_unstable();
    Ok(vec![
        ("apply", apply),
        ("starmap", starmap),
        ("map of a partial", bound),
        ("apply_async", apply_async),
        ("map_async", map_async.get()?),
        ("starmap_async", starmap_async.get()?),
        ("imap", imap),
        ("imap_unordered, sorted", unordered),
    ])
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut count, mut serial) = (5000, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serial" => serial = true,
            "--start-method" => ganger::set_start_method(arguments.next().ok_or("which start method?")?.parse()?)?,
            number => count = number.parse().map_err(|_| format!("{number:?} is no count of numbers"))?,
        }
    }
    let numbers = numbers(count);
    let start = Instant::now();
    let cubes = if serial {
        sequential(&numbers)
    } else {
        let pool = Pool::new(WORKERS)?;
        eprintln!("pool of {WORKERS} workers on {} processors: {:?}", ganger::cpu_count(), start.elapsed());
        let cubes = parallel(&pool, &numbers)?;
        for (name, others) in other_ways(&pool, &numbers)? {
            if others != cubes {
                return Err(format!("{name} gives other cubes than map").into());
            }
        }
        cubes
    };
    // Timings go to standard error: what stands on standard output is the answer, and is always the same.
    eprintln!("{:?} in all", start.elapsed());
    println!("{} cubes, from {:?} to {:?}", cubes.len(), &cubes[..cubes.len().min(5)], cubes.last());
    println!("their sum is {}", cubes.iter().sum::<i64>());
    Ok(())
}
