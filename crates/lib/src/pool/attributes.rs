//! What worker processes may use: resource limits, niceness, processors; and how many threads libraries are told to make.

use std::sync::Arc;

use ganger_os::cgroup::Group;
use ganger_os::{rlimit, scheduling};

use super::builder::{Builder, invalid};
use crate::rlimit::{Rlimit, RlimitBounds, amount};
use crate::wire::attributes::{Attributes as Resolved, Limit};
use crate::{Error, cpu};

/// What the builder was told.
#[derive(Debug)]
pub(crate) struct Attributes {
    rlimits: Vec<(Rlimit, RlimitBounds)>,
    niceness: Option<i32>,
    pin: Option<Pin>,
    thread_variables: bool,
    cgroup: bool,
}

#[derive(Debug)]
enum Pin {
    /// To whatever this process may use.
    Any,
    To(Vec<usize>),
}

impl Default for Attributes {
    fn default() -> Self {
        Self { rlimits: Vec::new(), niceness: None, pin: None, thread_variables: true, cgroup: false }
    }
}

/// What tells libraries how many threads to make: those that joblib and loky set as well, and the two that Rust's have.
const THREAD_VARIABLES: [&str; 9] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
];

impl Builder {
    /// Limits a resource of each worker process, from before its initializer runs: one value, or the soft and the hard limit;
    /// [`Rlimit::UNLIMITED`] for none. What workers start inherits it. The last word on a resource counts. Python's
    /// `resource.setrlimit`, called in each worker.
    ///
    /// A task that goes beyond it ends as the kernel has it: by a signal that its outcome names, or by a call that fails.
    ///
    /// ```
    /// use ganger::{Pool, Rlimit};
    /// let pool = Pool::builder()
    ///     .workers(1)
    ///     .rlimit(Rlimit::Core, 0)
    ///     .rlimit(Rlimit::Nofile, (64, 128))
    ///     .build()?;
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn rlimit(mut self, resource: Rlimit, bounds: impl Into<RlimitBounds>) -> Self {
        self.attributes.set_rlimit(resource, bounds.into());
        self
    }

    /// The niceness of workers, from -20 (they go first) to 19 (they go last); without it, that of the thread that builds
    /// the pool. Less than that needs a right to it (`CAP_SYS_NICE`, or `RLIMIT_NICE`). Python's `os.setpriority`.
    pub fn nice(mut self, niceness: i32) -> Self {
        self.attributes.set_niceness(niceness);
        self
    }

    /// Keeps each worker on one processor: those that the thread that builds the pool may use are dealt out by the workers'
    /// places, round and round if there are more workers. A worker that is replaced leaves its processor to its successor.
    /// Python's `os.sched_setaffinity`, called in each worker.
    pub fn pin(mut self) -> Self {
        self.attributes.pin = Some(Pin::Any);
        self
    }

    /// As [`pin`](Self::pin), with these processors.
    pub fn pin_to(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.attributes.set_cpus(cpus.into_iter().collect());
        self
    }

    /// Whether the gang lives in a control group (version 2) of its own, below that of this process, which is removed with it;
    /// it does not, if nothing else is said. Then what tasks have left behind is killed even when the guardian has
    /// died; only who has a right to other control groups can hide from that. Building the pool may take 20 ms more.
    ///
    /// It needs a group that is delegated to this process (as by `systemd-run --user --scope -p Delegate=yes`), or root where
    /// nobody else divides groups, and Linux 5.14; [`build`](Self::build) says what is missing. [`Pool::containment`](crate::Pool::containment)
    /// tells what holds then. Limits of memory are measured as without it.
    pub fn cgroup(mut self, own: bool) -> Self {
        self.attributes.cgroup = own;
        self
    }

    /// Whether workers tell libraries to make no more threads than there are processors for each worker, at least 1; they
    /// do, if nothing else is said. It is written into those of the variables `OMP_NUM_THREADS`, `OPENBLAS_NUM_THREADS`,
    /// `MKL_NUM_THREADS`, `BLIS_NUM_THREADS`, `VECLIB_MAXIMUM_THREADS`, `NUMBA_NUM_THREADS`, `NUMEXPR_NUM_THREADS`,
    /// `RAYON_NUM_THREADS` and `POLARS_MAX_THREADS` that are not set.
    ///
    /// Under `fork` a library that has read its variable in this process already does not read it again, and
    /// beside threads (see [`allow_threads`](Self::allow_threads)) the variables are left alone.
    pub fn thread_variables(mut self, set: bool) -> Self {
        self.attributes.thread_variables = set;
        self
    }
}

impl Attributes {
    pub(crate) fn set_rlimit(&mut self, resource: Rlimit, bounds: RlimitBounds) {
        self.rlimits.retain(|(known, _)| *known != resource);
        self.rlimits.push((resource, bounds));
    }

    pub(crate) fn set_niceness(&mut self, niceness: i32) {
        self.niceness = Some(niceness);
    }

    pub(crate) fn set_cpus(&mut self, cpus: Vec<usize>) {
        self.pin = Some(Pin::To(cpus));
    }

    /// What workers are to do, if the kernel lets them; whether their output is captured.
    pub(crate) fn resolve(&self, captured: bool) -> Result<Resolved, Error> {
        let rlimits = self.rlimits.iter().map(|(resource, bounds)| limit(*resource, *bounds, captured));
        Ok(Resolved {
            rlimits: rlimits.collect::<Result<_, _>>()?,
            niceness: self.niceness.map(niceness).transpose()?,
            cpus: self.pin.as_ref().map_or(Ok(Vec::new()), cpus)?,
        })
    }

    /// The control group that the gang is to live in.
    pub(super) fn group(&self) -> Result<Option<Arc<Group>>, Error> {
        let refused = |error| invalid(format!("cgroup: cannot make a control group for the gang: {error}"));
        self.cgroup.then(|| Group::create().map(Arc::new).map_err(refused)).transpose()
    }

    /// What guardian and workers are to have in their environment if it is not there.
    pub(super) fn variables(&self, workers: usize) -> Vec<(String, String)> {
        if !self.thread_variables {
            return Vec::new();
        }
        let threads = if self.pin.is_some() { 1 } else { (cpu::cpu_count() / workers).max(1) };
        THREAD_VARIABLES.map(|name| (name.to_owned(), threads.to_string())).to_vec()
    }
}

/// The least that makes sense for a worker, as measured under all start methods, and why.
const fn least(resource: Rlimit, captured: bool) -> (u64, &'static str) {
    match resource {
        Rlimit::As => (16 << 20, "a worker that has done nothing yet has 14 MiB mapped"),
        Rlimit::Data => (1 << 20, "no task can do anything with less"),
        Rlimit::Stack => (128 << 10, "the kernel maps that much for any process"),
        Rlimit::Cpu => (1, "the kernel counts whole seconds"),
        Rlimit::Nofile if captured => (
            7,
            "a worker whose output is captured has its standard streams, its link and what the streams are told apart with, \
             and opens a file for a panic's stack",
        ),
        Rlimit::Nofile => (5, "a worker has its standard streams and its link, and opens a file for a panic's stack"),
        Rlimit::Core | Rlimit::Fsize | Rlimit::Memlock | Rlimit::Nproc => (0, "there is nothing below"),
    }
}

fn limit(resource: Rlimit, bounds: RlimitBounds, captured: bool) -> Result<Limit, Error> {
    let wrong = |why: String| invalid(format!("rlimit {resource} is {bounds}: {why}"));
    let unknown = |error: std::io::Error| wrong(format!("the kernel does not tell what is allowed: {error}"));
    let (_, most) = rlimit::get(resource.to_os()).map_err(unknown)?;
    let (least, reason) = least(resource, captured);
    let allowed = || format!("allowed are {least} to {}", amount(most));
    let soft = bounds.soft;
    let hard = bounds.hard.unwrap_or_else(|| match resource {
        // For the signal with a name before the one without; see `Rlimit::Cpu`.
        Rlimit::Cpu => soft.saturating_add(1).min(most.max(soft)),
        _ => soft,
    });
    if soft < least {
        return Err(wrong(format!("{reason}; {}", allowed())));
    }
    if soft > hard {
        return Err(wrong(format!("the soft limit is above the hard one; {}", allowed())));
    }
    if hard > most && !rlimit::may_set(resource.to_os(), soft, hard).map_err(unknown)? {
        let why = format!("the hard limit of this process is {}, and it may not raise it", amount(most));
        return Err(wrong(format!("{why}; {}", allowed())));
    }
    Ok(Limit { resource, soft, hard })
}

fn niceness(value: i32) -> Result<i32, Error> {
    let wrong = |why: String| invalid(format!("nice is {value}: {why}"));
    if !(-20..=19).contains(&value) {
        return Err(wrong("it is from -20 (workers go first) to 19 (they go last)".to_owned()));
    }
    let unknown = |error: std::io::Error| wrong(format!("the kernel does not tell what is allowed: {error}"));
    let own = scheduling::niceness().map_err(unknown)?;
    if value < own && !scheduling::may_set_niceness(value).map_err(unknown)? {
        let why = format!("that is less than this process has, {own}, and needs CAP_SYS_NICE or a higher RLIMIT_NICE");
        return Err(wrong(format!("{why}; allowed are {own} to 19")));
    }
    Ok(value)
}

fn cpus(pin: &Pin) -> Result<Vec<usize>, Error> {
    let unknown = |error| invalid(format!("pin: the kernel does not tell which processors are allowed: {error}"));
    let allowed = scheduling::allowed_cpus().map_err(unknown)?;
    match pin {
        Pin::Any => Ok(allowed),
        Pin::To(cpus) if cpus.is_empty() => {
            Err(invalid(format!("pin_to names no processor: this process may use {}", ranges(&allowed))))
        }
        Pin::To(cpus) => match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            None => Ok(cpus.clone()),
            Some(cpu) => {
                let text = format!(
                    "pin_to names processor {cpu}, which this process may not use: it may use {}",
                    ranges(&allowed)
                );
                Err(invalid(text))
            }
        },
    }
}

/// Ascending numbers as the kernel writes them: `0-3,8`.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let written = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        run => run.first().map(usize::to_string).unwrap_or_default(),
    });
    written.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_written_as_the_kernel_does() {
        for (numbers, text) in [(&[0][..], "0"), (&[0, 1, 2, 3], "0-3"), (&[0, 2, 3, 8], "0,2-3,8"), (&[], "")] {
            assert_eq!(ranges(numbers), text);
        }
    }

    #[test]
    fn one_value_of_cpu_leaves_a_second_for_the_signal_with_a_name() {
        let hard =
            |resource, bounds: RlimitBounds| limit(resource, bounds, false).map(|limit| limit.hard).map_err(drop);
        assert_eq!(hard(Rlimit::Cpu, 5.into()), Ok(6));
        assert_eq!(hard(Rlimit::Cpu, (5, 5).into()), Ok(5));
        assert_eq!(hard(Rlimit::Cpu, Rlimit::UNLIMITED.into()), Ok(Rlimit::UNLIMITED));
        assert_eq!(hard(Rlimit::Core, 0.into()), Ok(0));
    }
}
