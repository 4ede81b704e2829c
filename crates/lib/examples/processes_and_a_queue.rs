//! Ten processes, each with one number, and a queue into which each of them puts its answer.
//!
//! ```sh
//! cargo run --release --example processes_and_a_queue -- 10 --start-method spawn      # or: --serial
//! ```
//!
//! For calls that give a value `Process::result` and pools need no queue. It is for processes that have something to say while they run.
use std::error::Error;

use ganger::{Process, Queue};
use indicatif::ProgressIterator;

/// A number and its cube.
pub type Answer = (u64, u64);

/// What each process does.
pub fn work(number: u64, answers: Queue<Answer>) -> Result<(), ganger::Error> {
    answers.put(&(number, cube(number)))
}

/// The work itself.
pub fn cube(number: u64) -> u64 {
    number * number * number
}

/// In this process.
pub fn sequential(count: u64) -> Vec<Answer> {
    (0..count).map(|number| (number, cube(number))).collect()
}

/// A process for each number.
pub fn parallel(count: u64) -> Result<Vec<Answer>, Box<dyn Error>> {
    let queue = Queue::new()?;
    let mut processes: Vec<_> = (0..count).map(|number| Process::new(work, (number, queue.clone()))).collect();
    for process in &mut processes {
        process.start()?;
    }
    // The iterator ends when the queue is empty and no process is left that has it: also if one died without an answer.
    // (In Python a `get` for each process would wait for ever then, and a `join` before the last `get` might, too.)
    let mut answers = queue.iter().progress_count(count).collect::<Result<Vec<_>, _>>()?;
    for process in processes {
        // `join` and `exit_code` are there as well; this says in words how a process failed.
        let () = process.result()?;
    }
    // They came in the order in which processes were done.
    answers.sort_unstable();
    Ok(answers)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut count, mut serial) = (10, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serial" => serial = true,
            "--start-method" => ganger::set_start_method(arguments.next().ok_or("which start method?")?.parse()?)?,
            number => count = number.parse().map_err(|_| format!("{number:?} is no count of processes"))?,
        }
    }
    let start = std::time::Instant::now();
    let answers = if serial { sequential(count) } else { parallel(count)? };
    // Timings go to standard error: what stands on standard output is the answer, and is always the same.
    eprintln!("{:?}", start.elapsed());
    for (number, cube) in answers {
        println!("the cube of {number} is {cube}");
    }
    Ok(())
}
