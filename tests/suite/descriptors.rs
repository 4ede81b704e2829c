//! Open descriptors as arguments and results of tasks.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ganger::{Descriptor, Pool, Retry, RetryOn, StartMethod, TaskErrorKind, partial};
use ganger_tests::{Gate, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, die, finish, pool};

pub(crate) const CONTRACT: crate::Contract = table![
    files_travel_as_arguments_and_results,
    bound_arguments_and_initializers_may_hold_files,
    numbers_above_256_travel,
    what_a_task_lets_go_of_is_closed_while_it_runs,
    what_dies_with_its_worker_is_sent_again,
    no_more_travel_than_the_kernel_passes_on,
    a_full_table_costs_the_task,
];

fn write_into(target: Descriptor, text: String) -> Descriptor {
    let mut file = File::from(target.into_owned().unwrap());
    file.write_all(text.as_bytes()).unwrap();
    Descriptor::new(file)
}

fn text_of(mut reader: PipeReader) -> String {
    let mut text = String::new();
    within("the end of the pipe", SOON, move || {
        reader.read_to_string(&mut text).unwrap();
        text
    })
}

fn ends() -> (PipeReader, PipeWriter) {
    pipe().unwrap()
}

fn files_travel_as_arguments_and_results(method: StartMethod) {
    let pool = pool(method, 2);
    let (reader, writer) = ends();
    let writer = Descriptor::new(OwnedFd::from(writer));
    // By every way that there is: each call sends them once more.
    let back: Descriptor = pool.apply(write_into, (writer.clone(), "a".to_owned())).unwrap();
    let back: Vec<Descriptor> =
        pool.starmap(write_into, vec![(back, "b".to_owned()), (writer.clone(), "b".to_owned())]).unwrap();
    let lazy = pool.imap(|target: Descriptor| write_into(target, "c".to_owned()), back.into_iter().chain([writer]));
    let last: Vec<Descriptor> = lazy.map(|outcome| outcome.unwrap()).collect();
    assert_eq!(last.len(), 3);
    // A handle keeps what has come with the result, and each value is another descriptor.
    let handle = pool.apply_async(write_into, (last[0].clone(), "d".to_owned()));
    let (one, other): (Descriptor, Descriptor) = (handle.get().unwrap(), handle.get().unwrap());
    drop((handle, last));
    File::from(one.into_owned().unwrap()).write_all(b"e").unwrap();
    File::from(other.into_owned().unwrap()).write_all(b"e").unwrap();
    finish(pool);
    assert_eq!(text_of(reader), "abbcccdee");
}

fn bound_arguments_and_initializers_may_hold_files(method: StartMethod) {
    fn keep(target: Descriptor) -> File {
        File::from(target.into_owned().unwrap())
    }
    fn note(bound: Descriptor, own: Descriptor, text: String) {
        File::from(bound.into_owned().unwrap()).write_all(text.as_bytes()).unwrap();
        File::from(own.into_owned().unwrap()).write_all(text.as_bytes()).unwrap();
        ganger::with_worker_state(|file: &mut File| file.write_all(text.as_bytes()).unwrap());
    }
    let (of_state, state) = ends();
    let (of_bound, bound) = ends();
    let (of_own, own) = ends();
    let pool = Pool::builder()
        .workers(2)
        .start_method(method)
        .initializer(keep, (Descriptor::new(OwnedFd::from(state)),))
        .build()
        .unwrap();
    let own = Descriptor::new(OwnedFd::from(own));
    let task = partial(note, (Descriptor::new(OwnedFd::from(bound)),));
    pool.starmap(task.clone(), (0..40).map(|_| (own.clone(), "x".to_owned()))).unwrap();
    drop((task, own));
    finish(pool);
    for reader in [of_state, of_bound, of_own] {
        assert_eq!(text_of(reader), "x".repeat(40));
    }
}

fn numbers_above_256_travel(method: StartMethod) {
    let pool = pool(method, 1);
    let (reader, writer) = ends();
    // As many as it takes until one has such a number.
    let mut many: Vec<OwnedFd> = (0..300).map(|_| writer.as_fd().try_clone_to_owned().unwrap()).collect();
    let high = many.pop().unwrap();
    drop((writer, many));
    assert!(high.as_raw_fd() > 256, "{high:?}");
    drop::<Descriptor>(pool.apply(write_into, (Descriptor::new(high), "high".to_owned())).unwrap());
    finish(pool);
    assert_eq!(text_of(reader), "high");
}

fn what_a_task_lets_go_of_is_closed_while_it_runs(method: StartMethod) {
    fn let_go(target: Descriptor) {
        drop(target);
        Gate::new("read").pass();
    }
    let pool = pool(method, 1);
    let (reader, writer) = ends();
    let handle = pool.apply_async(let_go, (Descriptor::new(OwnedFd::from(writer)),));
    // The supervisor keeps its own until the task has ended: it may have to be sent again. So the task is cancelled only
    // after the worker's copy was seen to be closed.
    let worker = pool.worker_pids()[0];
    let pipes = || {
        let fds = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap();
        let target = std::fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap();
        fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok()).filter(|link| *link == target).count()
    };
    wait_until(
        "the task runs",
        SOON,
        || pool.workers(),
        |workers| workers.iter().any(|worker| worker.running().is_some()),
    );
    // Under `fork` nothing of the pipe is in the worker either: it was made after the pool.
    wait_until("the worker has closed it", SOON, pipes, |count| *count == 0);
    Gate::new("read").open();
    handle.get().unwrap();
    drop(handle);
    finish(pool);
    assert_eq!(text_of(reader), "");
}

fn what_dies_with_its_worker_is_sent_again(method: StartMethod) {
    fn write_at_the_second_try(target: Descriptor, innocent: u32) -> u32 {
        if innocent == 7 && ganger::attempt() == 1 {
            die(Signal::SIGKILL)
        }
        File::from(target.into_owned().unwrap()).write_all(b".").unwrap();
        innocent
    }
    let retry = Retry::new(2).on([RetryOn::Crash]);
    let pool = Pool::builder().workers(2).start_method(method).retry(retry).build().unwrap();
    let (reader, writer) = ends();
    let writer = Descriptor::new(OwnedFd::from(writer));
    let rows: Vec<(Descriptor, u32)> = (0..20).map(|number| (writer.clone(), number)).collect();
    let answers = pool.starmap(write_at_the_second_try, rows).unwrap();
    drop(writer);
    assert_eq!(answers, (0..20).collect::<Vec<u32>>());
    finish(pool);
    assert_eq!(text_of(reader), ".".repeat(20));
}

fn no_more_travel_than_the_kernel_passes_on(method: StartMethod) {
    fn count(files: Vec<Descriptor>) -> usize {
        files.iter().filter(|file| file.as_fd().as_raw_fd() > 2).count()
    }
    let pool = pool(method, 1);
    let many = |count: usize| -> Vec<Descriptor> {
        (0..count).map(|_| Descriptor::new(File::open("/dev/null").unwrap())).collect()
    };
    assert_eq!(pool.apply(count, (many(253),)).unwrap(), 253);
    let error = pool.apply(count, (many(254),)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotSerializable, "{error}");
    assert!(error.to_string().contains("254th"), "{error}");
    let open = |_: u32| (0..254).map(|_| Descriptor::new(File::open("/dev/null").unwrap())).collect::<Vec<_>>();
    let error = pool.apply(open, (0,)).map(|files: Vec<Descriptor>| files.len()).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotSerializable, "{error}");
    assert_eq!(pool.apply(count, (many(1),)).unwrap(), 1);
    finish(pool);
}

fn a_full_table_costs_the_task(method: StartMethod) {
    fn touch(files: Vec<Descriptor>) -> usize {
        files.len()
    }
    let pool = Pool::builder().workers(1).start_method(method).rlimit(ganger::Rlimit::Nofile, 40).build().unwrap();
    let null = || Descriptor::new(File::open("/dev/null").unwrap());
    let error = pool.apply(touch, ((0..100).map(|_| null()).collect::<Vec<_>>(),)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotDeserializable, "{error}");
    assert!(error.to_string().contains("is this process's table of descriptors full?"), "{error}");
    // Those that did arrive are closed again, and the next ones belong to the next task.
    for _ in 0..3 {
        assert_eq!(pool.apply(touch, ((0..20).map(|_| null()).collect::<Vec<_>>(),)).unwrap(), 20);
    }
    finish(pool);
}
