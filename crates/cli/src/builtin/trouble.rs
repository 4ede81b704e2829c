//! Tasks that go wrong on purpose, for trying out what happens then.

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use std::time::Duration;

/// Fails with this message.
#[ganger::task(group = "trying things out")]
fn fail(message: String) -> Result<(), String> {
    Err(message)
}

/// Panics with this message.
#[ganger::task(group = "trying things out")]
fn panic(message: String) {
    std::panic::panic_any(message)
}

/// Ends the process with this exit code.
#[ganger::task(group = "trying things out")]
fn exit(code: i32) {
    std::process::exit(code)
}

/// Sends this signal to its own process and returns it, if it can. Signal 0 does nothing.
#[ganger::task(group = "trying things out")]
fn kill(signal: i32) -> Result<i32, String> {
    if signal != 0 {
        let known = Signal::try_from(signal).map_err(|_| format!("{signal} is no signal"))?;
        signal::kill(Pid::this(), known).map_err(|error| error.to_string())?;
    }
    Ok(signal)
}

/// Sleeps for so many seconds; 0 returns at once.
#[ganger::task(group = "trying things out")]
fn hang(seconds: f64) -> Result<(), String> {
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| format!("{seconds} seconds: {error}"))?;
    if !time.is_zero() {
        std::thread::sleep(time);
    }
    Ok(())
}
