//! One row: the same work twice, timed and compared.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ganger::{Builder, Pool};

use crate::plan::{Plan, Size, Tutorial};
use crate::row::{Answer, Bar, Gang, Row};
use crate::scratch::Scratch;

/// What may fail for all the reasons that the examples have.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// Into how many bars a row's timeline is drawn at most: about 30 rows make a page of some thousand.
const MOST_BARS: usize = 150;

/// Where the rows of one tutorial are run.
pub(crate) struct Stage<'a> {
    pub(crate) tutorial: Tutorial,
    pub(crate) plan: &'a Plan,
    pub(crate) scratch: &'a Scratch,
    /// How long pools took to start.
    pub(crate) starts: &'a mut Vec<Duration>,
    pub(crate) told: &'a mut dyn FnMut(Row) -> ControlFlow<()>,
    /// Whoever hears of rows wants no more.
    pub(crate) over: bool,
}

impl Stage<'_> {
    /// Which of these holds for this run: quick, usual or full.
    pub(crate) fn size<T>(&self, [quick, usual, full]: [T; 3]) -> T {
        match self.plan.size {
            Size::Quick => quick,
            Size::Usual => usual,
            Size::Full => full,
        }
    }

    /// A pool with as many workers as are wanted.
    pub(crate) fn pool(&mut self) -> Fallible<Pool> {
        self.started(|| Self::builder_of(self.plan).build())
    }

    /// The same, whose tasks draw the random numbers of this seed.
    pub(crate) fn seeded_pool(&mut self, seed: u64) -> Fallible<Pool> {
        self.started(|| Self::builder_of(self.plan).seed(seed).build())
    }

    fn builder_of(plan: &Plan) -> Builder {
        Pool::builder().workers(plan.workers)
    }

    /// Starts a gang in some other way, and remembers how long that took.
    pub(crate) fn started<T, E: Into<Box<dyn Error>>>(&mut self, start: impl FnOnce() -> Result<T, E>) -> Fallible<T> {
        let (time, started) = timed(start);
        self.starts.push(time);
        started.map_err(Into::into)
    }

    /// An empty directory for files.
    pub(crate) fn directory(&self, name: &str) -> Fallible<PathBuf> {
        Ok(self.scratch.directory(name)?)
    }

    /// Does the work in this process and by the pool.
    pub(crate) fn compare<T: PartialEq>(
        &mut self,
        workload: impl Into<String>,
        pool: &Pool,
        sequential: impl FnOnce() -> Fallible<T>,
        parallel: impl FnOnce(&Pool) -> Fallible<T>,
    ) {
        if self.over {
            return;
        }
        let (first, alone) = timed(sequential);
        if self.plan.record {
            pool.record_timeline(MOST_BARS);
        }
        let begun = Instant::now();
        let (second, together) = timed(|| parallel(pool));
        let gang = self.plan.record.then(|| gang(pool, begun));
        self.tell(workload.into(), (first, second), answer(alone, together), gang);
    }

    /// Does the work in this process and in parallel without a pool.
    pub(crate) fn compare_without_pool<T: PartialEq>(
        &mut self,
        workload: impl Into<String>,
        sequential: impl FnOnce() -> Fallible<T>,
        parallel: impl FnOnce() -> Fallible<T>,
    ) {
        if self.over {
            return;
        }
        let ((first, alone), (second, together)) = (timed(sequential), timed(parallel));
        self.tell(workload.into(), (first, second), answer(alone, together), None);
    }

    fn tell(
        &mut self,
        workload: String,
        (sequential, parallel): (Duration, Duration),
        answer: Answer,
        gang: Option<Gang>,
    ) {
        let row = Row { tutorial: self.tutorial, workload, sequential, parallel, answer, gang };
        self.over = (self.told)(row).is_break();
    }
}

fn timed<T>(action: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let value = action();
    (begun.elapsed(), value)
}

fn answer<T: PartialEq>(alone: Fallible<T>, together: Fallible<T>) -> Answer {
    match (alone, together) {
        (Ok(alone), Ok(together)) if alone == together => Answer::Equal,
        (Ok(_), Ok(_)) => Answer::Different,
        (Err(error), _) => Answer::Failed(format!("in this process: {error}")),
        (Ok(_), Err(error)) => Answer::Failed(error.to_string()),
    }
}

fn gang(pool: &Pool, begun: Instant) -> Gang {
    let timeline = pool.timeline();
    let since = |at: Instant| at.saturating_duration_since(begun);
    let bars = timeline.spans().iter().map(|span| Bar {
        worker: span.worker(),
        task: span.task().into(),
        index: span.index(),
        tasks: span.tasks(),
        start: since(span.start()),
        end: since(span.end()),
        work: span.work(),
    });
    Gang { workers: pool.size() as u32, bars: bars.collect(), missed: timeline.missed() }
}

/// A number as people write it: `1,000`.
pub(crate) fn count(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(sequential: i64, parallel: fn(&Pool) -> Fallible<i64>) -> Row {
        let plan = Plan { tutorials: Vec::new(), size: Size::Quick, workers: 1, record: true };
        let (mut rows, mut starts, scratch) = (Vec::new(), Vec::new(), Scratch::default());
        let mut told = |row| {
            rows.push(row);
            ControlFlow::Break(())
        };
        let mut stage = Stage {
            tutorial: Tutorial::T3,
            plan: &plan,
            scratch: &scratch,
            starts: &mut starts,
            told: &mut told,
            over: false,
        };
        let pool = stage.pool().unwrap();
        stage.compare("a square", &pool, || Ok(sequential), parallel);
        stage.compare("a row too many", &pool, || Ok(1), |_| panic!("nobody wants to hear of it"));
        assert_eq!(starts.len(), 1);
        rows.remove(0)
    }

    #[test]
    fn rows_say_whether_both_answers_are_the_same() {
        let square: fn(&Pool) -> Fallible<i64> = |pool| Ok(pool.apply(|x: i64| x * x, (3,))?);
        let row = answers(9, square);
        assert_eq!((&row.answer, row.tutorial, row.workload.as_str()), (&Answer::Equal, Tutorial::T3, "a square"));
        assert!(row.speed_up().is_some_and(|times| times < 1.0), "a value is there sooner than a task is: {row:?}");
        let gang = row.gang.unwrap();
        assert_eq!((gang.workers, gang.missed, gang.bars.len(), gang.bars[0].tasks), (1, 0, 1, 1));
        assert!(gang.bars[0].end <= row.parallel + Duration::from_secs(1), "it is of this run");
        let row = answers(10, square);
        assert_eq!((&row.answer, row.speed_up()), (&Answer::Different, None));
        let row = answers(9, |pool| Ok(pool.apply(|x: i64| -> i64 { panic!("no square of {x}") }, (3,))?));
        let Answer::Failed(why) = &row.answer else { panic!("{row:?}") };
        assert!(why.contains("no square of 3") && row.speed_up().is_none(), "{why}");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0_u64, "0"), (999, "999"), (1_000, "1,000"), (100_000_000, "100,000,000")] {
            assert_eq!(count(number), text);
        }
    }
}
