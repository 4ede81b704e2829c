//! Where the time of a gang went.

use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Pool;
use crate::supervisor::core::Core;
use crate::wire::codec::decode;

/// Where the time of a gang has gone until now; [`Pool::insights`] tells. mpire's `get_insights`.
///
/// ```
/// fn work(millis: u64) -> u64 { std::thread::sleep(std::time::Duration::from_millis(millis)); millis }
/// let pool = ganger::Pool::new(2)?;
/// pool.map(work, [1, 30, 2])?;
/// let insights = pool.insights();
/// assert_eq!(insights.total().tasks(), 3);
/// let slowest = &insights.slowest()[0];
/// assert_eq!((slowest.index(), slowest.arguments()), (1, Some((30_u64,))));
/// println!("{insights}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Insights {
    workers: Vec<WorkTimes>,
    slowest: Vec<SlowTask>,
}

/// What the workers of one place, or of all places, have done with their time.
///
/// What workers measure themselves (`init`, `work`) is their word. Of tasks that are shorter than 2 us only every 16th is
/// timed, and stands for the others; a long one among them is recognised from some milliseconds on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkTimes {
    pub(crate) processes: u64,
    pub(crate) tasks: u64,
    pub(crate) start_up: Duration,
    pub(crate) init: Duration,
    pub(crate) wait: Duration,
    pub(crate) work: Duration,
    pub(crate) exit: Duration,
}

/// One of the slowest tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowTask {
    pub(crate) task: Arc<str>,
    pub(crate) index: u64,
    pub(crate) worker: u32,
    pub(crate) duration: Duration,
    pub(crate) arguments: Option<Arc<[u8]>>,
}

impl Pool {
    /// Where the time of the gang has gone until now, those of its workers included that were replaced. It is always kept:
    /// it costs a comparison a task.
    #[must_use]
    pub fn insights(&self) -> Insights {
        if self.gang().foreign() {
            return Insights { workers: Vec::new(), slowest: Vec::new() };
        }
        let (workers, slowest) = self.gang().supervisor.with_core(Core::insights);
        Insights { workers, slowest }
    }
}

impl Insights {
    /// Of each place in the gang, in the order of their [ids](crate::worker_id).
    #[must_use]
    pub fn workers(&self) -> &[WorkTimes] {
        &self.workers
    }

    /// Of all together.
    #[must_use]
    pub fn total(&self) -> WorkTimes {
        self.workers.iter().fold(WorkTimes::default(), |all, times| all + *times)
    }

    /// The ten slowest tasks, the slowest first; tasks of which their workers have died are among them. Of a
    /// [fold](Pool::fold) a piece of items is one task.
    #[must_use]
    pub fn slowest(&self) -> &[SlowTask] {
        &self.slowest
    }
}

impl WorkTimes {
    /// How many processes have got ready.
    #[must_use]
    pub fn processes(&self) -> u64 {
        self.processes
    }

    /// How many tasks have ended; each attempt is one.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    /// How long the processes took until the initializer began: to be started, and to be heard of.
    #[must_use]
    pub fn start_up(&self) -> Duration {
        self.start_up
    }

    /// How long the initializer ran, and under `spawn` `preload`.
    #[must_use]
    pub fn init(&self) -> Duration {
        self.init
    }

    /// How long they were ready and ran no task: there was none, or it was on its way.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// How long tasks ran, with the decoding of arguments and the encoding of results.
    #[must_use]
    pub fn work(&self) -> Duration {
        self.work
    }

    /// How long they took to leave when they were told to, the exit hook included.
    #[must_use]
    pub fn exit(&self) -> Duration {
        self.exit
    }

    /// How long a task ran on average, if any has ended.
    #[must_use]
    pub fn mean_work(&self) -> Option<Duration> {
        (self.tasks > 0).then(|| self.work.div_f64(self.tasks as f64))
    }

    /// Which part of all of this time, from 0 to 1, was work.
    #[must_use]
    pub fn working_share(&self) -> f64 {
        let parts = [self.start_up, self.init, self.wait, self.work, self.exit];
        let all: f64 = parts.iter().map(Duration::as_secs_f64).sum();
        if all == 0.0 { 0.0 } else { self.work.as_secs_f64() / all }
    }
}

impl Add for WorkTimes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            processes: self.processes + other.processes,
            tasks: self.tasks + other.tasks,
            start_up: self.start_up.saturating_add(other.start_up),
            init: self.init.saturating_add(other.init),
            wait: self.wait.saturating_add(other.wait),
            work: self.work.saturating_add(other.work),
            exit: self.exit.saturating_add(other.exit),
        }
    }
}

impl SlowTask {
    /// The name of its function.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Its index among the tasks of its call.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The place of its worker.
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// How long it ran.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Its arguments: a tuple of the types that its function takes, without bound ones. `None` when they were longer than 4 KiB,
    /// hold open descriptors, or are of other types, as far as that can be seen from their bytes.
    #[must_use]
    pub fn arguments<Args: DeserializeOwned>(&self) -> Option<Args> {
        decode(self.arguments.as_deref()?).ok()
    }
}

impl fmt::Display for SlowTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, index, worker, duration, .. } = self;
        write!(f, "task {index} ({task}) took {duration:.3?} on worker {worker}")
    }
}

impl fmt::Display for Insights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["worker", "processes", "tasks", "start-up", "init", "wait", "work", "exit", "a task", "working"];
        columns.iter().try_for_each(|name| write!(f, "{name:>10}"))?;
        let places = self.workers.iter().enumerate().map(|(place, times)| (place.to_string(), *times));
        for (name, times) in places.chain([("all".to_owned(), self.total())]) {
            write!(f, "\n{name:>10}{:>10}{:>10}", times.processes, times.tasks)?;
            let WorkTimes { start_up, init, wait, work, exit, .. } = times;
            let durations = [start_up, init, wait, work, exit, times.mean_work().unwrap_or_default()];
            durations.iter().try_for_each(|time| write!(f, "{:>10}", format!("{time:.1?}")))?;
            write!(f, "{:>9.0}%", 100.0 * times.working_share())?;
        }
        self.slowest.iter().try_for_each(|task| write!(f, "\n{task}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_worker_and_one_for_all() {
        let millis = Duration::from_millis;
        let times = WorkTimes { processes: 1, tasks: 4, start_up: millis(2), work: millis(8), ..WorkTimes::default() };
        let task = SlowTask { task: "app::f".into(), index: 7, worker: 1, duration: millis(5), arguments: None };
        let insights = Insights { workers: vec![times, WorkTimes::default()], slowest: vec![task] };
        assert_eq!(insights.total().mean_work(), Some(millis(2)));
        let text = insights.to_string();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["0", "1", "4", "2.0ms", "0.0ns", "0.0ns", "8.0ms", "0.0ns", "2.0ms", "80%"]);
        assert_eq!(rows[3], ["all", "1", "4", "2.0ms", "0.0ns", "0.0ns", "8.0ms", "0.0ns", "2.0ms", "80%"]);
        assert_eq!(text.lines().last(), Some("task 7 (app::f) took 5.000ms on worker 1"));
    }
}
