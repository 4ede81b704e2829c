//! Captured output: whose it is, what is kept of it, and what becomes of it.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ganger::{Builder, Pool, Retry, RetryOn, StartMethod, TaskErrorKind, TaskOutput};
use ganger_tests::{Gate, scratch, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, die, finish, helper, processor_time};

pub(crate) const CONTRACT: crate::Contract = table![
    output_of_each_task_is_its_own_however_it_was_written,
    few_of_many_tiny_tasks_print,
    output_of_tasks_that_fail_is_in_their_errors,
    output_beside_a_large_result_is_told_apart,
    each_attempt_has_its_own_output,
    output_without_end_is_cut_while_it_runs,
    what_is_cut_is_counted_to_the_byte,
    programs_may_open_the_streams_anew,
    output_of_no_task_is_nobodys,
    task_may_close_its_streams,
    streams_that_have_ended_keep_nobody_awake,
    output_is_passed_on_whole,
];

/// A pool that captures, and what comes of it.
fn capturing(method: StartMethod, workers: usize, cap: usize) -> (Builder, Receiver<TaskOutput>) {
    let (sender, receiver) = channel();
    let builder = Pool::builder()
        .workers(workers)
        .start_method(method)
        .capture_output(cap)
        .on_output(move |output| sender.send(output.clone()).unwrap());
    (builder, receiver)
}

/// Ends the pool and returns what its tasks have written, by index.
fn written(pool: Pool, outputs: &Receiver<TaskOutput>) -> Vec<(Option<u64>, String, String)> {
    finish(pool);
    let mut all: Vec<_> = outputs
        .try_iter()
        .map(|output| (output.index(), output.stdout().to_string(), output.stderr().to_string()))
        .collect();
    all.sort();
    all
}

fn shell(command: &str) {
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success());
}

fn raw(fd: BorrowedFd<'_>, text: &str) {
    assert_eq!(nix::unistd::write(fd, text.as_bytes()).unwrap(), text.len());
}

/// Writes to its streams in the way that its number asks for.
fn write_somehow(number: u64) -> u64 {
    match number % 8 {
        0 => println!("line {number}"),
        1 => print!("piece {number}"),
        2 => eprintln!("error {number}"),
        3 => raw(std::io::stdout().as_fd(), &format!("raw {number}")),
        4 => shell(&format!("echo child {number}; echo oops {number} >&2")),
        5 => {
            let thread = std::thread::spawn(move || println!("thread {number}"));
            thread.join().unwrap();
        }
        6 => {
            println!("both {number}");
            eprint!("of them {number}");
        }
        _ => {}
    }
    number
}

fn expected(number: u64) -> Option<(Option<u64>, String, String)> {
    let (out, err) = match number % 8 {
        0 => (format!("line {number}\n"), String::new()),
        1 => (format!("piece {number}"), String::new()),
        2 => (String::new(), format!("error {number}\n")),
        3 => (format!("raw {number}"), String::new()),
        4 => (format!("child {number}\n"), format!("oops {number}\n")),
        5 => (format!("thread {number}\n"), String::new()),
        6 => (format!("both {number}\n"), format!("of them {number}")),
        _ => return None,
    };
    Some((Some(number), out, err))
}

fn output_of_each_task_is_its_own_however_it_was_written(method: StartMethod) {
    let (builder, outputs) = capturing(method, 3, 1000);
    let pool = builder.build().unwrap();
    assert_eq!(pool.map(write_somehow, 0..400).unwrap(), (0..400).collect::<Vec<_>>());
    let expected: Vec<_> = (0..400).filter_map(expected).collect();
    assert_eq!(written(pool, &outputs), expected);
}

fn few_of_many_tiny_tasks_print(method: StartMethod) {
    fn rarely(number: u64) -> u64 {
        if number.is_multiple_of(997) {
            println!("{number}");
        }
        number + 1
    }
    let (builder, outputs) = capturing(method, 2, 1000);
    let pool = builder.build().unwrap();
    assert_eq!(pool.map(rarely, 0..100_000).unwrap(), (1..=100_000).collect::<Vec<_>>());
    let expected: Vec<_> = (0..100_000).step_by(997).map(|n| (Some(n), format!("{n}\n"), String::new())).collect();
    assert_eq!(written(pool, &outputs), expected);
}

fn output_of_tasks_that_fail_is_in_their_errors(method: StartMethod) {
    fn fail(way: u64) -> Result<u64, String> {
        println!("way {way}");
        eprint!("dying of {way}");
        // Rust's standard output is buffered: whoever dies without warning has to have written it.
        std::io::stdout().flush().unwrap();
        match way {
            0 => Ok(way),
            1 => Err("no".to_owned()),
            2 => panic!("nothing works"),
            3 => die(Signal::SIGKILL),
            4 => std::process::abort(),
            5 => std::process::exit(3),
            _ => loop {
                std::thread::park();
            },
        }
    }
    let (builder, outputs) = capturing(method, 2, 1000);
    let pool = builder.grace(Duration::ZERO).timeout(Duration::from_secs(1)).build().unwrap();
    let outcomes: Vec<Result<u64, _>> = pool.try_map(fail, 0..7);
    for (way, outcome) in outcomes.iter().enumerate().skip(1) {
        let error = outcome.as_ref().unwrap_err();
        assert_eq!(error.stdout().to_string(), format!("way {way}\n"), "{error}");
        assert_eq!(error.stderr().to_string(), format!("dying of {way}"), "{error}");
        assert_eq!(error.to_string().contains("with the last words"), (3..=5).contains(&way), "{error}");
    }
    assert_eq!(outcomes[6].as_ref().unwrap_err().kind(), TaskErrorKind::TimedOut);
    // Each task's came once, and to nobody else.
    let all = (0..7).map(|way| (Some(way), format!("way {way}\n"), format!("dying of {way}")));
    assert_eq!(written(pool, &outputs), all.collect::<Vec<_>>());
}

fn output_beside_a_large_result_is_told_apart(method: StartMethod) {
    fn large(number: u64) -> Vec<u8> {
        println!("{number}");
        // Too large for the ring every other time, so that results take both ways.
        vec![number as u8; if number.is_multiple_of(2) { 2 << 20 } else { 3 }]
    }
    let (builder, outputs) = capturing(method, 2, 1000);
    let pool = builder.build().unwrap();
    for (number, value) in pool.map(large, 0..12).unwrap().into_iter().enumerate() {
        assert_eq!(value, vec![number as u8; if number.is_multiple_of(2) { 2 << 20 } else { 3 }]);
    }
    let expected: Vec<_> = (0..12).map(|n| (Some(n), format!("{n}\n"), String::new())).collect();
    assert_eq!(written(pool, &outputs), expected);
}

fn each_attempt_has_its_own_output(method: StartMethod) {
    fn stubborn(_: u32) {
        eprint!("attempt {}", ganger::attempt());
        if ganger::attempt() < 3 { die(Signal::SIGKILL) } else { panic!("enough") }
    }
    let (builder, outputs) = capturing(method, 1, 1000);
    let retry = Retry::new(3).backoff(Duration::ZERO..=Duration::ZERO).on([RetryOn::Crash]);
    let pool = builder.retry(retry).build().unwrap();
    let error = pool.apply(stubborn, (0,)).unwrap_err();
    assert_eq!(error.stderr().to_string(), "attempt 3");
    let before: Vec<String> = error.attempts_before().iter().map(|error| error.stderr().to_string()).collect();
    assert_eq!(before, ["attempt 1", "attempt 2"]);
    let texts: Vec<String> = written(pool, &outputs).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, ["attempt 1", "attempt 2", "attempt 3"]);
}

fn output_without_end_is_cut_while_it_runs(method: StartMethod) {
    fn print_for_ever(_: u32) {
        println!("the beginning");
        let line = "again and ".repeat(1000);
        loop {
            println!("{line}");
        }
    }
    let (builder, outputs) = capturing(method, 1, 4000);
    let pool = builder.grace(Duration::ZERO).build().unwrap();
    let before = ganger_tests::memory(std::process::id(), "VmRSS");
    let run = pool.apply_async(print_for_ever, (0,));
    // It has written far more than all buffers hold.
    let pid = pool.worker_pids()[0];
    let written_bytes = || {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok()).unwrap()
    };
    ganger_tests::wait_until("it has printed 200 MB", SOON * 6, written_bytes, |bytes| *bytes > 200_000_000);
    let grown = ganger_tests::memory(std::process::id(), "VmRSS").saturating_sub(before);
    assert!(grown < 50 << 20, "the supervisor has grown by {grown} bytes");
    run.cancel();
    let error = run.get().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Cancelled);
    assert!(error.stdout().begin().starts_with(b"the beginning\n"), "{error}");
    assert_eq!(error.stdout().begin().len() + error.stdout().end().len(), 4000);
    assert!(error.stdout().cut() > 199_000_000, "{}", error.stdout().cut());
    assert_eq!(within("the end", SOON, || written(pool, &outputs)).len(), 1);
}

fn what_is_cut_is_counted_to_the_byte(method: StartMethod) {
    fn print(kilobytes: u64) {
        let piece = [b'x'; 1000];
        let mut out = std::io::stderr();
        (0..kilobytes).for_each(|_| out.write_all(&piece).unwrap());
        out.write_all(b"end").unwrap();
    }
    let (builder, outputs) = capturing(method, 2, 100);
    let pool = builder.build().unwrap();
    // Below and above what a pipe holds, and what is read from it in one turn.
    let sizes = [0, 1, 60, 64, 65, 70, 255, 256, 263, 1000, 20_000];
    pool.map(print, sizes).unwrap();
    finish(pool);
    let mut outputs: Vec<TaskOutput> = outputs.try_iter().collect();
    outputs.sort_by_key(TaskOutput::index);
    assert_eq!(outputs.len(), sizes.len());
    for (output, size) in outputs.iter().zip(sizes) {
        let stderr = output.stderr();
        let kept = (stderr.begin().len() + stderr.end().len()) as u64;
        assert_eq!(kept + stderr.cut(), size * 1000 + 3);
        let last = if stderr.cut() > 0 { stderr.end() } else { stderr.begin() };
        assert!(last.ends_with(b"end"), "{stderr}");
    }
}

fn programs_may_open_the_streams_anew(method: StartMethod) {
    let (builder, outputs) = capturing(method, 1, 1000);
    let pool = builder.build().unwrap();
    pool.map(|_: u32| shell("echo one; echo two > /dev/stdout; echo three >> /dev/stderr"), 0..3).unwrap();
    let expected: Vec<_> = (0..3).map(|n| (Some(n), "one\ntwo\n".to_owned(), "three\n".to_owned())).collect();
    assert_eq!(written(pool, &outputs), expected);
}

fn output_of_no_task_is_nobodys(method: StartMethod) {
    fn leave_behind(gate: String, answer: String) {
        println!("before");
        // It holds the streams, and writes when the task is over.
        let command = "(until [ -e \"$0\" ]; do sleep 0.01; done; echo late; : > \"$1\") &";
        let mut shell = Command::new("sh");
        assert!(shell.args(["-c", command, &gate, &answer]).status().unwrap().success());
    }
    let (builder, outputs) = capturing(method, 1, 1000);
    let pool = builder.initializer(|_: u8| print!("getting ready"), (0,)).build().unwrap();
    let first = outputs.recv_timeout(SOON).unwrap();
    assert_eq!((first.task(), first.stdout().to_string()), (None, "getting ready".to_owned()));
    let (gate, answer) = (scratch("gate-late"), Gate::new("answer"));
    pool.apply(leave_behind, (gate, scratch("gate-answer"))).unwrap();
    Gate::new("late").open();
    answer.pass();
    pool.apply(|x: u32| println!("{x}"), (7,)).unwrap();
    let all = written(pool, &outputs);
    let texts: Vec<_> = all.iter().map(|(index, text, _)| (*index, text.as_str())).collect();
    assert_eq!(texts, [(None, "late\n"), (Some(0), "7\n"), (Some(0), "before\n")]);
}

fn task_may_close_its_streams(method: StartMethod) {
    fn close(_: u32) {
        nix::unistd::close(1).unwrap();
        nix::unistd::close(2).unwrap();
    }
    let (builder, outputs) = capturing(method, 1, 1000);
    let pool = builder.build().unwrap();
    pool.apply(|x: u32| println!("{x}"), (1,)).unwrap();
    pool.apply(close, (0,)).unwrap();
    // Rust takes a closed standard output for one that swallows everything.
    assert_eq!(
        pool.apply(
            |x: u32| {
                println!("{x}");
                x
            },
            (2,)
        )
        .unwrap(),
        2
    );
    assert_eq!(written(pool, &outputs), [(Some(0), "1\n".to_owned(), String::new())]);
}

/// Closes every pipe that it has, its worker's own copies of both streams among them, and takes its time.
fn close_all_pipes(_: u32) {
    let list = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers: Vec<i32> = list.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    let is_pipe = |number: &i32| {
        std::fs::read_link(format!("/proc/self/fd/{number}"))
            .is_ok_and(|path| path.to_string_lossy().starts_with("pipe:"))
    };
    numbers.into_iter().filter(is_pipe).for_each(|number| nix::unistd::close(number).unwrap());
    std::thread::sleep(Duration::from_secs(1));
}

fn streams_that_have_ended_keep_nobody_awake(method: StartMethod) {
    let (builder, _outputs) = capturing(method, 1, 1000);
    let pool = builder.build().unwrap();
    let before = processor_time();
    pool.apply(close_all_pipes, (0,)).unwrap();
    let used = processor_time() - before;
    assert!(used < Duration::from_millis(300), "{used:?}");
    finish(pool);
}

fn output_is_passed_on_whole(method: StartMethod) {
    let output = helper("printing").args([method.as_str(), "200", "captured"]).stderr(Stdio::piped()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && err.contains("200 ok, 0 failed"), "{err}");
    for (text, word) in [(&out, "out"), (&err, "err")] {
        for number in 0..200 {
            let whole = format!("<{word} {number}\n{word} {number}>\n");
            assert_eq!(text.matches(&whole).count(), 1, "{number} in {text}");
        }
    }
}
