//! Which processes are ours: those that carry a mark in their environment, whatever they are called.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that carries the mark. Everything that a marked process starts inherits it.
pub const MARK: &str = "GANGER_TEST_MARK";

/// Hardly an environment is larger than this many bytes.
const USUAL: usize = 64 << 10;

/// No program takes longer to start, on the slowest machine.
const EXEC: Duration = Duration::from_secs(10);

/// Between two looks at a process that is starting a program.
const LOOK: Duration = Duration::from_micros(100);

/// A mark that no other run has.
#[must_use]
pub fn fresh_mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("{nanos:x}-{:x}-{:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The mark of this process.
///
/// # Panics
/// When it has none: it was not started by the runner.
#[must_use]
pub fn own_mark() -> String {
    std::env::var(MARK).unwrap()
}

/// The live processes that carry `mark`, without this one. A zombie has no environment, and so is not among them.
#[must_use]
pub fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id() && carries(*pid, &wanted))
        .collect()
}

fn carries(pid: u32, wanted: &str) -> bool {
    let end = Instant::now() + EXEC;
    loop {
        // A process that cannot be read is gone, or somebody else's.
        let Ok(environment) = environment(pid) else { return false };
        if !environment.is_empty() {
            return environment.split(|byte| *byte == 0).any(|variable| variable == OsStr::new(wanted).as_bytes());
        }
        if !may_be_starting_a_program(pid) {
            return false;
        }
        assert!(Instant::now() < end, "process {pid} has been starting a program for {EXEC:?}");
        std::thread::sleep(LOOK);
    }
}

/// The environment of a process, in one reading: between two, the memory that the first one saw may be given up, and the
/// second would come back empty as if all had been read.
fn environment(pid: u32) -> std::io::Result<Vec<u8>> {
    let mut size = USUAL;
    loop {
        let mut buffer = vec![0; size];
        let length = File::open(format!("/proc/{pid}/environ"))?.read(&mut buffer)?;
        if length < size {
            buffer.truncate(length);
            return Ok(buffer);
        }
        size *= 2;
    }
}

/// Whether the process whose environment is empty may have one in a moment. Within `exec` there is none between the
/// moment when the old memory is given up and the one when the stack of the new program is set up: a process of ours
/// that happens to be there would be taken for nobody's.
fn may_be_starting_a_program(pid: u32) -> bool {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name may hold anything, parentheses included; fields are counted as proc(5) does.
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    let (flags, code, start, end) = (number(9), number(27), number(50), number(51));
    let dead = matches!(fields.first(), Some(&"Z" | &"X"));
    // The end of the code is written down after the environment has been: before, both of its ends may be the same.
    let empty_for_good = code != 0 && start == end;
    !dead && flags & KERNEL_THREAD == 0 && !empty_for_good
}

/// Kills what carries `mark`: the last resort after a test that failed.
pub fn kill_marked(mark: &str) {
    for pid in marked(mark) {
        // ESRCH: it has gone by itself.
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
}
