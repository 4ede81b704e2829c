//! Tutorial T4, second part: the sums of many lists at once. There is a task for each list, and in that task a pool of its own
//! for the numbers of the list.
//!
//! `cargo run --release --example many_lists -- [--serial] [--full] [--lists COUNT] [--size NUMBERS] [--start-method METHOD]`

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use ganger::manager::Dict;
use ganger::{Manager, Pool, partial};
use indicatif::{ProgressBar, ProgressIterator};

/// How many numbers there are in each of these lists: about `size`, and in every second one exactly that.
pub fn sizes(lists: u64, size: u64) -> Vec<u64> {
    (0..lists).map(|list| size + list % 2 * list).collect()
}

/// The numbers of one list. This is a generator: no number is there before somebody asks for it.
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
    (u128::from(size) * u128::from(size.saturating_sub(1)) / 2) as u64
}

/// One list after the other. (`black_box`: or the compiler knows Gauss's formula as well, and there is no loop.)
pub fn sequential(sizes: &[u64]) -> Vec<u64> {
    sizes.iter().map(|size| numbers(*size).fold(0, |sum, number| sum + black_box(number))).collect()
}

/// All lists at once. Each has a key of its own in the dictionary, its number: if that were its length, as in the tutorial, lists of
/// equal length would overwrite each other's sum. What the lists' pools have in their hands is bounded, however long the lists are.
pub fn parallel(pool: &Pool, manager: &Manager, sizes: &[u64]) -> Result<Vec<u64>, Box<dyn Error>> {
    let totals: Dict<u64, u64> = manager.dict()?;
    let lists: Vec<(u64, u64)> = (0..).zip(sizes.iter().copied()).collect();
    let tasks = pool.imap_unordered(partial(sum_list, (totals.clone(),)), lists);
    tasks.progress_with(ProgressBar::new(sizes.len() as u64)).try_for_each(|task| task)?; // a failed task ends it
    let sums: Result<Vec<u64>, ganger::Error> =
        (0..sizes.len() as u64).map(|list| Ok(totals.get(&list)?.unwrap_or(0))).collect();
    Ok(sums?)
}

/// The task for a list. Its pool is one more gang of processes, but no more tasks run at a time than the outer pool has
/// workers: while this task waits for its own pool, it lends its place. Python refuses a pool in a task, and the error is lost.
fn sum_list(totals: Dict<u64, u64>, (list, size): (u64, u64)) -> Result<(), Box<dyn Error>> {
    let pool = Pool::new(2)?;
    let mut tasks = pool.imap_unordered(partial(add_all, (totals, list)), chunks(size));
    Ok(tasks.try_for_each(|task| task)?)
}

/// Adds in few messages, each number by itself: the manager's sum is exact, whoever else adds.
fn add_all(totals: Dict<u64, u64>, list: u64, numbers: Vec<u64>) -> Result<(), ganger::Error> {
    totals.add_many(numbers.into_iter().map(|number| (list, number)))
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut serial, mut lists, mut size) = (false, 8, 10_000);
    let mut switches = std::env::args().skip(1);
    while let Some(switch) = switches.next() {
        let mut value = || switches.next().ok_or(format!("{switch} needs a value"));
        match switch.as_str() {
            "--serial" => serial = true,
            "--full" => (lists, size) = (7, 10_000_000),
            "--lists" => lists = value()?.parse::<u16>().map_err(|error| format!("--lists: {error}"))?,
            "--size" => size = value()?.parse::<u32>().map_err(|error| format!("--size: {error}"))?,
            "--start-method" => ganger::set_start_method(value()?.parse()?)?,
            _ => return Err(format!("there is no switch {switch:?}").into()),
        }
    }
    let sizes = sizes(u64::from(lists), u64::from(size));
    let started = Instant::now();
    let sums = if serial {
        sequential(&sizes)
    } else {
        let (manager, pool) = (Manager::new()?, Pool::builder().build()?);
        parallel(&pool, &manager, &sizes)?
    };
    eprintln!("{:.3} s", started.elapsed().as_secs_f64());
    for ((list, size), sum) in sizes.iter().enumerate().zip(sums) {
        println!("list {list} of {size} numbers: {sum}");
        assert_eq!(sum, arithmetic(*size), "this is exact");
    }
    Ok(())
}

/// Prints the sums, or why there are none.
pub fn main() -> ExitCode {
    run().map_or_else(|error| (eprintln!("many_lists: {error}"), ExitCode::FAILURE).1, |()| ExitCode::SUCCESS)
}
