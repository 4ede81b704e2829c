//! How much memory the `ganger` program needs while very many items stream through it.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::Report;
use crate::Result;
use crate::memory::{Size, kib};
use crate::stats::{Series, short};
use crate::table::{Bound, Line};

const LIMIT_MIB: f64 = 64.0;
/// The peak never falls, so only what grows within the last interval of the process's life is not seen.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) fn measure(quick: bool) -> Result<Report> {
    let items: u64 = if quick { 1_000_000 } else { 10_000_000 };
    let what = format!("peak memory, {} items through `ganger map square`", short(items as f64));
    let limit = format!("{LIMIT_MIB} MiB promised");
    let Some(program) = build()? else {
        let lines = vec![Line::without_ratio(what, "not built", limit, Bound::Below(1.0))];
        return Ok(Report { lines, ..Report::default() });
    };
    let [mut peak, mut speed] =
        [("peak memory", "MiB"), ("speed", "lines/s")].map(|(name, unit)| Series::new(name, unit));
    let start = Instant::now();
    let peak_kib = stream(&program, items)?;
    speed.push(items as f64 / start.elapsed().as_secs_f64());
    peak.push(peak_kib as f64 / 1024.0);
    let lines = vec![Line::new(what, &peak, limit, peak.median() / LIMIT_MIB, Bound::Below(1.0))];
    let notes =
        vec![format!("stream: {} lines/s from pipe to pipe, the start of the pool included", short(speed.median()))];
    Ok(Report { lines, notes, runs: vec![peak, speed] })
}

/// Builds the program when cargo runs this one, so that the one measured is not an old one; otherwise takes what is there.
fn build() -> Result<Option<PathBuf>> {
    let program = std::env::current_exe()?.with_file_name("ganger");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = Command::new(cargo);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "-p", "ganger-cli"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        if !command.status()?.success() {
            return Ok(None);
        }
    }
    Ok(program.exists().then_some(program))
}

/// Streams the numbers from 0 through the program, checks what comes out, and returns its peak memory in KiB.
fn stream(program: &Path, items: u64) -> Result<u64> {
    let mut command = Command::new(program);
    command.args(["map", "square", "--input", "-", "--workers", "2"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Running(command.spawn()?);
    let input = child.0.stdin.take().expect("the input was asked for");
    let output = child.0.stdout.take().expect("the output was asked for");
    let pid = child.0.id();
    let writer = std::thread::spawn(move || write_numbers(input, items));
    let (stop, stopped) = channel();
    let watcher = std::thread::spawn(move || watch(pid, &stopped));
    let read = read_squares(output);
    let status = child.0.wait()?;
    drop(stop);
    let peak = watcher.join().expect("looking at /proc cannot panic");
    writer.join().expect("writing cannot panic")?;
    let expected = (items, (items - 1).pow(2).to_string());
    if !status.success() || read.as_ref().ok() != Some(&expected) {
        return Err(format!("{status}; lines and last line were {read:?} instead of {expected:?}").into());
    }
    peak.ok_or_else(|| "the process was gone before its memory could be read".into())
}

/// A child that does not outlive the run, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing when it has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write_numbers(input: ChildStdin, items: u64) -> Result<()> {
    let mut input = BufWriter::with_capacity(1 << 16, input);
    let written = (0..items).try_for_each(|number| writeln!(input, "{number}")).and_then(|()| input.flush());
    match written {
        // The program left early; its status and the number of lines say more.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Counts the lines and returns the last one, too.
fn read_squares(output: ChildStdout) -> Result<(u64, String)> {
    let mut output = BufReader::with_capacity(1 << 16, output);
    let (mut count, mut last, mut line) = (0, String::new(), String::new());
    while output.read_line(&mut line)? > 0 {
        count += 1;
        std::mem::swap(&mut last, &mut line);
        line.clear();
    }
    last.truncate(last.trim_end().len());
    Ok((count, last))
}

fn watch(pid: u32, stopped: &Receiver<()>) -> Option<u64> {
    let mut peak = None;
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        peak = kib(pid, Size::PeakResident).or(peak);
    }
    peak
}
