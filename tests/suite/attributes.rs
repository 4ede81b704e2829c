//! What worker processes may use: resource limits, niceness, processors, and the threads that libraries are told to make.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ganger::{Builder, ErrorKind, Pool, Rlimit, StartMethod, TaskErrorKind};
use ganger_os::scheduling;
use ganger_tests::{Log, memory, wait_until, within};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, helper, own_pid, signal, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    limits_hold_before_the_initializer_runs,
    limits_stop_what_goes_beyond_them,
    least_of_descriptors_is_enough_for_a_panic,
    panic_without_memory_for_its_stack_is_an_outcome,
    workers_are_nice,
    each_worker_has_a_processor_and_its_successor_has_it_too,
    libraries_are_told_how_many_threads_to_make,
    variables_that_are_set_stay,
];

pub(crate) const ONCE: crate::Once = table![
    senseless_attributes_are_refused,
    limits_above_the_hard_one_are_refused,
    niceness_below_ones_own_needs_a_right,
    supervisor_keeps_its_own,
];

const RESOURCES: [(Rlimit, Resource); 9] = [
    (Rlimit::As, Resource::RLIMIT_AS),
    (Rlimit::Core, Resource::RLIMIT_CORE),
    (Rlimit::Cpu, Resource::RLIMIT_CPU),
    (Rlimit::Data, Resource::RLIMIT_DATA),
    (Rlimit::Fsize, Resource::RLIMIT_FSIZE),
    (Rlimit::Memlock, Resource::RLIMIT_MEMLOCK),
    (Rlimit::Nofile, Resource::RLIMIT_NOFILE),
    (Rlimit::Nproc, Resource::RLIMIT_NPROC),
    (Rlimit::Stack, Resource::RLIMIT_STACK),
];

/// Soft and hard limit of everything that can be limited.
type Rlimits = Vec<(u64, u64)>;

fn own_rlimits() -> Rlimits {
    RESOURCES.map(|(_, resource)| getrlimit(resource).unwrap()).to_vec()
}

/// Every one differs from its neighbours, and fits below whatever this machine allows.
fn wanted() -> Rlimits {
    let gib = 1 << 30;
    vec![
        (64 * gib, 65 * gib),
        (0, 0),
        (600, 700),
        (62 * gib, 63 * gib),
        (gib, 2 * gib),
        (4096, 8192),
        (64, 128),
        (900, 1000),
        (1 << 20, 2 << 20),
    ]
}

fn limited(method: StartMethod) -> Builder {
    let builder = Pool::builder().workers(2).start_method(method);
    RESOURCES.iter().zip(wanted()).fold(builder, |builder, ((resource, _), bounds)| builder.rlimit(*resource, bounds))
}

fn seen_by_task(_: u32) -> (Rlimits, Rlimits) {
    (ganger::with_worker_state(|state: &mut Rlimits| state.clone()), own_rlimits())
}

fn limits_hold_before_the_initializer_runs(method: StartMethod) {
    let pool = limited(method).initializer(own_rlimits, ()).max_tasks_per_worker(3).build().unwrap();
    // More than the first workers live for: those that replace them keep the limits.
    for (in_initializer, in_task) in pool.with_chunksize(1).unwrap().map(seen_by_task, 0..20).unwrap() {
        assert_eq!((in_initializer, in_task), (wanted(), wanted()));
    }
    finish(pool);
}

/// Uses up processor time, or the size of a file.
fn use_up(resource: Rlimit) {
    match resource {
        Rlimit::Fsize => std::fs::write(ganger_tests::scratch("large"), vec![0; 1 << 20]).unwrap(),
        _ => loop {
            std::hint::spin_loop();
        },
    }
}

fn open_many(count: usize) -> usize {
    (0..count).map(|_| std::fs::File::open("/dev/null").unwrap()).collect::<Vec<_>>().len()
}

fn limits_stop_what_goes_beyond_them(method: StartMethod) {
    let one = |resource, value: u64| {
        let builder = Pool::builder().workers(1).start_method(method).rlimit(Rlimit::Core, 0);
        builder.rlimit(resource, value).build().unwrap()
    };
    for (resource, value, signal) in [(Rlimit::Cpu, 1, "SIGXCPU"), (Rlimit::Fsize, 4096, "SIGXFSZ")] {
        let pool = one(resource, value);
        let error = within("the kernel ends it", SOON * 3, || pool.apply(use_up, (resource,))).unwrap_err();
        assert!(matches!(error.kind(), TaskErrorKind::Killed(_)) && error.message().contains(signal), "{error}");
        finish(pool);
    }
    let pool = one(Rlimit::Nofile, 16);
    assert!(pool.apply(open_many, (100,)).unwrap_err().message().contains("code: 24"));
    assert_eq!(pool.apply(open_many, (2,)), Ok(2));
    finish(pool);
}

fn least_of_descriptors_is_enough_for_a_panic(method: StartMethod) {
    for (builder, least) in [(Pool::builder(), 5), (Pool::builder().capture_output(1000), 7)] {
        let pool = builder.workers(1).start_method(method).rlimit(Rlimit::Nofile, least).build().unwrap();
        if method != StartMethod::Fork {
            // There a worker has what this process has besides.
            assert_eq!(pool.apply(open_many, (1,)), Ok(1), "{least}");
        }
        let error = within("it fails", SOON, || pool.apply(panic_in_a_narrow_place, (1,))).unwrap_err();
        assert_eq!((error.kind(), error.message()), (TaskErrorKind::Panicked, "no room"));
        finish(pool);
    }
}

fn panic_in_a_narrow_place(_: u32) {
    panic!("no room");
}

/// The standard library reads symbols under a lock that its handler of failed allocations takes as well.
fn panic_without_memory_for_its_stack_is_an_outcome(method: StartMethod) {
    // What a copy of this process has already, and less than the symbols take.
    let own = |figure| memory(std::process::id(), figure) + (24 << 20);
    for (resource, bytes) in [(Rlimit::As, own("VmSize")), (Rlimit::Data, own("VmData"))] {
        let pool = Pool::builder().workers(1).start_method(method).rlimit(resource, bytes).build().unwrap();
        let error = within("it fails", SOON, || pool.apply(panic_in_a_narrow_place, (1,))).unwrap_err();
        assert_eq!((error.kind(), error.message()), (TaskErrorKind::Panicked, "no room"));
        assert!(error.backtrace().unwrap().starts_with("no stack: less than "), "{:?}", error.backtrace());
        finish(pool);
    }
}

fn niceness_of(_: u32) -> (u32, i32) {
    (std::process::id(), scheduling::niceness().unwrap())
}

fn workers_are_nice(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).nice(7).max_tasks_per_worker(3).build().unwrap();
    for (_, niceness) in pool.with_chunksize(1).unwrap().map(niceness_of, 0..20).unwrap() {
        assert_eq!(niceness, 7);
    }
    finish(pool);
}

/// Which worker runs on what.
fn cpus_of(_: u32) -> (u32, Vec<usize>) {
    std::thread::sleep(Duration::from_millis(1));
    (std::process::id(), scheduling::allowed_cpus().unwrap())
}

/// What each place's worker may run on, once all have said so.
fn processors(pool: &Pool, workers: usize) -> BTreeMap<u32, Vec<usize>> {
    whole_gang(pool, workers);
    let mut seen = BTreeMap::new();
    wait_until(
        "every worker has run a task",
        SOON,
        || {
            let slots: BTreeMap<u32, u32> = pool.workers().iter().map(|worker| (worker.pid(), worker.slot())).collect();
            let told = pool.with_chunksize(1).unwrap().map(cpus_of, 0..20).unwrap();
            seen.extend(told.into_iter().filter_map(|(pid, cpus)| Some((*slots.get(&pid)?, cpus))));
            seen.clone()
        },
        |seen| seen.len() == workers,
    )
}

fn each_worker_has_a_processor_and_its_successor_has_it_too(method: StartMethod) {
    let allowed = scheduling::allowed_cpus().unwrap();
    let dealt: BTreeMap<u32, Vec<usize>> =
        (0..3).map(|slot| (slot, vec![allowed[slot as usize % allowed.len()]])).collect();
    let pool = Pool::builder().workers(3).start_method(method).pin().build().unwrap();
    assert_eq!(processors(&pool, 3), dealt);
    let before: BTreeSet<u32> = pool.worker_pids().into_iter().collect();
    for pid in &before {
        signal(*pid, Signal::SIGKILL);
    }
    wait_until(
        "all are replaced",
        SOON,
        || pool.worker_pids(),
        |pids| pids.len() == 3 && pids.iter().all(|pid| !before.contains(pid)),
    );
    assert_eq!(processors(&pool, 3), dealt);
    finish(pool);

    let last = *allowed.last().unwrap();
    let pool = Pool::builder().workers(2).start_method(method).pin_to([last]).build().unwrap();
    assert_eq!(processors(&pool, 2), BTreeMap::from([(0, vec![last]), (1, vec![last])]));
    finish(pool);
    assert_eq!(scheduling::allowed_cpus().unwrap(), allowed, "the supervisor's are its own");
}

fn variable(name: String) -> Option<String> {
    std::env::var(name).ok()
}

const THREADS: [&str; 9] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
];

/// What workers have in the variables.
fn told(builder: Builder) -> Vec<Option<String>> {
    let pool = builder.build().unwrap();
    let told = pool.map(variable, THREADS.map(str::to_owned)).unwrap();
    finish(pool);
    told
}

fn in_preload() {
    Log::new("preloaded").add(format!("{:?}", std::env::var("OMP_NUM_THREADS")));
}

fn libraries_are_told_how_many_threads_to_make(method: StartMethod) {
    assert!(THREADS.iter().all(|name| std::env::var_os(name).is_none()), "this test needs them unset");
    let builder = |workers| Pool::builder().workers(workers).start_method(method);
    let every = |threads: usize| vec![Some(threads.to_string()); THREADS.len()];
    let cores = ganger::cpu_count();
    assert_eq!(told(builder(1).preload(in_preload)), every(cores));
    let preloaded: BTreeSet<String> = Log::new("preloaded").lines().into_iter().collect();
    assert_eq!(preloaded, BTreeSet::from([format!("Ok(\"{cores}\")")]), "it was too late for preload");
    assert_eq!(told(builder(2)), every((cores / 2).max(1)));
    assert_eq!(told(builder(cores + 1)), every(1));
    assert_eq!(told(builder(1).pin()), every(1));
    assert_eq!(told(builder(1).thread_variables(false)), vec![None; THREADS.len()]);
    assert!(THREADS.iter().all(|name| std::env::var_os(name).is_none()), "the supervisor's environment is its own");
}

/// A program that was started with some of them.
fn variables_that_are_set_stay(method: StartMethod) {
    let mut command = helper("variables");
    let output =
        command.arg(method.as_str()).env("OMP_NUM_THREADS", "33").env("RAYON_NUM_THREADS", "").output().unwrap();
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(told.contains("OMP_NUM_THREADS=33\n") && told.contains("RAYON_NUM_THREADS=\n"), "{output:?}");
    let others = told.lines().filter(|line| *line == format!("MKL_NUM_THREADS={}", ganger::cpu_count()));
    assert_eq!(others.count(), 1, "{output:?}");
}

fn refused(builder: Builder, text: &str) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{error}");
    assert!(error.to_string().contains(text), "{error} does not say {text:?}");
}

fn senseless_attributes_are_refused() {
    let builder = || Pool::builder().workers(1);
    refused(builder().rlimit(Rlimit::Nofile, 4), "rlimit nofile is 4: a worker has its standard streams and its link");
    let captured = builder().capture_output(1000).rlimit(Rlimit::Nofile, 6);
    refused(captured, "rlimit nofile is 6: a worker whose output is captured has its standard streams, its link and ");
    refused(builder().rlimit(Rlimit::Nofile, (9, 8)), "rlimit nofile is 9:8: the soft limit is above the hard one");
    refused(builder().rlimit(Rlimit::As, 1 << 20), "rlimit as is 1048576: ");
    refused(builder().rlimit(Rlimit::Data, 0), "allowed are 1048576 to ");
    refused(builder().rlimit(Rlimit::Stack, 5), "rlimit stack is 5: ");
    refused(builder().rlimit(Rlimit::Cpu, 0), "rlimit cpu is 0: the kernel counts whole seconds; allowed are 1 to ");
    refused(builder().nice(20), "nice is 20: it is from -20");
    refused(builder().nice(-21), "nice is -21: it is from -20");
    refused(builder().pin_to([]), "pin_to names no processor: this process may use ");
    refused(builder().pin_to([0, 8000]), "pin_to names processor 8000, which this process may not use: it may use 0");
    // The last word counts.
    finish(builder().rlimit(Rlimit::Nofile, 4).rlimit(Rlimit::Nofile, 16).build().unwrap());
}

/// Lowers its own hard limit first: this process is the case's own.
fn limits_above_the_hard_one_are_refused() {
    nix::sys::resource::setrlimit(Resource::RLIMIT_MEMLOCK, 4096, 8192).unwrap();
    let may_raise = ganger_os::rlimit::may_set(Resource::RLIMIT_MEMLOCK, 4096, 16384).unwrap();
    let builder = |bounds: (u64, u64)| Pool::builder().workers(1).rlimit(Rlimit::Memlock, bounds);
    finish(builder((8192, 8192)).build().unwrap());
    if may_raise {
        finish(builder((4096, 16384)).build().unwrap());
    } else {
        let text = "the hard limit of this process is 8192, and it may not raise it; allowed are 0 to 8192";
        refused(builder((4096, 16384)), &format!("rlimit memlock is 4096:16384: {text}"));
        refused(builder((4096, Rlimit::UNLIMITED)), "rlimit memlock is 4096:unlimited: ");
    }
    // No privilege goes beyond what the kernel was built for.
    refused(
        Pool::builder().workers(1).rlimit(Rlimit::Nofile, Rlimit::UNLIMITED),
        "rlimit nofile is unlimited: the hard limit",
    );
}

fn niceness_below_ones_own_needs_a_right() {
    scheduling::set_niceness(5).unwrap();
    let builder = |niceness| Pool::builder().workers(1).nice(niceness);
    finish(builder(5).build().unwrap());
    if scheduling::may_set_niceness(3).unwrap() {
        finish(builder(3).build().unwrap());
        return;
    }
    refused(builder(3), "nice is 3: that is less than this process has, 5, and needs CAP_SYS_NICE");
}

fn supervisor_keeps_its_own() {
    let before = (own_rlimits(), scheduling::niceness().unwrap(), scheduling::allowed_cpus().unwrap());
    for method in StartMethod::ALL {
        let pool = limited(method).nice(9).pin().build().unwrap();
        pool.map(own_pid, 0..4).unwrap();
        let guardian = pool.guardian_pid().unwrap();
        let limits = std::fs::read_to_string(format!("/proc/{guardian}/limits")).unwrap();
        let own = std::fs::read_to_string("/proc/self/limits").unwrap();
        assert_eq!(limits, own, "the guardian is no worker");
        finish(pool);
    }
    assert_eq!((own_rlimits(), scheduling::niceness().unwrap(), scheduling::allowed_cpus().unwrap()), before);
}
