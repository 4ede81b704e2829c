//! What many cases need: a pool, and small tasks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ganger::{Pool, StartMethod};
use ganger_os::process::vitals;
use ganger_tests::{Gate, wait_until};
pub(crate) use ganger_tests::{die, signal};

/// How long anything may take that is promised to come soon; generous, as the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A pool of so many workers.
pub(crate) fn pool(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start_method(method).build().unwrap()
}

/// The process ids of all workers, once they are there: a pool is built when its first is ready.
pub(crate) fn whole_gang(pool: &Pool, workers: usize) -> Vec<u32> {
    wait_until("all workers are there", SOON, || pool.worker_pids(), |pids| pids.len() == workers)
}

/// Ends a pool in order.
pub(crate) fn finish(pool: Pool) {
    pool.close();
    pool.join().unwrap();
}

/// How much processor time this process has used so far.
pub(crate) fn processor_time() -> Duration {
    vitals(std::process::id().cast_signed()).unwrap().processor_time
}

/// A helper program; it inherits the mark and the directory of the case.
pub(crate) fn helper(name: &str) -> Command {
    Command::new(Path::new(match name {
        "supervised" => env!("CARGO_BIN_EXE_supervised"),
        "parent" => env!("CARGO_BIN_EXE_parent"),
        "printing" => env!("CARGO_BIN_EXE_printing"),
        "injected" => env!("CARGO_BIN_EXE_injected"),
        "storm" => env!("CARGO_BIN_EXE_storm"),
        "stranger" => env!("CARGO_BIN_EXE_stranger"),
        "cpus" => env!("CARGO_BIN_EXE_cpus"),
        "variables" => env!("CARGO_BIN_EXE_variables"),
        other => panic!("there is no helper {other:?}"),
    }))
}

// Tasks.

pub(crate) fn square(x: i64) -> i64 {
    x * x
}

pub(crate) fn own_pid(_: u32) -> u32 {
    std::process::id()
}

/// Waits at the gate of that name.
pub(crate) fn pass_gate(name: String) {
    Gate::new(&name).pass();
}
