//! Pipes between real processes.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use ganger::connection::{Receiver, Sender, wait};
use ganger::{Connection, Descriptor, ErrorKind, Pool, StartMethod, one_way, pipe};
use ganger_tests::{descriptors, within};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde::Serialize;

use crate::kit::{SOON, finish, pool, signal};

pub(crate) const CONTRACT: crate::Contract = table![
    pipe_keeps_the_boundaries_of_messages_of_all_sizes,
    pipe_of_a_killed_process_is_disconnected,
    pipe_has_whole_messages_of_a_process_that_is_killed_while_it_sends,
    pipe_ends_move_through_tasks_results_and_pipes,
    pipe_of_many_senders_does_not_mix_messages,
    pipe_carries_descriptors_with_high_numbers,
];

pub(crate) const ONCE: crate::Once = table![
    forked_processes_use_captured_ends,
    full_pipes_are_refused_and_stay_usable,
    errors_leave_the_pipe_as_it_was,
    garbage_is_refused_and_the_next_message_read,
    descriptors_are_closed_with_messages_that_nobody_decodes,
    waiting_for_many,
    more_than_two_gibibytes,
];

fn echo(pipe: Connection<(), ()>) -> usize {
    let mut count = 0;
    while let Ok(bytes) = pipe.recv_bytes() {
        pipe.send_bytes(&bytes).unwrap();
        count += 1;
    }
    count
}

fn pipe_keeps_the_boundaries_of_messages_of_all_sizes(method: StartMethod) {
    const K64: usize = 64 << 10;
    let pool = pool(method, 1);
    let (ours, theirs) = pipe::<(), ()>().unwrap();
    let task = pool.apply_async::<_, _, usize>(echo, (theirs,));
    let sizes = [0, 1, 2, K64 - 17, K64 - 16, K64 - 1, K64, K64 + 1, 16 << 20];
    let message = |size: usize| (0..size).map(|place| (place * 7 + size) as u8).collect::<Vec<u8>>();
    for size in sizes {
        ours.send_bytes(&message(size)).unwrap();
    }
    for size in sizes {
        assert!(ours.poll(SOON).unwrap(), "{size}");
        assert!(ours.recv_bytes_timeout(SOON).unwrap() == message(size), "{size}");
    }
    assert!(!ours.poll(Duration::ZERO).unwrap() && !ours.poll(Duration::from_millis(5)).unwrap());
    assert_eq!(ours.recv_timeout(Duration::from_millis(5)).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(ours.try_recv().unwrap_err().kind(), ErrorKind::Empty);
    drop(ours);
    assert_eq!(task.get().unwrap(), sizes.len());
    finish(pool);
}

fn pipe_of_a_killed_process_is_disconnected(method: StartMethod) {
    fn answer_once(pipe: Connection<u32, u32>) {
        pipe.send(std::process::id()).unwrap();
        pipe.recv().unwrap();
    }
    let pool = pool(method, 1);
    let (ours, theirs) = pipe::<u32, u32>().unwrap();
    let task = pool.apply_async::<_, _, ()>(answer_once, (theirs,));
    let pid = ours.recv().unwrap();
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| ours.recv());
        signal(pid, Signal::SIGKILL);
        // The pool's own copy goes with the task, which is not tried again.
        let error = within("the end", SOON, || receiving.join().unwrap().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    });
    assert_eq!(ours.send(1).unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(ours.recv().unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(ours.poll(Duration::ZERO).unwrap(), "that there is nothing more is news");
    task.get().unwrap_err();
    finish(pool);
}

fn pipe_has_whole_messages_of_a_process_that_is_killed_while_it_sends(method: StartMethod) {
    fn send_for_ever(pipe: Sender<Vec<u8>>) {
        for round in 0_u64.. {
            let length = if round % 3 == 0 { 700_000 } else { 60_000 };
            pipe.send(vec![round as u8; length + round as usize % 7]).unwrap();
        }
    }
    for round in 0..3 {
        let pool = pool(method, 1);
        let (receiver, sender) = one_way().unwrap();
        let task = pool.apply_async::<_, _, ()>(send_for_ever, (sender,));
        let mut count = 0;
        let end = loop {
            match receiver.recv_timeout(SOON) {
                Ok(message) => {
                    assert!(message.iter().all(|byte| *byte == message[0]) && message.len() >= 60_000);
                    count += 1;
                }
                Err(error) => break error,
            }
            if count == 5 + round {
                signal(pool.worker_pids()[0], Signal::SIGKILL);
            }
        };
        assert_eq!(end.kind(), ErrorKind::Disconnected, "{end}");
        task.get().unwrap_err();
        finish(pool);
    }
}

fn pipe_ends_move_through_tasks_results_and_pipes(method: StartMethod) {
    fn through(carrier: Connection<Receiver<String>, Sender<String>>) -> Result<Receiver<String>, ganger::Error> {
        let (receiver, sender) = one_way()?;
        carrier.send(receiver)?;
        sender.send("made there, sent through a pipe".to_owned())?;
        let ours: Sender<String> = carrier.recv()?;
        ours.send("made here, sent through a pipe".to_owned())?;
        let (receiver, sender) = one_way()?;
        sender.send("made there, a result".to_owned())?;
        Ok(receiver)
    }
    let pool = pool(method, 1);
    let (carrier, theirs) = pipe().unwrap();
    let (receiver, sender) = one_way::<String>().unwrap();
    let task = pool.apply_async(through, (theirs,));
    carrier.send(sender).unwrap();
    let made_there: Receiver<String> = carrier.recv().unwrap();
    assert_eq!(made_there.recv().unwrap(), "made there, sent through a pipe");
    assert_eq!(receiver.recv().unwrap(), "made here, sent through a pipe");
    let result: Receiver<String> = task.get().unwrap();
    assert_eq!(result.recv().unwrap(), "made there, a result");
    drop(task);
    // Each has moved: nobody holds the sending ends any more.
    for receiver in [made_there, receiver, result] {
        let error = receiver.recv_timeout(SOON).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    }
    finish(pool);
}

fn pipe_of_many_senders_does_not_mix_messages(method: StartMethod) {
    fn send_runs(pipe: Sender<(u32, Vec<u32>)>, own: u32) {
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (pipe, name) = (&pipe, 10 * own + thread);
                scope.spawn(move || {
                    for round in 0..200 {
                        let length = if round % 20 == 0 { 30_000 } else { 100 };
                        pipe.send((name, vec![round; length])).unwrap();
                    }
                });
            }
        });
    }
    let pool = pool(method, 2);
    let (receiver, sender) = one_way().unwrap();
    let other = sender.try_clone().unwrap();
    let tasks = [sender, other].into_iter().enumerate();
    let tasks: Vec<_> = tasks.map(|(own, pipe)| pool.apply_async::<_, _, ()>(send_runs, (pipe, own as u32))).collect();
    let mut next = std::collections::BTreeMap::<u32, u32>::new();
    for _ in 0..800 {
        let (name, run) = receiver.recv_timeout(SOON).unwrap();
        let expected = next.entry(name).or_default();
        assert!(run.iter().all(|number| number == expected), "{name}");
        *expected += 1;
    }
    assert_eq!(next.into_values().collect::<Vec<_>>(), [200; 4]);
    tasks.iter().for_each(|task| task.get().unwrap());
    drop(tasks);
    assert_eq!(receiver.recv_timeout(SOON).unwrap_err().kind(), ErrorKind::Disconnected);
    finish(pool);
}

fn pipe_carries_descriptors_with_high_numbers(method: StartMethod) {
    fn read(pipe: Connection<Vec<String>, Vec<Descriptor>>) {
        let files = pipe.recv().unwrap().into_iter().map(|file| File::from(file.into_owned().unwrap()));
        pipe.send(files.map(|file| std::io::read_to_string(file).unwrap()).collect()).unwrap();
    }
    let pool = pool(method, 1);
    let (ours, theirs) = pipe::<Vec<Descriptor>, Vec<String>>().unwrap();
    let task = pool.apply_async::<_, _, ()>(read, (theirs,));
    let mut many: Vec<OwnedFd> = (0..300).map(|_| File::open("/proc/version").unwrap().into()).collect();
    let high = many.split_off(290);
    assert!(high[0].as_raw_fd() > 256);
    drop(many);
    ours.send(high.into_iter().map(Descriptor::from).collect()).unwrap();
    let version = std::fs::read_to_string("/proc/version").unwrap();
    assert_eq!(ours.recv_timeout(SOON).unwrap(), vec![version; 10]);
    task.get().unwrap();
    finish(pool);
}

fn forked_processes_use_captured_ends() {
    let (ours, theirs) = pipe::<u64, u64>().unwrap();
    let builder = Pool::builder().workers(2).start_method(StartMethod::Fork);
    let (pool, serve) = builder
        .fork_with(move |_: u32| {
            while let Ok(number) = theirs.recv() {
                theirs.send(number * number).unwrap();
            }
        })
        .unwrap();
    let tasks = [0, 1].map(|number| pool.apply_async(serve, (number,)));
    // Both processes read from the same end, and each message goes to one of them, whole.
    (1..=100).for_each(|number| ours.send(number).unwrap());
    let answers: u64 = (1..=100).map(|_| ours.recv_timeout(SOON).unwrap()).sum();
    assert_eq!(answers, (1..=100).map(|number: u64| number * number).sum::<u64>());
    // They have copies of this end as well; dropping it ends it for them all the same.
    drop(ours);
    tasks.iter().for_each(|task| task.get().unwrap());
    finish(pool);
}

fn full_pipes_are_refused_and_stay_usable() {
    let (receiver, sender) = one_way::<Vec<u64>>().unwrap();
    for length in [0, 5_000, 10_000] {
        let mut sent = 0;
        let error = loop {
            match sender.try_send(vec![sent; length]) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert!(sent > 1, "{length}");
        let error = sender.send_timeout(vec![7; length], Duration::from_millis(30)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        std::thread::scope(|scope| {
            let late = scope.spawn(|| sender.send_timeout(vec![sent; length], SOON));
            for number in 0..=sent {
                assert!(receiver.recv_timeout(SOON).unwrap() == vec![number; length]);
            }
            late.join().unwrap().unwrap();
        });
        assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::Empty);
    }
}

struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not for others"))
    }
}

fn errors_leave_the_pipe_as_it_was() {
    let (receiver, sender) = one_way::<Result<String, Vec<Descriptor>>>().unwrap();
    let null = || Descriptor::new(File::open("/dev/null").unwrap());
    let error = sender.send(Err((0..254).map(|_| null()).collect())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSerializable, "{error}");
    let receiver = receiver.with_limit(100);
    sender.send(Ok("x".repeat(200))).unwrap();
    sender.send(Ok("x".repeat(200_000))).unwrap();
    sender.send_bytes(&[9, 9, 9]).unwrap();
    sender.send(Ok("fine".into())).unwrap();
    sender.send(Err((0..253).map(|_| null()).collect())).unwrap();
    for expected in [ErrorKind::TooLarge, ErrorKind::TooLarge, ErrorKind::NotDeserializable] {
        let error = receiver.recv().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
    }
    assert_eq!(receiver.recv().unwrap().unwrap(), "fine");
    assert_eq!(receiver.with_limit(u64::MAX).recv().unwrap().unwrap_err().len(), 253);
    let (receiver, sender) =
        one_way::<Option<Unsendable>>().map(|(receiver, sender)| (drop(receiver), sender)).unwrap();
    let () = receiver;
    let error = sender.send(Some(Unsendable)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSerializable);
    assert!(error.to_string().contains("not for others"), "{error}");
    let (one, other) = pipe::<(), ()>().unwrap();
    one.send_bytes(&[7; 100]).unwrap();
    let mut small = [0; 99];
    assert_eq!(other.recv_bytes_into(&mut small).unwrap_err().kind(), ErrorKind::TooLarge);
    let mut large = [0; 101];
    assert_eq!((other.recv_bytes_into(&mut large).unwrap(), large[99], large[100]), (100, 7, 0));
}

fn garbage_is_refused_and_the_next_message_read() {
    let (receiver, sender) = one_way::<String>().unwrap();
    let raw = |bytes: &[u8]| nix::sys::socket::send(sender.as_fd().as_raw_fd(), bytes, MsgFlags::empty()).unwrap();
    for garbage in
        [&b"g"[..], &[b'g'; 16], &[0; 65_000], &[b'x'; 100_000], b"g\x01\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"]
    {
        raw(garbage);
        sender.send("after it".into()).unwrap();
        let error = receiver.recv().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotDeserializable, "{error}");
        assert_eq!(receiver.recv().unwrap(), "after it");
    }
}

fn descriptors_are_closed_with_messages_that_nobody_decodes() {
    let (receiver, sender) = one_way::<String>().unwrap();
    let before = descriptors().len();
    let null = File::open("/dev/null").unwrap();
    let fds = vec![null.as_raw_fd(); 200];
    // The header says that there is one; the others are more than were announced.
    let packet = b"g\x01\0\0\x01\0\0\0\x09\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0x";
    for _ in 0..50 {
        let slices = [IoSlice::new(packet)];
        let fd = sender.as_fd().as_raw_fd();
        sendmsg::<()>(fd, &slices, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None).unwrap();
        assert_eq!(receiver.recv().unwrap(), "x");
        assert_eq!(descriptors().len(), before + 1);
    }
    drop(null);
    // What is never read goes with the pipe.
    sender.send("unread".into()).unwrap();
}

fn waiting_for_many() {
    let pipes: Vec<(Receiver<u32>, Sender<u32>)> = (0..50).map(|_| one_way().unwrap()).collect();
    let receivers: Vec<&Receiver<u32>> = pipes.iter().map(|(receiver, _)| receiver).collect();
    assert!(wait(&receivers, Some(Duration::from_millis(5))).unwrap().is_empty());
    let none: [&Receiver<u32>; 0] = [];
    assert!(wait(&none, None).unwrap().is_empty());
    for chosen in [49, 7, 0] {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(&receivers, Some(SOON)).unwrap());
            pipes[chosen].1.send(1).unwrap();
            assert_eq!(waiting.join().unwrap(), [chosen]);
        });
        pipes[chosen].0.recv().unwrap();
    }
    // A process's end is waited for in the same way.
    let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let sentinel = pidfd(child.id());
    let both: [&dyn AsFd; 2] = [&pipes[0].0, &sentinel];
    assert!(wait(&both, Some(Duration::ZERO)).unwrap().is_empty());
    child.kill().unwrap();
    assert_eq!(wait(&both, Some(SOON)).unwrap(), [1]);
    child.wait().unwrap();
}

fn pidfd(pid: u32) -> ganger_os::child::PidFd {
    ganger_os::child::PidFd::open(pid.cast_signed()).unwrap()
}

/// It takes 7 GB of memory, so it runs only when `GANGER_TEST_LARGE` is set.
fn more_than_two_gibibytes() {
    if std::env::var_os("GANGER_TEST_LARGE").is_none() {
        return;
    }
    let (receiver, sender) = one_way::<()>().unwrap();
    let length = (2 << 30) + 7;
    let mut bytes = vec![1_u8; length];
    bytes[length - 1] = 9;
    sender.send_bytes(&bytes).unwrap();
    drop(bytes);
    let back = receiver.recv_bytes().unwrap();
    assert_eq!((back.len(), back[0], back[length - 1]), (length, 1, 9));
}
