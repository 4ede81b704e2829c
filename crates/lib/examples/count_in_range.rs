//! How many numbers of each row lie within a range: 200,000 rows of five numbers, sent to the workers, or shared with them.
//!
//! ```sh
//! cargo run --release --example count_in_range -- 200000 --start-method forkserver      # or: --serial
//! ```
//!
//! Counting five numbers is so little work that sending them costs more. What is in shared memory is not sent: a task gets
//! a handle to thousands of rows, and writes its counts where they belong.
use std::error::Error;
use std::time::Instant;

use ganger::{Pool, SharedArray};
use indicatif::ProgressIterator;

/// The range, with both ends.
pub const LOW: i64 = 4;
/// See [`LOW`].
pub const HIGH: i64 = 8;
/// A seed of which the first rows have 3, 2, 3, 4 and 4 numbers within the range.
pub const SEED: u64 = 2793;
/// Into so many parts shared rows are divided: more than there are workers, so that a slow one holds nobody up.
pub const PARTS: usize = 8;

/// Five numbers.
pub type Row = [i64; 5];

/// Rows of the digits 0 to 9 (Knuth's MMIX generator), which any language can make alike.
pub fn rows(count: usize, seed: u64) -> Vec<Row> {
    let mut state = seed;
    let mut digit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % 10
    };
    (0..count).map(|_| std::array::from_fn(|_| digit())).collect()
}

/// The task for one row.
pub fn count_in_range(row: Row, low: i64, high: i64) -> u64 {
    count(&row, low, high)
}

/// The same for a row that stays where it is.
pub fn count(row: &[i64], low: i64, high: i64) -> u64 {
    row.iter().map(|number| u64::from((low..=high).contains(number))).sum()
}

/// In this process.
pub fn sequential(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(|row| count(row, LOW, HIGH)).collect()
}

/// A task for each row, which is serialized.
pub fn parallel(pool: &Pool, rows: &[Row]) -> Result<Vec<u64>, ganger::TaskError> {
    pool.starmap(count_in_range, rows.iter().map(|row| (*row, LOW, HIGH)))
}

/// The rows in memory that workers share with this process.
pub fn share(rows: &[Row]) -> Result<SharedArray<i64, 2>, ganger::Error> {
    SharedArray::from_vec([rows.len(), 5], rows.as_flattened())
}

/// The task for many shared rows: reads them where they are, and writes one count for each.
pub fn count_rows((rows, counts): (SharedArray<i64, 2>, SharedArray<u64, 1>)) -> Result<(), ganger::Error> {
    let (rows, mut counts) = (rows.view()?, counts.claim()?);
    counts.iter_mut().zip(rows.rows()).for_each(|(place, row)| *place = count(row, LOW, HIGH));
    Ok(())
}

/// A task for each of [`PARTS`] parts of the rows, of which only handles travel.
pub fn parallel_shared(pool: &Pool, rows: &SharedArray<i64, 2>) -> Result<Vec<u64>, Box<dyn Error>> {
    let counts = SharedArray::zeros([rows.shape()[0]])?;
    let parts = rows.split_rows(PARTS)?.into_iter().zip(counts.split_rows(PARTS)?);
    let _: Vec<()> = pool.map(count_rows, parts.progress_count(PARTS as u64))?;
    Ok(counts.to_vec()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut size, mut serial) = (200_000, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serial" => serial = true,
            "--start-method" => ganger::set_start_method(arguments.next().ok_or("which start method?")?.parse()?)?,
            number => size = number.parse().map_err(|_| format!("{number:?} is no count of rows"))?,
        }
    }
    let rows = rows(size, SEED);
    let start = Instant::now();
    let counts = if serial {
        sequential(&rows)
    } else {
        let pool = Pool::builder().build()?;
        eprintln!("pool: {:?}", start.elapsed());
        let start = Instant::now();
        let counts = parallel(&pool, &rows)?;
        eprintln!("rows serialized: {:?}", start.elapsed());
        let shared = share(&rows)?;
        let start = Instant::now();
        if counts != parallel_shared(&pool, &shared)? {
            return Err("shared rows have other counts than serialized ones".into());
        }
        eprintln!("rows shared: {:?}", start.elapsed());
        counts
    };
    eprintln!("{:?} in all", start.elapsed());
    for (row, count) in rows.iter().zip(&counts).take(5) {
        println!("{row:?}: {count}");
    }
    println!("first counts: {:?}", &counts[..counts.len().min(5)]);
    println!("{} of {} numbers are within {LOW} to {HIGH}", counts.iter().sum::<u64>(), rows.as_flattened().len());
    Ok(())
}
