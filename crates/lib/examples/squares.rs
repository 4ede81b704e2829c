//! Squares of numbers: in a loop, by a pool, and by whole slices. Then the same where each takes 10 ms of waiting.
//!
//! ```sh
//! cargo run --release --example squares -- 1000 --start-method spawn      # or: --serial
//! ```
//!
//! A square is a nanosecond's work, and a number's way to another process and back costs a hundred: the loop wins, however
//! many processors there are. Tasks that wait (for a server, for a disk) are what a pool is good at, whatever it costs.
use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ganger::{Pool, TaskError};
use indicatif::ProgressIterator;

/// How long a slow square waits.
pub const NAP: Duration = Duration::from_millis(10);

/// Waiting needs no processor, so here more workers than processors make sense.
pub const SLEEPERS: usize = 8;

/// The numbers that are squared.
pub fn numbers(count: usize) -> Vec<i64> {
    (0..).take(count).collect()
}

/// The task: any function will do whose argument and value serde can serialize.
pub fn square(x: i64) -> i64 {
    x * x
}

/// The same, after a nap.
pub fn slow_square(x: i64) -> i64 {
    sleep(NAP);
    square(x)
}

/// All squares of a slice in one call, as NumPy has them: the compiler makes vector instructions of this loop.
pub fn square_all(numbers: Vec<i64>) -> Vec<i64> {
    numbers.into_iter().map(|x| x * x).collect()
}

/// One after the other, in this process.
pub fn sequential(numbers: &[i64], task: fn(i64) -> i64) -> Vec<i64> {
    numbers.iter().map(|x| task(*x)).collect()
}

/// A task for each number. (The pool sends many tiny tasks at a time: there is no `chunksize` to be found by trial.)
pub fn parallel(pool: &Pool, numbers: &[i64]) -> Result<Vec<i64>, TaskError> {
    pool.map(square, numbers.iter().copied())
}

/// A task for each of as many slices as there are workers.
pub fn vectorised(pool: &Pool, numbers: &[i64]) -> Result<Vec<i64>, TaskError> {
    let slice = numbers.len().div_ceil(pool.size()).max(1);
    let squares: Vec<Vec<i64>> = pool.map(square_all, numbers.chunks(slice).map(<[i64]>::to_vec))?;
    Ok(squares.concat())
}

/// A task for each number, with naps. `imap` gives each result as soon as it is its turn, which is what a progress bar needs.
pub fn parallel_with_naps(pool: &Pool, numbers: &[i64]) -> Result<Vec<i64>, TaskError> {
    pool.imap(slow_square, numbers.to_vec()).progress_count(numbers.len() as u64).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut count, mut serial) = (1000, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serial" => serial = true,
            "--start-method" => ganger::set_start_method(arguments.next().ok_or("which start method?")?.parse()?)?,
            number => count = number.parse().map_err(|_| format!("{number:?} is no count of numbers"))?,
        }
    }
    // A tenth of them naps: in a loop, 1,000 naps take 10 s.
    let (many, few) = (numbers(count), numbers(count / 10));

    let (squares, slow) = if serial {
        (timed("loop", || sequential(&many, square)), timed("loop, naps", || sequential(&few, slow_square)))
    } else {
        let pool = timed("start of a pool", || Pool::builder().build())?;
        let squares = timed("pool", || parallel(&pool, &many))?;
        if squares != timed("pool, slices", || vectorised(&pool, &many))? {
            return Err("slices have other squares than single numbers".into());
        }
        let sleepers = Pool::new(SLEEPERS)?;
        (squares, timed("pool, naps", || parallel_with_naps(&sleepers, &few))?)
    };
    let sum = |values: &[i64]| values.iter().sum::<i64>();
    println!("{} squares, the last {:?}, the sum {}", squares.len(), squares.last(), sum(&squares));
    println!("{} squares after a nap each, the sum {}", slow.len(), sum(&slow));
    Ok(())
}

/// Says on standard error how long `action` took: standard output is for the answer, which is always the same.
fn timed<T>(what: &str, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = action();
    eprintln!("{what}: {:?}", start.elapsed());
    value
}
