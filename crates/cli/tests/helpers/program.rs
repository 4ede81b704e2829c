//! A user's program: the command line with tasks of its own, which do what well-behaved tasks do not.

use ganger_tests::faults::{Answer, FAULTS, Untold};
use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Squares a number and prints lines meanwhile.
#[ganger::task]
fn print_line(x: i64) -> i64 {
    println!("noise {x}");
    eprintln!("more noise {x}");
    x * x
}

/// Squares a number and prints something that no line feed ends.
#[ganger::task]
fn print_unfinished(x: i64) -> i64 {
    // One piece: of several, another worker's may come between where a buffer happens to be full.
    let noise = format!("noise {x} ");
    print!("{noise}");
    x * x
}

/// Squares a number while another program, which this task starts, prints.
#[ganger::task]
fn print_by_child(x: i64) -> Result<i64, String> {
    shell(format!("echo noise {x}")).map(|()| x * x)
}

/// Runs a command line of the shell.
#[ganger::task]
fn shell(command: String) -> Result<(), String> {
    let status = Command::new("sh").args(["-c", &command]).status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

/// Starts a program that nobody waits for, in a session of its own, and returns.
#[ganger::task]
fn leave_behind(seconds: u32) -> Result<(), String> {
    let started = Command::new("setsid").args(["sleep", &seconds.to_string()]).spawn();
    started.map(drop).map_err(|error| error.to_string())
}

/// Throws a die.
#[ganger::task]
fn roll(sides: u64) -> u64 {
    ganger::task_rng().below(sides) + 1
}

/// Returns the process that the task runs in.
#[ganger::task]
fn pid(_x: i64) -> u32 {
    std::process::id()
}

/// Is a place on earth, as the columns of a file name it.
#[derive(Serialize, Deserialize)]
struct Airport {
    faa: String,
    lat: f64,
    lon: f64,
}

/// Moves a place to the other side of the earth.
#[ganger::task]
fn antipode(airport: Airport) -> Airport {
    let Airport { faa, lat, lon } = airport;
    Airport { faa: faa.to_lowercase(), lat: -lat, lon: if lon > 0.0 { lon - 180.0 } else { lon + 180.0 } }
}

/// Does what is asked for.
#[ganger::task]
fn act(what: String, n: i32) -> Result<i32, String> {
    match what.as_str() {
        "return" => Ok(n),
        "fail" => Err(format!("no {n}")),
        "panic" => panic!("not {n}"),
        "exit" => std::process::exit(n),
        "kill" => Signal::try_from(n).and_then(raise).map(|()| n).map_err(|error| error.to_string()),
        "hang" => {
            std::thread::sleep(Duration::from_secs(1000));
            Ok(n)
        }
        _ => Err(format!("cannot {what}")),
    }
}

/// Commits this fault of the tests' matrix if it is the task of that index; the others are in order.
#[ganger::task]
fn commit(fault: String, index: u32) -> Result<Answer, Untold> {
    let row = FAULTS.iter().position(|row| row.name == fault).expect("a row of the matrix");
    ganger_tests::faults::commit(row as u32, index)
}

/// Takes so much memory and keeps it, for so long at least, and says which process has it; without any it returns at once.
#[ganger::task]
fn hoard(mebibytes: usize, millis: u64) -> u32 {
    thread_local!(static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });
    if mebibytes > 0 {
        HOARD.with_borrow_mut(|hoard| hoard.push(black_box(vec![1; mebibytes << 20])));
        std::thread::sleep(Duration::from_millis(millis));
    }
    std::process::id()
}

fn main() -> ExitCode {
    ganger_cli::main()
}
