//! What this program does when it is started again as a helper of the process that measures.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ganger::{Pool, StartMethod};
use ganger_os::measure::{BareFork, time_bare_fork};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::memory::{Size, kib};
use crate::pays::{Payload, start_cost, task_cost};
use crate::rows::start_and_square;

/// How many bytes the bare ping-pong sends each way: as many as the number that `apply` takes and returns.
pub(crate) const PAYLOAD: usize = 8;

/// How many bytes every measuring helper touches and gives back last: see [`Ballast`].
const SPARE: usize = 256 << 20;

/// How long a helper may take that measures one thing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which helper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// Sends back what comes on standard input, which is a socket.
    Echo,
    /// Builds a pool of 2 and applies one task.
    FirstResult { method: StartMethod, ballast: Ballast },
    /// Squares numbers by a pool of 2 that is started for it, and ended.
    Squares { method: StartMethod },
    /// Runs tasks of all lengths with this payload, in a loop and in a pool.
    TaskCost { method: StartMethod, payload: Payload, quick: bool },
    /// Starts and ends pools, alone and for work.
    StartCost { method: StartMethod, quick: bool },
    /// Forks `count` times, one after the other.
    BareForks { count: u32, ballast: Ballast },
}

/// The memory that a helper touches before it measures.
///
/// One that frees it first is the small process to compare with: touching gigabytes leaves cold caches behind, which
/// costs a pool some tenths of a millisecond, whether the memory is still there or not. And both give [`SPARE`] bytes back
/// just before: the first of them gave back more than enough anyway, and would start its pool in pages that the machine
/// has at hand, while the one that holds its memory would get pages that nobody has touched. In a virtual machine those
/// come from the host one by one, which made a bare `posix_spawn` of `true` take up to three times as long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ballast {
    pub(crate) size: usize,
    pub(crate) freed: bool,
}

/// What a measuring helper says.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    pub(crate) seconds: f64,
    /// Of forks: until their children were waited for.
    pub(crate) whole_seconds: Option<f64>,
    /// The resident size before the measurement: whether the ballast was really there.
    pub(crate) resident_kib: u64,
}

/// Runs as the helper.
pub(crate) fn run(mode: &Mode) -> Result<()> {
    match *mode {
        Mode::Echo => echo(),
        Mode::FirstResult { method, ballast } => answer(ballast, || first_result(method)),
        Mode::Squares { method } => say(&start_and_square(method)?),
        Mode::TaskCost { method, payload, quick } => say(&task_cost(method, payload, quick)?),
        Mode::StartCost { method, quick } => say(&start_cost(method, quick)?),
        Mode::BareForks { count, ballast } => answer(ballast, || bare_forks(count)),
    }
}

fn echo() -> Result<()> {
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut payload = [0; PAYLOAD];
    // The end of the stream is how it is told to leave.
    while socket.read_exact(&mut payload).is_ok() {
        socket.write_all(&payload)?;
    }
    Ok(())
}

/// Measures beside the ballast. There must be no thread: `fork` is refused beside one.
fn answer(ballast: Ballast, measure: impl FnOnce() -> Result<Times>) -> Result<()> {
    // Ones, as the kernel gives pages of zeros without giving memory.
    let mut held = black_box(vec![1_u8; ballast.size]);
    drop(black_box(vec![1_u8; SPARE]));
    if ballast.freed {
        held = Vec::new();
    }
    let resident_kib = kib(std::process::id(), Size::Resident).unwrap_or(0);
    let Times { time, whole } = measure()?;
    drop(black_box(held));
    let whole_seconds = whole.as_ref().map(Duration::as_secs_f64);
    say(&Answer { seconds: time.as_secs_f64(), whole_seconds, resident_kib })
}

/// Writes the one answer that [`ask`] reads.
fn say(answer: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}

struct Times {
    time: Duration,
    whole: Option<Duration>,
}

fn first_result(method: StartMethod) -> Result<Times> {
    let start = Instant::now();
    let pool = Pool::builder().workers(2).start_method(method).build()?;
    let (number, pid) = pool.apply(|number: u64| (number, std::process::id()), (7,))?;
    let time = start.elapsed();
    if number != 7 || pid == std::process::id() {
        return Err(format!("the first result is {number}, from process {pid}").into());
    }
    pool.terminate();
    pool.join()?;
    Ok(Times { time, whole: None })
}

fn bare_forks(count: u32) -> Result<Times> {
    let forks: Vec<BareFork> = (0..count).map(|_| time_bare_fork()).collect::<std::io::Result<_>>()?;
    let whole = forks.iter().map(|fork| fork.whole).sum();
    Ok(Times { time: forks.iter().map(|fork| fork.call).sum(), whole: Some(whole) })
}

/// Starts this program as a measuring helper and returns what it says.
pub(crate) fn ask<A: DeserializeOwned>(arguments: &[&str]) -> Result<A> {
    ask_within(PATIENCE, arguments)
}

/// As [`ask`], of a helper that may take so long; it is killed afterwards.
pub(crate) fn ask_within<A: DeserializeOwned>(patience: Duration, arguments: &[&str]) -> Result<A> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().expect("the output was asked for");
    let (send, said) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        // What cannot be read is no answer, which the other side reports.
        let _ = output.read_to_string(&mut text);
        let _ = send.send(text);
    });
    let text = said.recv_timeout(patience);
    if text.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let text = text.map_err(|_| format!("helper {arguments:?} did not end within {patience:?}"))?;
    if !status.success() {
        return Err(format!("helper {arguments:?} failed: {status}").into());
    }
    Ok(serde_json::from_str(&text)?)
}
