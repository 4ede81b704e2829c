//! A round trip of a task that does nothing, beside a bare ping-pong on a socket pair and beside CPython.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ganger::Pool;
use serde::Deserialize;
use serde_json::json;

use super::Report;
use crate::Result;
use crate::helper::PAYLOAD;
use crate::pids::Pids;
use crate::python::{self, Python};
use crate::stats::Series;
use crate::table::{Bound, Line};

/// Round trips in one run. Few, so that there can be many runs: the scheduler puts both ends on one processor or on two,
/// which differ by a factor of up to 8, and keeps to it within a run.
pub(super) const CALLS: u32 = 500;
/// A number that needs all of its bytes, so that no codec makes it shorter than the bare payload.
pub(super) const LARGE: u64 = 1 << 60;

#[derive(Deserialize)]
struct Timed {
    seconds: f64,
}

pub(super) fn measure(quick: bool) -> Result<Report> {
    let mut python = Python::start()?;
    let mut echo = Echo::start()?;
    let pool = Pool::new(2)?;
    let name = python.as_ref().map_or_else(|| python::MISSING.to_owned(), Python::name);
    let [mut ours, mut bare, mut theirs] =
        ["apply", "socket pair", &name].map(|name| Series::new(format!("{name}: round trip"), "us"));
    let rounds = if quick { 8 } else { 60 };
    // The first round warms up all of them and does not count.
    for round in 0..=rounds {
        let one = [echo.ping_pong()?, apply(&pool)?];
        let other =
            python.as_mut().map(|python| python.ask::<Timed>("apply", &json!({ "count": CALLS, "base": LARGE })));
        let other = other.transpose()?;
        if round > 0 {
            bare.push_time(one[0] / CALLS);
            ours.push_time(one[1] / CALLS);
            other.into_iter().for_each(|other| theirs.push_time(Duration::from_secs_f64(other.seconds) / CALLS));
        }
    }
    let mut notes = vec![format!("apply: {}", count(&pool)?)];
    if let Some(python) = &mut python {
        let pids: Pids = python.ask("apply_pids", &json!({ "count": CALLS }))?;
        pids.check(CALLS.into())?;
        notes.push(format!("{name} apply: {pids}"));
    }
    let mut lines = vec![Line::new(
        "apply of a no-op / socket pair ping-pong",
        &ours,
        &bare,
        ours.median() / bare.median(),
        Bound::AtMost(5.0),
    )];
    let what = "CPython apply / apply of a no-op";
    lines.push(match &python {
        Some(_) => Line::new(what, &ours, &theirs, theirs.median() / ours.median(), Bound::AtLeast(3.0)),
        None => Line::without_ratio(what, &ours, python::MISSING, Bound::AtLeast(3.0)),
    });
    Ok(Report { lines, notes, runs: vec![bare, ours, theirs] })
}

fn apply(pool: &Pool) -> Result<Duration> {
    let start = Instant::now();
    for number in 0..u64::from(CALLS) {
        let back: u64 = pool.apply(|number: u64| number, (LARGE + number,))?;
        if back != LARGE + number {
            return Err(format!("{number} came back as {back}").into());
        }
    }
    Ok(start.elapsed())
}

fn count(pool: &Pool) -> Result<Pids> {
    let mut pids = Pids::new();
    for number in 0..u64::from(CALLS) {
        pids.count(pool.apply(|_: u64| std::process::id(), (number,))?);
    }
    pids.check(CALLS.into())?;
    Ok(pids)
}

/// A second process that sends back what it gets, and nothing between it and us but a socket pair.
pub(super) struct Echo {
    child: Child,
    socket: UnixStream,
}

impl Echo {
    pub(super) fn start() -> Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut command = Command::new(std::env::current_exe()?);
        let child = command.args(["--mode", "echo"]).stdin(OwnedFd::from(theirs)).spawn()?;
        Ok(Self { child, socket })
    }

    pub(super) fn ping_pong(&mut self) -> Result<Duration> {
        let start = Instant::now();
        for number in 0..u64::from(CALLS) {
            let mut payload: [u8; PAYLOAD] = (LARGE + number).to_le_bytes();
            self.socket.write_all(&payload)?;
            self.socket.read_exact(&mut payload)?;
        }
        Ok(start.elapsed())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It reads the end of the stream, and leaves. When it is gone already there is nothing to do.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}
