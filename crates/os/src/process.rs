//! What the kernel says about another process, from `/proc`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// How a process is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// The state of its first thread, as `ps` shows it: `R` runs, `S` and `D` wait, `T` is stopped, `t` is stopped by a
    /// tracer.
    pub state: char,
    /// Who traces it.
    pub tracer: Option<i32>,
    /// What all of its threads have used so far, in steps of a clock tick (10 ms, as a rule).
    pub processor_time: Duration,
}

/// How `pid` is; `None` when there is no such process, when it is dead, or when `/proc` does not tell.
///
/// ```
/// let own = ganger_os::process::vitals(std::process::id().cast_signed()).expect("it is alive");
/// assert!(own.state == 'R' || own.state == 'S', "its first thread runs this, or waits for it");
/// ```
#[must_use]
pub fn vitals(pid: i32) -> Option<Vitals> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse(&stat, &status, ticks_per_second())
}

fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    // Linux has had 100 on every architecture that is left; the call cannot fail there.
    let ask = || sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    *TICKS.get_or_init(|| ask().filter(|ticks| *ticks > 0).unwrap_or(100))
}

pub(crate) fn parse(stat: &str, status: &str, ticks_per_second: u64) -> Option<Vitals> {
    // The name before the last parenthesis may hold anything, parentheses and spaces included.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    if matches!(state, 'Z' | 'X' | 'x') {
        return None;
    }
    // Fields 14 and 15; the state is field 3.
    let mut times = fields.skip(10).map(|field| field.parse::<u64>().ok());
    let ticks = times.next()??.checked_add(times.next()??)?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok()?;
    let processor_time = Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / ticks_per_second));
    Some(Vitals { state, tracer: (tracer != 0).then_some(tracer), processor_time })
}

/// Measures how much memory a process holds for itself. It stays with the process that had the number when it was made, and
/// fails after that one's death: a stranger with the same number is never measured.
#[derive(Debug)]
pub struct Meter(File);

impl Meter {
    /// A meter of process `pid`.
    ///
    /// # Errors
    /// When there is no such process, or its memory is not for us to see.
    pub fn open(pid: i32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/smaps_rollup")).map(Self)
    }

    /// How many bytes are private to it, in memory or swapped out. The kernel walks all of its pages for that: about a
    /// millisecond for each 100 MiB.
    ///
    /// # Errors
    /// When it is dead.
    pub fn private(&self) -> io::Result<u64> {
        let mut text = [0; 2048];
        let length = self.0.read_at(&mut text, 0)?;
        // A dead process has an empty file.
        let text = std::str::from_utf8(&text[..length]).ok().filter(|text| text.contains("Private_Dirty:"));
        text.map(private).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Sums up what `smaps_rollup` says is private.
fn private(text: &str) -> u64 {
    let kibibytes = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        matches!(name, "Private_Clean" | "Private_Dirty" | "Swap" | "Private_Hugetlb").then_some(())?;
        value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    kibibytes.sum::<u64>() * 1024
}

/// How many bytes are private to this process.
///
/// # Errors
/// When `/proc` does not tell, or no descriptor is left to ask with.
pub fn own_private_memory() -> io::Result<u64> {
    Meter::open(std::process::id().cast_signed())?.private()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str, state: char) -> String {
        format!("71 ({name}) {state} 70 71 71 0 -1 4194560 115 0 0 0 7 5 0 0 20 0 1 0 100 4000 20")
    }

    #[test]
    fn memory_that_is_written_to_is_private() {
        let meter = Meter::open(std::process::id().cast_signed()).expect("it is alive");
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        // Not compared with what was there before: other tests of this process take and give back memory meanwhile.
        let private_now = meter.private().expect("it is alive");
        assert!(private_now >= 64 << 20, "{private_now}");
        drop(held);
        let text = "55-7f ---p 0 00:00 0 [rollup]\nRss: 12 kB\nPrivate_Clean: 3 kB\nPrivate_Dirty:  40 kB\nSwap: 5 kB\nSwapPss: 5 kB\n";
        assert_eq!(private(text), 48 * 1024);
    }

    #[test]
    fn state_tracer_and_time_are_read() {
        for (name, state, tracer, expected) in [
            ("worker", 'R', "0", Some(('R', None))),
            ("worker", 'T', "0", Some(('T', None))),
            ("worker", 't', "4711", Some(('t', Some(4711)))),
            ("worker", 'S', "12", Some(('S', Some(12)))),
            ("a) Z (b", 'S', "0", Some(('S', None))),
            ("worker", 'Z', "0", None),
            ("worker", 'X', "0", None),
            ("worker", 'S', "none", None),
        ] {
            let status = format!("Name:\tworker\nTracerPid:\t{tracer}\nUid:\t0\n");
            let seen = parse(&stat(name, state), &status, 100);
            assert_eq!(seen.map(|vitals| (vitals.state, vitals.tracer)), expected, "{name} {state} {tracer}");
            assert!(seen.is_none_or(|vitals| vitals.processor_time == Duration::from_millis(120)), "{seen:?}");
        }
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        let whole = stat("worker", 'S');
        for end in 0..whole.find(" 5 0 0 20").expect("it is there") {
            assert_eq!(parse(&whole[..end], "TracerPid:\t0\n", 100), None, "{end}");
        }
        assert_eq!(parse(&whole, "", 100), None);
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        assert_eq!(vitals(i32::MAX), None);
    }
}
