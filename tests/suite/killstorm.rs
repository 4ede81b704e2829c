//! Workers that are killed, stopped and shot down at random while they work: nothing is lost, nothing runs twice, nobody
//! pays but the tasks that had begun, and nothing hangs or is left (which the runner checks).

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use ganger::{Pool, StartMethod, TaskError, TaskErrorKind, TaskRng, partial, task_rng};
use ganger_tests::Log;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kit::{finish, pool, square};

pub(crate) const CONTRACT: crate::Contract = table![kill_storm_loses_nothing_and_runs_nothing_twice];

/// How often somebody strikes, among five times as many tasks, unless the environment variable asks for more.
const STRIKES: usize = 2000;
const MORE: &str = "GANGER_TEST_STRIKES";

/// How many tasks there are for each strike.
const TASKS_A_STRIKE: usize = 5;

/// Those who have worked lately: whoever has not may just be being born, which is another fault.
const LATELY: usize = 8;

/// How long a task takes.
const TASK: Duration = Duration::from_millis(2);

fn work(log: String, index: u32) -> (u32, u32) {
    Log::new(&log).add(index);
    std::thread::sleep(TASK);
    (index, std::process::id())
}

fn send(pid: u32, signal: Signal) -> bool {
    kill(Pid::from_raw(pid.cast_signed()), signal).is_ok()
}

/// Until somewhere within a task. The instants of a storm are the subject.
fn pause(rng: &mut TaskRng) {
    std::thread::sleep(TASK.mul_f64(rng.below(1000) as f64 / 2000.0));
}

/// How often the storm has struck, by what it did.
#[derive(Debug, Default)]
struct Strikes {
    killed: AtomicUsize,
    shot: AtomicUsize,
    stopped: AtomicUsize,
}

impl Strikes {
    fn fatal(&self) -> usize {
        self.killed.load(Relaxed) + self.shot.load(Relaxed)
    }

    fn all(&self) -> usize {
        self.fatal() + self.stopped.load(Relaxed)
    }

    /// For each list of workers that comes, strikes one of them.
    fn rage(&self, pool: &Pool, targets: &Receiver<Vec<u32>>) {
        let mut rng = task_rng();
        for recent in targets {
            pause(&mut rng);
            let alive = pool.worker_pids();
            let targets: Vec<u32> = recent.into_iter().filter(|pid| alive.contains(pid)).collect();
            if targets.is_empty() {
                continue;
            }
            let target = targets[rng.below(targets.len() as u64) as usize];
            let (count, signal) = match rng.below(3) {
                0 => (&self.killed, Signal::SIGKILL),
                1 => (&self.shot, Signal::SIGSEGV),
                _ => (&self.stopped, Signal::SIGSTOP),
            };
            count.fetch_add(send(target, signal).into(), Relaxed);
            if signal == Signal::SIGSTOP {
                pause(&mut rng);
                send(target, Signal::SIGCONT);
            }
        }
    }
}

/// Checks that each task has one outcome and ran at most once; how many failed, and how many of those had not got as far
/// as to their first line.
fn audit(outcomes: &BTreeMap<usize, Result<(u32, u32), TaskError>>) -> (usize, usize) {
    let mut starts: BTreeMap<usize, usize> = BTreeMap::new();
    for line in Log::new("started").lines() {
        *starts.entry(line.parse().unwrap()).or_default() += 1;
    }
    let twice: Vec<_> = starts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "started more than once: {twice:?}");
    let (mut failed, mut silent) = (0, 0);
    for (index, outcome) in outcomes {
        match outcome {
            Ok((value, _)) => assert_eq!((*value as usize, starts.get(index)), (*index, Some(&1))),
            Err(error) => {
                assert!(matches!(error.kind(), TaskErrorKind::Killed(9 | 11)), "{error}");
                failed += 1;
                silent += usize::from(!starts.contains_key(index));
            }
        }
    }
    (failed, silent)
}

fn kill_storm_loses_nothing_and_runs_nothing_twice(method: StartMethod) {
    let wanted: usize = std::env::var(MORE).map_or(STRIKES, |count| count.parse().unwrap());
    let tasks = wanted * TASKS_A_STRIKE;
    let pool = pool(method, 4);
    let start = Instant::now();
    let mut lazy = pool.imap_unordered(partial(work, ("started".to_owned(),)), 0..tasks as u32).indexed();
    let mut outcomes = BTreeMap::new();
    let strikes = Strikes::default();
    std::thread::scope(|scope| {
        let (sender, targets) = sync_channel(1);
        scope.spawn(|| strikes.rage(&pool, &{ targets }));
        let mut recent = VecDeque::new();
        for (index, outcome) in lazy.by_ref() {
            if let Ok((_, pid)) = &outcome {
                recent.push_back(*pid);
                recent.drain(..recent.len().saturating_sub(LATELY));
            }
            assert!(outcomes.insert(index as usize, outcome).is_none(), "task {index} has two outcomes");
            if strikes.all() * TASKS_A_STRIKE < outcomes.len() {
                // While the storm is busy, work goes on: there is another opportunity soon.
                _ = sender.try_send(recent.iter().copied().collect());
            }
        }
        drop(sender);
    });
    drop(lazy);
    assert_eq!(outcomes.len(), tasks, "tasks were lost");
    let (failed, silent) = audit(&outcomes);
    let took = start.elapsed();
    println!("{tasks} tasks, {strikes:?}, {failed} failed ({silent} before their first line), {took:.1?}");
    assert!(strikes.all() * 2 > wanted, "most strikes met nobody: {strikes:?}");
    assert!(failed <= strikes.fatal(), "{failed} tasks failed of {strikes:?}");
    // Between its claim and its first line a task is vulnerable: some, not most.
    assert!(silent * 2 <= failed, "{silent} of {failed} tasks failed before they had begun");
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100);
    finish(pool);
}
