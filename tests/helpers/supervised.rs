//! A program with a pool, to be killed or to end by itself: `supervised METHOD SCENE`.

use std::process::Command;
use std::time::Duration;

use ganger_tests::{Gate, Log};

fn spin(_: u32) {
    std::thread::sleep(Duration::from_millis(2));
}

fn never_ends(_: u32) {
    Gate::new("never").pass();
}

/// Leaves a process in a session of its own, whose parent is gone, then never ends.
fn daemonize(_: u32) {
    let script = "setsid sh -c 'echo $$ >> \"$0\"; exec sleep 1000' \"$0\" </dev/null >/dev/null 2>&1 &";
    let path = ganger_tests::scratch("log-daemons");
    Command::new("sh").args(["-c", script, &path]).status().expect("a shell");
    Gate::new("never").pass();
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().and_then(|name| name.parse().ok()).expect("a start method");
    let scene = arguments.next().expect("a scene");
    // Before the pool, as under `fork` there must be no thread.
    let manager = (scene == "manager").then(|| {
        let manager = ganger::Manager::builder().start_method(method).start().expect("the manager starts");
        manager.counter().expect("it serves").add(1).expect("it counts");
        manager
    });
    let pool = ganger::Pool::builder()
        .workers(2)
        .start_method(method)
        .cgroup(scene == "grouped-daemons")
        .build()
        .expect("the pool starts");
    Log::new("built").add(std::process::id());
    match scene.as_str() {
        "idle" | "manager" => Gate::new("never").pass(),
        "busy" => drop(pool.map(spin, 0..1_000_000)),
        "daemons" | "grouped-daemons" => drop(pool.map(daemonize, 0..2)),
        // The rest ends by itself, with tasks that would not.
        "return" => drop(pool.map_async(never_ends, 0..100)),
        "exit" => {
            let _handle = pool.map_async(never_ends, 0..100);
            std::process::exit(7);
        }
        "forget" => {
            drop(pool.map_async(never_ends, 0..100));
            std::mem::forget(pool);
        }
        "panic" => {
            let _handle = pool.map_async(never_ends, 0..100);
            panic!("on purpose");
        }
        other => panic!("there is no scene {other:?}"),
    }
    drop(manager);
}
