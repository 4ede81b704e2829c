//! The runner: each case in a process of its own, two at a time, watched.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::{MARK, Snapshot, dump, fresh_mark, kill_marked, marked, wait_until};

/// A case that takes longer is stuck: a minute, or as many seconds as `GANGER_TEST_WATCHDOG` says.
fn watchdog() -> Duration {
    let said = std::env::var("GANGER_TEST_WATCHDOG").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(said.unwrap_or(60))
}

/// How many cases run at once, unless `--test-threads` says otherwise.
const AT_ONCE: usize = 2;

/// A test.
pub struct Case {
    /// As libtest would write it: `group::case`.
    pub name: String,
    /// Panics when the test fails.
    pub run: Box<dyn Fn() + Sync>,
    /// Why it cannot run on this machine.
    pub skip: Option<&'static str>,
}

impl Case {
    /// A test that runs everywhere.
    #[must_use]
    pub fn new(name: String, run: Box<dyn Fn() + Sync>) -> Self {
        Self { name, run, skip: None }
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the command line asks for, in the words of libtest.
#[derive(Debug, Default)]
struct Options {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
    at_once: Option<usize>,
    /// Set by the runner for its own children.
    case: Option<String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut options = Self::default();
        let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--skip" => options.skip.extend(arguments.next()),
                "--test-threads" => options.at_once = arguments.next().and_then(|count| count.parse().ok()),
                "--case" => options.case = arguments.next(),
                // libtest's other switches change how it prints: they are taken, and nothing is done.
                "--format" | "--color" | "--logfile" | "-Z" => drop(arguments.next()),
                other if other.starts_with("--test-threads=") => {
                    options.at_once = other.split('=').nth(1).and_then(|count| count.parse().ok());
                }
                other if other.starts_with('-') => {}
                _ => options.filters.push(argument),
            }
        }
        options
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skip.iter().any(fits)
    }
}

/// Runs what the command line asks for; prints what libtest would. What is in `on_demand` is run by `--case` alone.
pub fn run(cases: &[Case], on_demand: &[Case]) -> ExitCode {
    let options = Options::parse(std::env::args_os().skip(1));
    if let Some(name) = &options.case {
        let case = cases.iter().chain(on_demand).find(|case| case.name == *name);
        return case.map_or(ExitCode::from(2), run_here);
    }
    let wanted: Vec<&Case> = cases.iter().filter(|case| options.wants(&case.name)).collect();
    if options.list {
        wanted.iter().for_each(|case| println!("{}: test", case.name));
        println!("\n{} tests, 0 benchmarks", wanted.len());
        return ExitCode::SUCCESS;
    }
    for (case, reason) in wanted.iter().filter_map(|case| Some((case, case.skip?))) {
        println!("test {} ... SKIP ({reason})", case.name);
    }
    let able: Vec<&Case> = wanted.iter().copied().filter(|case| case.skip.is_none()).collect();
    let left_out = LeftOut { skipped: wanted.len() - able.len(), filtered: cases.len() - wanted.len() };
    run_all(&able, options.at_once.unwrap_or(AT_ONCE).max(1), left_out)
}

/// How many cases are not run.
#[derive(Clone, Copy, Debug)]
struct LeftOut {
    skipped: usize,
    filtered: usize,
}

/// Runs one case in this process, which has one thread.
fn run_here(case: &Case) -> ExitCode {
    let before = Snapshot::take();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        (case.run)();
        // It serves all processes of a program, and goes with it.
        ganger::__private::dismiss_guardians();
        before.compare();
    }));
    // The panic's message is on standard error already.
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn run_all(cases: &[&Case], at_once: usize, left_out: LeftOut) -> ExitCode {
    println!("\nrunning {} tests", cases.len());
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let failure = run_apart(&case.name);
                    let word = if failure.is_some() { "FAILED" } else { "ok" };
                    println!("test {} ... {word} <{:.3}s>", case.name, start.elapsed().as_secs_f64());
                    if let Some(output) = failure {
                        failures.lock().unwrap().push((case.name.as_str(), output));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    report(&failures, cases.len(), left_out, start.elapsed());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(failures: &[(&str, String)], count: usize, left_out: LeftOut, took: Duration) {
    if !failures.is_empty() {
        println!("\nfailures:\n");
        failures.iter().for_each(|(name, output)| println!("---- {name} ----\n{output}\n"));
        println!("failures:");
        failures.iter().for_each(|(name, _)| println!("    {name}"));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        count - failures.len(),
        failures.len(),
        left_out.skipped,
        left_out.filtered,
        took.as_secs_f64()
    );
}

/// Runs one case in a process of its own; what it printed when it failed.
fn run_apart(name: &str) -> Option<String> {
    let mark = fresh_mark();
    let directory = std::env::temp_dir().join(format!("ganger-test-{mark}"));
    std::fs::create_dir(&directory).unwrap();
    // A file, not a pipe: whoever holds a pipe open would keep its reader waiting.
    let mut output = File::from(memfd_create("output", MFdFlags::MFD_CLOEXEC).unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--case", name])
        .env(MARK, &mark)
        .env("GANGER_TEST_DIR", &directory)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .spawn()
        .unwrap();
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait().unwrap()));
    let verdict = judge(&receiver, &mark);
    waiter.join().unwrap().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let problem = verdict.err()?;
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    Some(text + &problem)
}

/// Waits for a case, at most as long as the watchdog allows, and until nothing is left of it.
fn judge(ended: &mpsc::Receiver<ExitStatus>, mark: &str) -> Result<(), String> {
    let limit = watchdog();
    let Ok(status) = ended.recv_timeout(limit) else {
        let stacks: String = marked(mark).into_iter().map(dump).collect();
        kill_marked(mark);
        return Err(format!("the case took more than {limit:?}\n{stacks}"));
    };
    if !status.success() {
        kill_marked(mark);
        return Err(format!("the case ended with {status}"));
    }
    let look = || wait_until("no process of the case is left", Duration::from_secs(1), || marked(mark), Vec::is_empty);
    catch_unwind(look).map_err(|_| {
        let left: String = marked(mark).into_iter().map(dump).collect();
        kill_marked(mark);
        format!("processes are left:\n{left}")
    })?;
    Ok(())
}
