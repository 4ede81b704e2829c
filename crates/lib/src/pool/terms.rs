//! What a pool's methods ask of every task: how many travel together, how long they may take, what is tried again.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::supervisor::event::{Failures, JobTerms, RetryTerms};
use crate::{Error, ErrorKind};

/// When a task that failed is tried again; [`Builder::retry`](crate::Builder::retry) and
/// [`Pool::with_retry`](crate::Pool::with_retry) take it.
///
/// Without it nothing is: a task that killed its worker once will most likely do so again, and what a task has done before it
/// failed may not bear being done twice. With it, a task whose worker died is tried again *alone*, on a worker that has run
/// nothing else, so that no other task can suffer from it or be taken for the culprit.
///
/// ```
/// use std::time::Duration;
/// use ganger::{Retry, RetryOn};
///
/// fn fetch(number: u32) -> Result<u32, String> {
///     if ganger::attempt() < 3 { Err("busy".to_owned()) } else { Ok(number) }
/// }
/// let retry = Retry::new(3).on([RetryOn::Error]).backoff(Duration::from_millis(1)..=Duration::from_millis(10));
/// let pool = ganger::Pool::builder().workers(2).retry(retry).build()?;
/// let numbers: Vec<u32> = pool.map(fetch, 0..3)?;
/// assert_eq!(numbers, [0, 1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    attempts: u32,
    backoff: RangeInclusive<Duration>,
    jitter: f64,
    on: Failures,
}

/// A way to fail that can be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryOn {
    /// The task returned `Err`.
    Error,
    /// It panicked.
    Panic,
    /// It ended its worker, or its worker was killed.
    Crash,
    /// It ran longer than its timeout.
    Timeout,
}

impl Retry {
    /// At most `attempts` in all, the first included, after crashes, panics and timeouts, with waits from 100 ms to 10 s.
    #[must_use]
    pub fn new(attempts: u32) -> Self {
        let on = Failures { error: false, panic: true, crash: true, timeout: true };
        let backoff = Duration::from_millis(100)..=Duration::from_secs(10);
        Self { attempts, backoff, jitter: 0.5, on }
    }

    /// The wait before the second attempt, and the longest; in between each is twice as long as the one before.
    #[must_use]
    pub fn backoff(mut self, waits: RangeInclusive<Duration>) -> Self {
        self.backoff = waits;
        self
    }

    /// By which part of itself, from 0 to 1, a wait is shortened at random, so that tasks that failed together are not all
    /// tried again together; 0.5 without it. The random part comes from the pool's seed.
    #[must_use]
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// After which failures, instead of crashes, panics and timeouts.
    #[must_use]
    pub fn on(mut self, failures: impl IntoIterator<Item = RetryOn>) -> Self {
        self.on = Failures::default();
        for failure in failures {
            match failure {
                RetryOn::Error => self.on.error = true,
                RetryOn::Panic => self.on.panic = true,
                RetryOn::Crash => self.on.crash = true,
                RetryOn::Timeout => self.on.timeout = true,
            }
        }
        self
    }

    fn checked(&self) -> Result<RetryTerms, Error> {
        let (first, most) = (*self.backoff.start(), *self.backoff.end());
        if self.attempts == 0 {
            return Err(invalid("attempts is 0: every task has at least 1 attempt".to_owned()));
        }
        if first > most {
            return Err(invalid(format!("backoff is {first:?}..={most:?}: the first wait is longer than the longest")));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(invalid(format!("jitter is {}: it is a part from 0 to 1", self.jitter)));
        }
        let jitter = (self.jitter * 1000.0) as u16;
        Ok(RetryTerms { attempts: self.attempts, backoff: [first, most], jitter, on: self.on })
    }
}

/// What the calls of one handle of a pool ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    chunksize: Option<u32>,
    priority: i32,
    timeout: Option<Duration>,
    queue_timeout: Option<Duration>,
    retry: Option<RetryTerms>,
}

impl Terms {
    pub(super) fn set_chunksize(&mut self, tasks: usize) -> Result<(), Error> {
        if tasks == 0 {
            return Err(invalid("chunksize is 0: at least 1 task is sent at a time".to_owned()));
        }
        self.chunksize = Some(u32::try_from(tasks).unwrap_or(u32::MAX));
        Ok(())
    }

    pub(super) fn set_priority(&mut self, priority: i32) {
        self.priority = priority;
    }

    pub(super) fn set_timeout(&mut self, limit: Duration) -> Result<(), Error> {
        self.timeout = Some(checked_limit("timeout", limit)?);
        Ok(())
    }

    pub(super) fn set_queue_timeout(&mut self, limit: Duration) -> Result<(), Error> {
        self.queue_timeout = Some(checked_limit("queue_timeout", limit)?);
        Ok(())
    }

    pub(super) fn set_retry(&mut self, retry: &Retry) -> Result<(), Error> {
        self.retry = Some(retry.checked()?);
        Ok(())
    }

    /// Whether something is said of every single task that does not hold of several together.
    pub(super) fn tell_tasks_apart(self) -> bool {
        self.timeout.is_some() || self.queue_timeout.is_some() || self.retry.is_some()
    }

    /// How many tasks are to travel together, if that is said.
    pub(super) fn chunksize(self) -> Option<u32> {
        self.chunksize
    }

    /// For a single call: nothing travels together.
    pub(super) fn single(self) -> Self {
        Self { chunksize: None, ..self }
    }

    pub(super) fn of(self, function: u64) -> JobTerms {
        let Self { chunksize, priority, timeout, queue_timeout, retry } = self;
        JobTerms { function, chunksize, priority, timeout, queue_timeout, retry }
    }
}

/// A limit of 0 would end every task before it can begin; who wants none does not set it.
fn checked_limit(name: &str, limit: Duration) -> Result<Duration, Error> {
    if limit.is_zero() {
        Err(invalid(format!("{name} is 0: it must be longer, or not be set at all")))
    } else {
        Ok(limit)
    }
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidSetting, text)
}
