//! Sends SIGUSR1 to the processes named on the command line, over and over, until its standard input ends.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn main() {
    static OVER: AtomicBool = AtomicBool::new(false);
    let targets: Vec<Pid> = std::env::args().skip(1).map(|pid| Pid::from_raw(pid.parse().expect("a pid"))).collect();
    std::thread::spawn(|| {
        // Whether it ended or broke makes no difference.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        OVER.store(true, Ordering::Relaxed);
    });
    while !OVER.load(Ordering::Relaxed) {
        for target in &targets {
            // A target that has gone is not missed.
            let _ = kill(*target, Signal::SIGUSR1);
        }
        // The rhythm of the storm.
        std::thread::sleep(Duration::from_micros(300));
    }
}
