//! Processes of their own: start, result, end, and what is left of them.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::Stdio as Pipes;
use std::time::Duration;

use ganger::{
    Descriptor, ErrorKind, Pool, Process, Rlimit, StartMethod, Stdio, TaskErrorKind, active_children, current_process,
    parent_process, partial,
};
use ganger_os::child::readable_within;
use ganger_tests::{Gate, Log, children, descriptors, die, marked, own_mark, scratch, signal, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, helper, pass_gate, square};

pub(crate) const CONTRACT: crate::Contract = table![
    process_returns_its_value,
    exit_codes_are_those_of_python,
    large_values_wait_for_nobody,
    panics_and_errors_are_told_and_printed,
    values_that_cannot_travel_are_told,
    handles_travel_both_ways,
    sentinel_and_join_say_when_it_ends,
    dropped_process_goes_on,
    processes_have_names_and_parents,
    processes_nest,
    killed_process_leaves_no_grandchildren,
    process_waits_for_its_children,
    guardian_that_was_killed_is_replaced,
    misuse_is_a_typed_error,
    two_hundred_cycles_leave_nothing,
    threads_join_different_children,
    streams_lead_where_they_should,
    process_may_use_what_it_was_given,
    daemon_ends_with_its_handle,
    program_waits_for_its_processes_at_its_end,
    program_ends_its_daemons_at_its_end,
    killed_program_leaves_no_process,
];

pub(crate) const ONCE: crate::Once = table![
    closure_is_called_in_a_copy_of_the_program,
    fork_is_refused_beside_threads,
    forked_copy_is_no_owner,
    copies_close_nothing_of_others,
    start_method_is_set_once_and_inherited,
];

/// A process that was started.
#[track_caller]
fn started<R>(mut process: Process<R>) -> Process<R> {
    process.start().unwrap();
    process
}

fn own_pid() -> u32 {
    std::process::id()
}

/// Says that it lives, and waits at the gate of that name.
fn live_until(gate: String) {
    Log::new("living").add(std::process::id());
    pass_gate(gate);
}

fn waiting(method: StartMethod) -> Process<()> {
    let process = started(Process::builder().start_method(method).build(live_until, ("end".to_owned(),)));
    wait_until(
        "it lives",
        SOON,
        || Log::new("living").lines(),
        |pids| pids.contains(&process.pid().unwrap().to_string()),
    );
    process
}

fn process_returns_its_value(method: StartMethod) {
    let build = || Process::builder().start_method(method);
    let process = started(build().build(square, (12,)));
    assert_eq!(process.result().unwrap(), 144);
    assert_eq!(process.result().unwrap(), 144, "it is kept");
    assert_eq!((process.exit_code().unwrap(), process.is_alive().unwrap()), (Some(0), false));
    let process = started(build().build(own_pid, ()));
    assert_eq!(process.result().unwrap(), process.pid().unwrap());
    let bound = partial(|a: String, b: Vec<u8>| format!("{a}{}", b.len()), ("x".repeat(1 << 20),));
    let process = started(build().build(bound, (vec![1_u8; 3 << 20],)));
    assert_eq!(process.result().unwrap().len(), (1 << 20) + 7);
    let eight = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8| [a, b, c, d, e, f, g, h].map(u32::from);
    let process = started(build().build(eight, (1, 2, 3, 4, 5, 6, 7, 8)));
    assert_eq!(process.result().unwrap().iter().sum::<u32>(), 36);
}

fn exit_codes_are_those_of_python(method: StartMethod) {
    fn end(how: String) -> Result<(), String> {
        match how.as_str() {
            "value" => Ok(()),
            "error" => Err("on purpose".to_owned()),
            "panic" => panic!("on purpose"),
            "exit 0" => std::process::exit(0),
            "exit 3" => std::process::exit(3),
            "term" => die(Signal::SIGTERM),
            "kill" => die(Signal::SIGKILL),
            "segv" => die(Signal::SIGSEGV),
            other => panic!("{other}"),
        }
    }
    use TaskErrorKind::{Exited, Failed, Killed, Panicked};
    for (how, code, kind) in [
        ("value", 0, None),
        ("error", 1, Some(Failed)),
        ("panic", 1, Some(Panicked)),
        ("exit 0", 0, Some(Exited(0))),
        ("exit 3", 3, Some(Exited(3))),
        ("term", -15, Some(Killed(15))),
        ("kill", -9, Some(Killed(9))),
        ("segv", -11, Some(Killed(11))),
    ] {
        let builder = Process::builder().start_method(method).stderr(Stdio::null()).rlimit(Rlimit::Core, 0);
        let process: Process<()> = started(builder.build(end, (how.to_owned(),)));
        process.join().unwrap();
        assert_eq!(process.exit_code().unwrap(), Some(code), "{how}");
        assert_eq!(process.result().err().map(|error| error.kind()), kind, "{how}");
    }
    let (asked, killed) = (waiting(method), waiting(method));
    asked.terminate().unwrap();
    killed.kill().unwrap();
    for (process, code) in [(asked, -15), (killed, -9)] {
        within("it ends", SOON, || process.join().unwrap());
        assert_eq!(process.exit_code().unwrap(), Some(code));
        process.terminate().unwrap();
        process.kill().unwrap();
    }
}

/// A value of 64 MiB does not wait for anybody who reads it, nor does an argument.
fn large_values_wait_for_nobody(method: StartMethod) {
    const SIZE: usize = 64 << 20;
    let builder = Process::builder().start_method(method);
    let process = started(builder.build(|bytes: Vec<u8>| [bytes, vec![2]].concat(), (vec![1_u8; SIZE],)));
    assert!(readable_within(process.sentinel().unwrap(), SOON), "nobody has joined it");
    assert_eq!(process.exit_code().unwrap(), Some(0));
    let value = process.result().unwrap();
    assert!(value.len() == SIZE + 1 && value[SIZE] == 2 && value[..SIZE].iter().all(|byte| *byte == 1));
    // Where files must not be so large the value goes through the socket, and is read by whoever waits.
    let builder = Process::builder().start_method(method).rlimit(Rlimit::Fsize, 1 << 20);
    let process = started(builder.build(|| vec![3_u64; SIZE / 8], ()));
    assert_eq!(process.result().unwrap(), vec![3_u64; SIZE / 8]);
}

fn panics_and_errors_are_told_and_printed(method: StartMethod) {
    fn fail(kindly: bool) -> Result<(), String> {
        if kindly { Err("no luck".to_owned()) } else { panic!("out of {}", "luck") }
    }
    for (kindly, kind, message, printed) in [
        (true, TaskErrorKind::Failed, "no luck", "ganger: tried failed: no luck\n"),
        (false, TaskErrorKind::Panicked, "out of luck", "out of luck"),
    ] {
        let mut stderr =
            File::options().create(true).truncate(true).read(true).write(true).open(scratch("stderr")).unwrap();
        let builder = Process::builder().start_method(method).name("tried").stderr(stderr.try_clone().unwrap());
        let process: Process<()> = started(builder.build(fail, (kindly,)));
        let error = process.result().unwrap_err();
        assert_eq!((error.kind(), error.message(), error.pid()), (kind, message, process.pid()));
        assert!(error.to_string().starts_with("process tried ("), "{error}");
        assert_eq!(error.location().is_some_and(|place| place.contains("suite/process.rs")), !kindly, "{error:?}");
        let mut text = String::new();
        stderr.rewind().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        assert!(text.contains(printed), "{text}");
        assert_eq!(text.contains("suite/process.rs"), !kindly, "{text}");
    }
}

/// A value, or an argument, that one side does not want to have.
#[derive(Debug)]
struct Difficult(bool);

impl serde::Serialize for Difficult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { Err(serde::ser::Error::custom("will not go")) } else { serializer.serialize_u8(0) }
    }
}

impl<'de> serde::Deserialize<'de> for Difficult {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("will not come"))
    }
}

fn values_that_cannot_travel_are_told(method: StartMethod) {
    let build = || Process::builder().start_method(method).stderr(Stdio::null());
    let mut unfit = build().build(|_: Difficult| (), (Difficult(true),));
    for _ in 0..2 {
        let error = unfit.start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSerializable);
        assert!(error.to_string().contains("will not go"), "{error}");
    }
    let process: Process<()> = started(build().build(|_: Difficult| (), (Difficult(false),)));
    let error = process.result().unwrap_err();
    assert_eq!((error.kind(), process.exit_code().unwrap()), (TaskErrorKind::NotDeserializable, Some(1)));
    assert!(error.message().contains("will not come"), "{error}");
    let process = started(build().build(|| Difficult(true), ()));
    let error = process.result().unwrap_err();
    assert_eq!((error.kind(), process.exit_code().unwrap()), (TaskErrorKind::NotSerializable, Some(1)));
    let process = started(build().build(|| Difficult(false), ()));
    let error = process.result().unwrap_err();
    assert_eq!((error.kind(), process.exit_code().unwrap()), (TaskErrorKind::NotDeserializable, Some(0)));
}

/// Open files as arguments, bound and not, and as results.
fn handles_travel_both_ways(method: StartMethod) {
    fn pass(bound: Descriptor, own: Vec<Descriptor>, text: String) -> std::io::Result<Vec<Descriptor>> {
        let mut file = File::from(bound.into_owned()?);
        file.write_all(text.as_bytes())?;
        Ok(own.into_iter().rev().chain([Descriptor::new(file)]).collect())
    }
    let file =
        |name: &str| File::options().create(true).truncate(true).read(true).write(true).open(scratch(name)).unwrap();
    let mut one = file("one");
    one.write_all(b"1").unwrap();
    let own = vec![Descriptor::new(one), Descriptor::new(file("two"))];
    let task = partial(pass, (Descriptor::new(file("three")),));
    let process: Process<Vec<Descriptor>> =
        started(Process::builder().start_method(method).build(task, (own, "three".to_owned())));
    let lengths: Vec<u64> = process
        .result()
        .unwrap()
        .into_iter()
        .map(|back| File::from(back.into_owned().unwrap()).metadata().unwrap().len())
        .collect();
    assert_eq!(lengths, [0, 1, 5]);
    // More than the kernel passes on at once.
    let null = || Descriptor::new(File::open("/dev/null").unwrap());
    let many: Vec<Descriptor> = (0..200).map(|_| null()).collect();
    let count = partial(|bound: Vec<Descriptor>, own: Vec<Descriptor>| bound.len() + own.len(), (many.clone(),));
    let process = started(Process::builder().start_method(method).build(count, (many,)));
    assert_eq!(process.result().unwrap(), 400);
}

fn sentinel_and_join_say_when_it_ends(method: StartMethod) {
    let process = waiting(method);
    assert!(!process.join_timeout(Duration::from_millis(20)).unwrap());
    assert!(!readable_within(process.sentinel().unwrap(), Duration::ZERO));
    assert_eq!((process.is_alive().unwrap(), process.exit_code().unwrap()), (true, None));
    Gate::new("end").open();
    assert!(readable_within(process.sentinel().unwrap(), SOON));
    assert!(process.join_timeout(SOON).unwrap());
    assert!(process.join_timeout(Duration::ZERO).unwrap());
    assert_eq!((process.is_alive().unwrap(), process.exit_code().unwrap()), (false, Some(0)));
}

fn dropped_process_goes_on(method: StartMethod) {
    assert!(active_children().is_empty());
    let (kept, dropped) = (waiting(method), waiting(method));
    let names = [kept.name().to_owned(), dropped.name().to_owned()];
    drop(dropped);
    let listed = active_children();
    assert_eq!(listed.iter().map(ganger::ChildProcess::name).collect::<Vec<_>>(), names);
    assert!(listed[1].is_alive().unwrap() && !listed[1].daemon());
    Gate::new("end").open();
    kept.join().unwrap();
    listed[1].join().unwrap();
    assert_eq!(listed[1].exit_code().unwrap(), Some(0));
    assert!(active_children().is_empty());
}

/// Name, daemon or not, parent: of this process.
type Identity = (String, bool, Option<u32>, Option<(String, u32, bool)>);

fn identity() -> Identity {
    let own = current_process();
    let parent = parent_process().map(|parent| (parent.name().to_owned(), parent.pid(), parent.is_alive()));
    (own.name().to_owned(), own.daemon(), own.parent_pid(), parent)
}

fn processes_have_names_and_parents(method: StartMethod) {
    let pid = std::process::id();
    let program = Some(("MainProcess".to_owned(), pid, true));
    assert_eq!(identity(), ("MainProcess".to_owned(), false, None, None));
    let build = || Process::builder().start_method(method);
    let process = started(build().build(identity, ()));
    assert_eq!(process.result().unwrap(), ("Process-1".to_owned(), false, Some(pid), program.clone()));
    let process = started(build().name("odd: \u{f6} \0").daemon(true).build(identity, ()));
    assert_eq!(process.result().unwrap(), ("odd: \u{f6} \0".to_owned(), true, Some(pid), program));
    let grandchild = || started(Process::new(identity, ())).result().unwrap();
    let process = started(build().daemon(true).build(grandchild, ()));
    let parent = Some((process.name().to_owned(), process.pid().unwrap(), true));
    assert_eq!(
        process.result().unwrap(),
        ("Process-3:1".to_owned(), true, process.pid(), parent),
        "a daemon's child is one"
    );
    let process = started(build().name("shown by ps").build(|| std::fs::read_to_string("/proc/self/cmdline"), ()));
    let shown: String = process.result().unwrap();
    // The test program's own arguments are the room that there is for a name in its copies.
    let expected = "ganger: shown by ps";
    assert!(shown.starts_with(&expected[..expected.len().min(shown.trim_end_matches('\0').len())]), "{shown}");
}

fn processes_nest(method: StartMethod) {
    fn descend(levels: u32, method: String) -> Vec<u32> {
        let mut pids = vec![std::process::id()];
        if levels > 0 {
            let builder = Process::builder().start_method(method.parse().unwrap());
            pids.extend(started(builder.build(descend, (levels - 1, method))).result().unwrap());
        } else {
            let pool = Pool::builder().workers(2).start_method(method.parse().unwrap()).build().unwrap();
            pids.extend(pool.map(|_: u32| std::process::id(), 0..1).unwrap());
        }
        pids
    }
    let process = started(Process::builder().start_method(method).build(descend, (2, method.to_string())));
    let mut pids = process.result().unwrap();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4, "each in a process of its own: {pids:?}");
}

fn killed_process_leaves_no_grandchildren(method: StartMethod) {
    fn have_children(method: String) {
        let method = method.parse().unwrap();
        let _children = [waiting(method), waiting(StartMethod::Forkserver)];
        live_until("end".to_owned());
    }
    let process = started(Process::builder().start_method(method).build(have_children, (method.to_string(),)));
    Log::new("living").wait_for(3);
    process.kill().unwrap();
    within("it ends", SOON, || process.join().unwrap());
    // What is left is the guardian of this process's own, if it serves more than one.
    let guardians = usize::from(method != StartMethod::Fork);
    let left = || marked(&own_mark()).len();
    wait_until("nobody is left", Duration::from_secs(1), left, |left| *left <= guardians);
}

/// A process that is not a daemon is waited for by the one that started it, also when that one calls `exit`.
fn process_waits_for_its_children(method: StartMethod) {
    fn leave_a_child(method: String, how: u32) -> u32 {
        drop(waiting(method.parse().unwrap()));
        if how > 0 {
            std::process::exit(5);
        }
        6
    }
    for how in [0, 1] {
        let process = started(Process::builder().start_method(method).build(leave_a_child, (method.to_string(), how)));
        Log::new("living").wait_for(1 + how as usize);
        assert!(!process.join_timeout(Duration::from_millis(100)).unwrap(), "it waits");
        Gate::new("end").open();
        within("it ends", SOON, || process.join().unwrap());
        assert_eq!(process.exit_code().unwrap(), Some([0, 5][how as usize]));
        assert_eq!(process.result().ok(), [Some(6), None][how as usize]);
        std::fs::remove_file(scratch("gate-end")).unwrap();
    }
}

fn parent_of(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

/// A guardian ignores SIGINT. When it is killed its processes die with it, which is how nothing is ever left behind, and the
/// next start has another.
fn guardian_that_was_killed_is_replaced(method: StartMethod) {
    let process = waiting(method);
    let guardian = parent_of(process.pid().unwrap());
    signal(guardian, Signal::SIGINT);
    signal(guardian, Signal::SIGTERM);
    assert!(!process.join_timeout(Duration::from_millis(20)).unwrap());
    signal(guardian, Signal::SIGKILL);
    within("it dies with its guardian", SOON, || process.join().unwrap());
    let error = process.result().unwrap_err();
    assert_eq!((error.kind(), process.exit_code().unwrap()), (TaskErrorKind::Lost, Some(255)), "{error}");
    for round in 0..3 {
        let next = started(Process::builder().start_method(method).build(square, (round,)));
        assert_eq!(next.result().unwrap(), round * round);
        if method != StartMethod::Fork {
            // The one child of this program that is left.
            children(std::process::id()).into_iter().for_each(|guardian| signal(guardian, Signal::SIGKILL));
        }
    }
}

fn misuse_is_a_typed_error(method: StartMethod) {
    let mut process = Process::builder().start_method(method).build(pass_gate, ("end".to_owned(),));
    let kind = |result: Result<(), ganger::Error>| result.unwrap_err().kind();
    for result in [process.join(), process.terminate(), process.kill(), process.sentinel().map(drop)] {
        assert_eq!(kind(result), ErrorKind::NotStarted);
    }
    assert_eq!(process.result().unwrap_err().kind(), TaskErrorKind::NotRunning);
    assert_eq!((process.is_alive().unwrap(), process.exit_code().unwrap(), process.pid()), (false, None, None));
    process.start().unwrap();
    assert_eq!(kind(process.start()), ErrorKind::AlreadyStarted);
    assert_eq!(kind(process.close()), ErrorKind::StillRunning);
    Gate::new("end").open();
    process.join().unwrap();
    assert_eq!(kind(process.start()), ErrorKind::AlreadyStarted);
    process.close().unwrap();
    process.close().unwrap();
    let results = [
        process.start(),
        process.join(),
        process.terminate(),
        process.sentinel().map(drop),
        process.is_alive().map(drop),
        process.exit_code().map(drop),
    ];
    for result in results {
        assert_eq!(kind(result), ErrorKind::Closed);
    }
    assert_eq!(process.pid(), None);
    let mut unstarted = Process::builder().build(own_pid, ());
    unstarted.close().unwrap();
    assert_eq!(kind(unstarted.start()), ErrorKind::Closed);
    let mut nice = Process::builder().start_method(method).nice(99).build(own_pid, ());
    assert_eq!(kind(nice.start()), ErrorKind::InvalidSetting);
}

fn two_hundred_cycles_leave_nothing(method: StartMethod) {
    let rounds = if method == StartMethod::Spawn { 40 } else { 200 };
    let cycle = |round: i64| {
        let process = started(Process::builder().start_method(method).build(square, (round,)));
        if round % 3 == 0 {
            assert_eq!(process.result().unwrap(), round * round);
        } else if round % 3 == 1 {
            process.join().unwrap();
        }
    };
    (0..3).for_each(cycle);
    wait_until("all are dead", SOON, active_children, Vec::is_empty);
    let before = (descriptors(), children(std::process::id()));
    (0..rounds).for_each(cycle);
    wait_until("all are dead", SOON, active_children, Vec::is_empty);
    assert_eq!((descriptors(), children(std::process::id())), before);
}

fn threads_join_different_children(method: StartMethod) {
    let processes: Vec<Process<Vec<i64>>> = (0..8)
        .map(|number| started(Process::builder().start_method(method).build(|n: i64| vec![n; 100_000], (number,))))
        .collect();
    std::thread::scope(|scope| {
        for (number, process) in processes.iter().enumerate() {
            scope.spawn(move || assert_eq!(process.result().unwrap(), vec![number as i64; 100_000]));
            scope.spawn(move || within("it ends", SOON, || process.join().unwrap()));
        }
    });
    assert!(processes.iter().all(|process| process.exit_code().unwrap() == Some(0)));
}

fn streams_lead_where_they_should(method: StartMethod) {
    fn copy() -> std::io::Result<usize> {
        let mut text = String::new();
        let length = std::io::stdin().read_to_string(&mut text)?;
        print!("out: {text}");
        eprint!("err: {text}");
        Ok(length)
    }
    let build = || Process::builder().start_method(method);
    let process: Process<usize> = started(build().stdout(Stdio::null()).stderr(Stdio::null()).build(copy, ()));
    assert_eq!(process.result().unwrap(), 0, "it reads nothing");
    std::fs::write(scratch("in"), "text").unwrap();
    let (input, out) = (File::open(scratch("in")).unwrap(), File::create(scratch("out")).unwrap());
    let err = File::create(scratch("err")).unwrap();
    let process: Process<usize> = started(build().stdin(input).stdout(out).stderr(err).build(copy, ()));
    assert_eq!(process.result().unwrap(), 4);
    let read = |name: &str| std::fs::read_to_string(scratch(name)).unwrap();
    assert_eq!((read("out"), read("err")), ("out: text".to_owned(), "err: text".to_owned()));
}

fn process_may_use_what_it_was_given(method: StartMethod) {
    fn look() -> std::io::Result<(String, String)> {
        let limits = std::fs::read_to_string("/proc/self/limits")?;
        let open = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let nice = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(16)).unwrap_or_default();
        Ok((open.split_whitespace().nth(3).unwrap_or_default().to_owned(), nice.to_owned()))
    }
    let builder = Process::builder().start_method(method).rlimit(Rlimit::Nofile, 77).nice(5);
    let process: Process<(String, String)> = started(builder.build(look, ()));
    assert_eq!(process.result().unwrap(), ("77".to_owned(), "5".to_owned()));
}

fn daemon_ends_with_its_handle(method: StartMethod) {
    let builder = Process::builder().start_method(method).daemon(true);
    let process = started(builder.build(live_until, ("never".to_owned(),)));
    Log::new("living").wait_for(1);
    let listed = active_children();
    assert!(process.daemon() && listed[0].daemon());
    within("it is ended", SOON, || drop(process));
    assert_eq!(listed[0].exit_code().unwrap(), Some(-15));
}

/// The program's end waits for its process, however it ends, and has the code that it would have had.
fn program_waits_for_its_processes_at_its_end(method: StartMethod) {
    for (round, (scene, code)) in [("returns", 0), ("exits", 7), ("panics", 101)].into_iter().enumerate() {
        let mut program = helper("parent").args([method.as_str(), scene]).stderr(Pipes::null()).spawn().unwrap();
        Log::new("living").wait_for(round + 1);
        let ended = ganger_tests::holds_within(Duration::from_millis(100), || program.try_wait().unwrap().is_some());
        assert!(!ended, "{scene}: it waits");
        Gate::new("end").open();
        let status = wait_until("it ends", SOON, || program.try_wait().unwrap(), Option::is_some).unwrap();
        assert_eq!((status.code(), Log::new("ended").lines().len()), (Some(code), round + 1), "{scene}");
        std::fs::remove_file(scratch("gate-end")).unwrap();
    }
}

/// One that ends when it is asked to, and one that does not listen.
fn program_ends_its_daemons_at_its_end(method: StartMethod) {
    let mut program = helper("parent").args([method.as_str(), "daemons"]).spawn().unwrap();
    let status = wait_until("it ends", SOON, || program.try_wait().unwrap(), Option::is_some).unwrap();
    assert!(status.success());
    assert_eq!((Log::new("living").lines().len(), Log::new("ended").lines().len()), (2, 0));
    wait_until("nobody is left", Duration::from_secs(1), || marked(&own_mark()), Vec::is_empty);
}

fn killed_program_leaves_no_process(method: StartMethod) {
    let mut program = helper("parent").args([method.as_str(), "family"]).spawn().unwrap();
    Log::new("living").wait_for(4);
    program.kill().unwrap();
    program.wait().unwrap();
    wait_until("nobody is left", Duration::from_secs(1), || marked(&own_mark()), Vec::is_empty);
}

// Under one method only.

fn closure_is_called_in_a_copy_of_the_program() {
    struct Counted<'a>(&'a std::sync::atomic::AtomicU32);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    static DROPPED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let (table, counted) = (std::rc::Rc::new(vec![7_u64; 1 << 16]), Counted(&DROPPED));
    let own = table.clone();
    let process = Process::fork(move || {
        let _counted = counted;
        own.iter().sum::<u64>()
    });
    assert_eq!(process.unwrap().result().unwrap(), 7 << 16);
    assert_eq!(DROPPED.load(std::sync::atomic::Ordering::Relaxed), 1, "here it was only moved");
    assert_eq!(std::rc::Rc::strong_count(&table), 1);
    let process = Process::builder().name("forked").fork(|| -> Result<u8, String> { Err("on purpose".to_owned()) });
    let process: Process<u8> = process.unwrap();
    assert_eq!(process.result().unwrap_err().message(), "on purpose");
}

fn fork_is_refused_beside_threads() {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receiver.recv());
    let mut process = Process::builder().start_method(StartMethod::Fork).build(square, (3,));
    assert_eq!(process.start().unwrap_err().kind(), ErrorKind::Threads);
    assert_eq!(Process::fork(|| 1).unwrap_err().kind(), ErrorKind::Threads);
    drop(sender);
    thread.join().unwrap().unwrap_err();
    process.start().unwrap();
    assert_eq!(process.result().unwrap(), 9, "it may be tried again");
}

/// In a copy of this process, its processes are somebody else's children.
fn forked_copy_is_no_owner() {
    let process = std::rc::Rc::new(waiting(StartMethod::Forkserver));
    let unstarted = std::cell::RefCell::new(Process::builder().build(own_pid, ()));
    let shared = process.clone();
    let copy = Process::fork(move || {
        let foreign = ErrorKind::ForeignProcess;
        let kinds = [
            shared.join().unwrap_err().kind() == foreign,
            shared.kill().unwrap_err().kind() == foreign,
            shared.is_alive().unwrap_err().kind() == foreign,
            shared.exit_code().unwrap_err().kind() == foreign,
            shared.sentinel().unwrap_err().kind() == foreign,
            shared.result().unwrap_err().kind() == TaskErrorKind::NotRunning,
            unstarted.borrow_mut().start().unwrap_err().kind() == foreign,
            active_children().is_empty(),
        ];
        kinds.into_iter().filter(|right| *right).count()
    });
    assert_eq!(copy.unwrap().result().unwrap(), 8);
    assert!(process.is_alive().unwrap());
    Gate::new("end").open();
    process.join().unwrap();
}

/// What a copy of this process has of its processes was closed when it was made; the numbers are those of other files by then.
fn copies_close_nothing_of_others() {
    let process = started(Process::builder().build(own_pid, ()));
    process.join().unwrap();
    let files_stay = Process::fork(move || {
        let files: Vec<File> = (0..32).map(|_| File::open("/dev/null").unwrap()).collect();
        drop(process);
        files.iter().all(|file| file.metadata().is_ok())
    });
    assert!(files_stay.unwrap().result().unwrap());
}

fn start_method_is_set_once_and_inherited() {
    fn look() -> String {
        let own = ganger::start_method().to_string();
        assert!(ganger::set_start_method(StartMethod::Fork).is_err(), "a child has its parent's");
        own
    }
    assert_eq!(ganger::start_method(), StartMethod::Forkserver);
    ganger::set_start_method(StartMethod::Spawn).unwrap();
    assert_eq!(ganger::set_start_method(StartMethod::Fork).unwrap_err().kind(), ErrorKind::InvalidSetting);
    for method in StartMethod::ALL {
        let process = started(Process::builder().start_method(method).build(look, ()));
        assert_eq!(process.result().unwrap(), "spawn", "{method}");
    }
    let pool = Pool::builder().workers(1).build().unwrap();
    let cmdline: String = pool.apply(|_: u8| std::fs::read_to_string("/proc/self/status"), (0,)).unwrap();
    assert!(cmdline.contains("ganger: worker"), "{cmdline}");
    ganger::force_start_method(StartMethod::Fork);
    let process = started(Process::new(own_pid, ()));
    assert_eq!(process.result().unwrap(), process.pid().unwrap());
}
