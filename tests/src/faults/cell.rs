//! One cell of the matrix: a fault under one start method with so many workers.

use std::time::{Duration, Instant};

use ganger::{AsyncResult, Pool, StartMethod, TaskError, TaskErrorKind, partial};
use nix::sys::signal::Signal;

use super::answers::{Answer, LARGE, Untold};
use super::stops::Meddling;
use super::table::{FAULTS, Fault};

/// How many tasks there are.
const TASKS: u32 = 20;
/// The index of the one that commits the fault.
pub const FAULTY: u32 = 7;

/// No outcome takes that long, on the busiest machine.
const SOON: Duration = Duration::from_secs(20);

/// With so many workers each row is run.
pub const WORKERS: [usize; 3] = [1, 2, 8];

/// A cell.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The row.
    pub fault: &'static Fault,
    /// How workers are made.
    pub method: StartMethod,
    /// How many there are.
    pub workers: usize,
}

/// The task: one of them commits the fault of that row.
///
/// # Errors
/// When the fault is to return one.
pub fn commit(row: u32, index: u32) -> Result<Answer, Untold> {
    if index == FAULTY {
        return (FAULTS[row as usize].commit)();
    }
    // So that there are tasks before, beside and behind the faulty one when it happens.
    std::thread::sleep(Duration::from_millis(1));
    Ok(Answer::Plain(index))
}

impl Cell {
    /// Runs it: the fault alone, then among others as parts of one map, then among others that are calls of their own.
    /// Returns how long the last took.
    ///
    /// # Panics
    /// When an outcome is not as expected.
    #[must_use]
    pub fn run(&self) -> Duration {
        let pool = self.pool();
        if self.fault.meddling == Meddling::None {
            let alone = pool.apply(partial(commit, (self.row(),)), (FAULTY,));
            self.check(FAULTY, alone.as_ref());
            self.check_all(&pool.try_map(partial(commit, (self.row(),)), 0..TASKS));
        }
        let start = Instant::now();
        let handles = self.submit(&pool);
        self.fault.meddling.act();
        let outcomes: Vec<_> = handles.iter().map(|handle| handle.get_timeout(SOON).unwrap()).collect();
        let took = start.elapsed();
        self.check_all(&outcomes);
        self.still_works(&pool);
        pool.close();
        pool.join().unwrap();
        took
    }

    /// Its pool.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn pool(&self) -> Pool {
        Pool::builder().workers(self.workers).start_method(self.method).build().unwrap()
    }

    /// Twenty calls, of which one commits the fault.
    #[must_use]
    pub fn submit(&self, pool: &Pool) -> Vec<AsyncResult<Answer>> {
        (0..TASKS).map(|index| pool.apply_async(partial(commit, (self.row(),)), (index,))).collect()
    }

    fn row(&self) -> u32 {
        FAULTS.iter().position(|fault| std::ptr::eq(fault, self.fault)).unwrap() as u32
    }

    fn check_all(&self, outcomes: &[Result<Answer, TaskError>]) {
        assert_eq!(outcomes.len(), TASKS as usize);
        for (index, outcome) in (0..).zip(outcomes) {
            self.check(index, outcome.as_ref());
        }
    }

    fn check(&self, index: u32, outcome: Result<&Answer, &TaskError>) {
        let expected = if index == FAULTY { self.fault.expected } else { None };
        match (outcome, expected) {
            (Ok(Answer::Large(bytes)), None) if index == FAULTY => assert_eq!(bytes.len(), LARGE),
            (Ok(answer), None) => assert_eq!(answer, &Answer::Plain(index)),
            (Err(error), Some(kind)) => {
                assert_eq!(error.kind(), kind, "task {index}: {error}");
                assert!(error.to_string().contains(&told(kind)), "{error}");
            }
            (outcome, expected) => panic!("task {index} of {self:?} ended with {outcome:?} instead of {expected:?}"),
        }
    }

    /// The pool is as good as before: all of its places are taken, and work.
    fn still_works(&self, pool: &Pool) {
        let squares = pool.map(|x: i64| x * x, 0..100).unwrap();
        assert_eq!(squares, (0..100).map(|x| x * x).collect::<Vec<i64>>());
        crate::wait_until("every place is taken", SOON, || pool.worker_pids(), |pids| pids.len() == self.workers);
    }
}

/// What the text of an error has to have.
fn told(kind: TaskErrorKind) -> String {
    match kind {
        TaskErrorKind::Killed(signal) => Signal::try_from(signal).unwrap().to_string(),
        TaskErrorKind::Exited(code) => format!("exit code {code}"),
        _ => "commit".to_owned(),
    }
}
