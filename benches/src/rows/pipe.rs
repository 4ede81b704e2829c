//! A ping-pong of a small message through a pipe, beside a bare one on a socket pair.

use std::time::{Duration, Instant};

use ganger::{Connection, Pool};

use super::Report;
use super::apply::{CALLS, Echo, LARGE};
use crate::Result;
use crate::stats::Series;
use crate::table::{Bound, Line};

pub(super) fn measure(quick: bool) -> Result<Report> {
    let mut echo = Echo::start()?;
    let pool = Pool::new(1)?;
    let (pipe, theirs) = ganger::pipe::<u64, u64>()?;
    let task = pool.apply_async::<_, _, ()>(send_back, (theirs,));
    let [mut ours, mut bare] = ["pipe", "socket pair"].map(|name| Series::new(format!("{name}: round trip"), "us"));
    let rounds = if quick { 8 } else { 60 };
    // The first round warms up both and does not count.
    for round in 0..=rounds {
        let one = [echo.ping_pong()?, ping_pong(&pipe)?];
        if round > 0 {
            bare.push_time(one[0] / CALLS);
            ours.push_time(one[1] / CALLS);
        }
    }
    drop(pipe);
    task.get()?;
    let ratio = ours.median() / bare.median();
    let line = Line::new("pipe ping-pong / socket pair ping-pong", &ours, &bare, ratio, Bound::AtMost(1.3));
    Ok(Report { lines: vec![line], notes: Vec::new(), runs: vec![ours, bare] })
}

/// Until the other end is closed.
fn send_back(pipe: Connection<u64, u64>) -> std::result::Result<(), ganger::Error> {
    while let Ok(number) = pipe.recv() {
        pipe.send(number)?;
    }
    Ok(())
}

fn ping_pong(pipe: &Connection<u64, u64>) -> Result<Duration> {
    let start = Instant::now();
    for number in 0..u64::from(CALLS) {
        pipe.send(LARGE + number)?;
        let back = pipe.recv()?;
        if back != LARGE + number {
            return Err(format!("{number} came back as {back}").into());
        }
    }
    Ok(start.elapsed())
}
