//! Initializers that fail: a pool of ours is not built then, and so has no tasks. For twenty of them the initializer is
//! in order at first, and fails for every worker that is to replace the first two.

use std::time::Instant;

use ganger::{ErrorKind, Pool, StartMethod};
use ganger_tests::{Gate, signal, wait_until};
use nix::sys::signal::Signal;

use crate::cell::{PATIENCE, finish};
use crate::told::Told;

/// Opened when the initializer is to fail.
const TROUBLE: &str = "trouble";

fn refuse() -> Result<(), String> {
    if Gate::new(TROUBLE).is_open() { Err("no licence".to_owned()) } else { Ok(()) }
}

fn exit() {
    if Gate::new(TROUBLE).is_open() {
        std::process::exit(1);
    }
}

pub(crate) fn fails(method: StartMethod) -> Told {
    run(method, |builder| builder.try_initializer(refuse, ()), "no licence")
}

pub(crate) fn exits(method: StartMethod) -> Told {
    run(method, |builder| builder.initializer(exit, ()), "exit code 1")
}

fn run(method: StartMethod, with: impl Fn(ganger::Builder) -> ganger::Builder, cause: &str) -> Told {
    let builder = || with(Pool::builder().workers(2).start_method(method));
    let mut told = Told::default();
    let pool = builder().build().unwrap();
    // One that is not there yet would not be killed, and might have begun while all was in order.
    let first = wait_until("both workers are there", PATIENCE, || pool.worker_pids(), |pids| pids.len() == 2);
    Gate::new(TROUBLE).open();
    first.iter().for_each(|pid| signal(*pid, Signal::SIGKILL));
    let gone = |now: &Vec<u32>| now.iter().all(|pid| !first.contains(pid));
    wait_until("the first workers are gone", PATIENCE, || pool.worker_pids(), gone);
    let start = Instant::now();
    let handles: Vec<_> = (0..20).map(|index| pool.apply_async(|index: u32| index, (index,))).collect();
    for handle in &handles {
        let outcome = handle.get_timeout(PATIENCE).unwrap();
        let text = outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        told.require(text.contains(cause), format!("{text:?} says nothing of {cause:?}"));
        told.count(&outcome);
    }
    told.seconds = start.elapsed().as_secs_f64();
    finish(pool);
    let error = builder().build().unwrap_err();
    told.require(error.kind() == ErrorKind::Broken, format!("building ended with {error:?}"));
    told.require(error.to_string().contains(cause), format!("{:?} says nothing of {cause:?}", error.to_string()));
    told
}
