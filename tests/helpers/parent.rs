//! A program with processes, to be killed or to end by itself: `parent METHOD SCENE`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ganger::{Process, StartMethod, Task};
use ganger_tests::{Gate, Log};

/// Says that it lives, and goes on until it is let go.
fn wait_at_gate() {
    Log::new("living").add(std::process::id());
    Gate::new("end").pass();
    Log::new("ended").add(std::process::id());
}

/// As `wait_at_gate`, and does not care for SIGTERM.
fn ignore_termination() {
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::new(AtomicBool::new(false))).expect("a handler");
    wait_at_gate();
}

/// Starts a process of its own, and waits like it.
fn have_a_child() {
    let mut child = Process::new(wait_at_gate, ());
    child.start().expect("it starts");
    wait_at_gate();
}

/// Starts a process that calls `function`.
fn start(method: StartMethod, daemon: bool, function: impl Task<(), ()>) -> Process<()> {
    let mut process = Process::builder().start_method(method).daemon(daemon).build(function, ());
    process.start().expect("it starts");
    process
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().and_then(|name| name.parse().ok()).expect("a start method");
    ganger::set_start_method(method).expect("it is set once");
    match arguments.next().expect("a scene").as_str() {
        // Its children have children, and it is killed in the end.
        "family" => {
            let _children = [start(method, false, have_a_child), start(method, true, have_a_child)];
            Gate::new("never").pass();
        }
        // It ends by itself, in each of the ways that there are.
        "returns" => drop(start(method, false, wait_at_gate)),
        "exits" => {
            let _child = start(method, false, wait_at_gate);
            std::process::exit(7);
        }
        "panics" => {
            let _child = start(method, false, wait_at_gate);
            panic!("on purpose");
        }
        // Daemons are not waited for. They are forgotten, as dropping them would end them.
        "daemons" => {
            std::mem::forget(start(method, true, wait_at_gate));
            std::mem::forget(start(method, true, ignore_termination));
            Log::new("living").wait_for(2);
        }
        other => panic!("there is no scene {other:?}"),
    }
}
