//! Real processes: one contract, run once per start method, and cases that need one method or none.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

/// Names functions, for the runner.
macro_rules! table {
    ($($case:ident),* $(,)?) => { &[$((stringify!($case), $case)),*] };
}

mod attributes;
mod broadcast;
mod cgroup;
mod cpu;
mod deaths;
mod descriptors;
mod exits;
mod failures;
mod faults;
mod fold;
mod guardian;
mod guests;
mod handles;
mod harness;
mod health;
mod host;
mod hostile;
mod imap;
mod initializers;
mod insights;
mod killstorm;
mod kit;
mod lifecycle;
mod limits;
mod manager;
mod map;
mod memory;
mod methods;
mod nested;
mod output;
mod pipe;
mod process;
mod queue;
mod readme;
mod retries;
mod shared;
mod size;
mod supervisor;
mod sync;
mod syscalls;
mod terminate;
mod wait;

use ganger::StartMethod;
use ganger_tests::Case;

/// Cases that hold for every start method.
type Contract = &'static [(&'static str, fn(StartMethod))];

/// Cases that run once.
type Once = &'static [(&'static str, fn())];

const CONTRACT: &[Contract] = &[
    map::CONTRACT,
    failures::CONTRACT,
    deaths::CONTRACT,
    descriptors::CONTRACT,
    killstorm::CONTRACT,
    guardian::CONTRACT,
    health::CONTRACT,
    hostile::CONTRACT,
    imap::CONTRACT,
    initializers::CONTRACT,
    exits::CONTRACT,
    fold::CONTRACT,
    broadcast::CONTRACT,
    insights::CONTRACT,
    nested::CONTRACT,
    guests::CONTRACT,
    handles::CONTRACT,
    lifecycle::CONTRACT,
    limits::CONTRACT,
    manager::CONTRACT,
    memory::CONTRACT,
    retries::CONTRACT,
    shared::CONTRACT,
    size::CONTRACT,
    methods::CONTRACT,
    output::CONTRACT,
    pipe::CONTRACT,
    queue::CONTRACT,
    process::CONTRACT,
    supervisor::CONTRACT,
    sync::CONTRACT,
    terminate::CONTRACT,
    wait::CONTRACT,
    attributes::CONTRACT,
];

const ONCE: &[(&str, Once)] = &[
    ("harness", harness::ONCE),
    ("faults", faults::ONCE),
    ("attributes", attributes::ONCE),
    ("limits", limits::ONCE),
    ("manager", manager::ONCE),
    ("memory", memory::ONCE),
    ("guardian", guardian::ONCE),
    ("methods", methods::ONCE),
    ("pipe", pipe::ONCE),
    ("queue", queue::ONCE),
    ("process", process::ONCE),
    ("readme", readme::ONCE),
    ("shared", shared::ONCE),
    ("supervisor", supervisor::ONCE),
    ("sync", sync::ONCE),
];

fn main() -> std::process::ExitCode {
    let contract = CONTRACT.iter().copied().flatten().flat_map(|(name, run)| {
        StartMethod::ALL.map(|method| Case::new(format!("contract::{name}::{method}"), Box::new(move || run(method))))
    });
    let once = ONCE.iter().flat_map(|(group, cases)| named(group, cases));
    let on_demand: Vec<Case> = named("leaks", harness::LEAKS).collect();
    let in_groups = cgroup::CONTRACT.iter().flat_map(|(name, run)| {
        StartMethod::ALL.map(|method| Case {
            skip: cgroup::obstacle(),
            ..Case::new(format!("cgroup::{name}::{method}"), Box::new(move || run(method)))
        })
    });
    let processors = named("cpu", cpu::ONCE).map(|case| Case { skip: cpu::obstacle(), ..case });
    let traced = syscalls::cells().chain(host::cases()).chain(sync::cases());
    let cases: Vec<Case> =
        contract.chain(in_groups).chain(processors).chain(once).chain(faults::matrix()).chain(traced).collect();
    ganger_tests::run(&cases, &on_demand)
}

fn named(group: &'static str, cases: Once) -> impl Iterator<Item = Case> {
    cases.iter().map(move |(name, run)| Case::new(format!("{group}::{name}"), Box::new(run)))
}
