//! Worker ids, and what workers do before they leave.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::time::Duration;

use ganger::{Descriptor, ErrorKind, ExitResult, Pool, StartMethod, TaskErrorKind, with_worker_state, worker_id};
use ganger_tests::{Log, scratch, wait_until};
use nix::sys::signal::Signal;

use crate::kit::{SOON, die, finish, own_pid, pass_gate, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    worker_ids_are_unique_and_stable_across_recycling,
    state_is_made_once_per_process_and_private_to_it,
    exit_hooks_of_all_workers_have_results,
    results_of_recycled_workers_are_collected_too,
    large_exit_result_arrives_whole,
    exit_hook_that_fails_is_an_outcome,
    exit_hook_that_takes_too_long_is_killed,
    exit_hook_that_dies_is_an_outcome,
    exit_hooks_do_not_run_when_workers_are_killed,
    exit_hooks_do_not_run_on_terminate,
    state_is_dropped_by_workers_that_leave_in_order,
    wrong_type_or_no_hook_is_refused,
    exit_hook_may_have_descriptors_and_its_result_may_not,
];

fn builder(method: StartMethod, workers: usize) -> ganger::Builder {
    Pool::builder().workers(workers).start_method(method)
}

/// Ends a pool, and gives what its hooks have made.
fn results<R>(pool: &Pool) -> Vec<ExitResult<R>>
where
    R: serde::de::DeserializeOwned + 'static,
{
    pool.close();
    // Without a limit of its own: ten megabytes take their time in a debug build on a busy machine.
    pool.join().unwrap();
    pool.take_exit_results().unwrap()
}

/// Where this task ran. It claims its place by a file that nobody else may have made, and gives it back.
fn occupy(_: u32) -> Result<(u32, u32), String> {
    let place = worker_id().ok_or("no place")?;
    let path = scratch(&format!("place-{place}"));
    File::create_new(&path).map_err(|error| format!("place {place} is taken: {error}"))?;
    std::thread::yield_now();
    std::fs::remove_file(&path).map_err(|error| error.to_string())?;
    Ok((place, std::process::id()))
}

fn worker_ids_are_unique_and_stable_across_recycling(method: StartMethod) {
    assert_eq!(worker_id(), None, "this is no worker");
    let pool = builder(method, 3).max_tasks_per_worker(4).chunksize(1).build().unwrap();
    let ran: Vec<(u32, u32)> = pool.map(occupy, 0..120).unwrap();
    let mut of_process = BTreeMap::new();
    for (place, pid) in ran {
        assert!(place < 3, "{place}");
        assert_eq!(*of_process.entry(pid).or_insert(place), place, "a worker keeps its place");
    }
    assert!(of_process.len() >= 30, "{} processes for 120 tasks, 4 each", of_process.len());
    let in_a_thread = |_: u32| std::thread::spawn(worker_id).join().unwrap();
    assert!(pool.apply(in_a_thread, (0,)).unwrap().is_some());
    finish(pool);
}

fn make_state(log: String) -> Vec<u32> {
    Log::new(&log).add(std::process::id());
    vec![std::process::id()]
}

fn state_is_made_once_per_process_and_private_to_it(method: StartMethod) {
    let pool =
        builder(method, 2).max_tasks_per_worker(10).initializer(make_state, ("made".to_owned(),)).build().unwrap();
    let look = |_: u32| {
        with_worker_state(|pids: &mut Vec<u32>| {
            pids.push(std::process::id());
            pids.clone()
        })
    };
    let states = pool.map(look, 0..50).unwrap();
    assert!(states.iter().all(|pids| pids.iter().all(|pid| *pid == pids[0])), "{states:?}");
    assert!(states.iter().all(|pids| pids.len() <= 11), "it begins anew with each process");
    finish(pool);
    let mut made = Log::new("made").lines();
    let all = made.len();
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), all, "once in each process");
}

fn count(_: u32) {
    with_worker_state(|tasks: &mut u32| *tasks += 1);
}

fn tasks() -> (u32, Option<u32>) {
    (with_worker_state(|tasks: &mut u32| *tasks), worker_id())
}

fn exit_hooks_of_all_workers_have_results(method: StartMethod) {
    let pool = builder(method, 3).initializer(|| 0_u32, ()).on_worker_exit(tasks, ()).build().unwrap();
    let mut pids = whole_gang(&pool, 3);
    wait_until(
        "all are ready",
        SOON,
        || pool.workers(),
        |workers| workers.iter().filter(|it| it.is_ready()).count() == 3,
    );
    pool.map(count, 0..100).unwrap();
    assert_eq!(pool.take_exit_results::<(u32, Option<u32>)>().unwrap(), [], "nobody has left");
    let left = results::<(u32, Option<u32>)>(&pool);
    let mut seen: Vec<u32> = left.iter().map(|it| it.pid().unwrap()).collect();
    pids.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, pids);
    for it in &left {
        assert_eq!(it.outcome().unwrap().1, Some(it.worker()));
        assert!(it.duration().is_some());
    }
    assert_eq!(left.into_iter().map(|it| it.into_outcome().unwrap().0).sum::<u32>(), 100);
    assert_eq!(pool.take_exit_results::<(u32, Option<u32>)>().unwrap(), [], "they are given once");
}

fn results_of_recycled_workers_are_collected_too(method: StartMethod) {
    let pool = builder(method, 2).max_tasks_per_worker(7).initializer(|| 0_u32, ());
    let pool = pool.on_worker_exit(tasks, ()).build().unwrap();
    pool.map(count, 0..100).unwrap();
    let early = wait_until(
        "some have left",
        SOON,
        || pool.take_exit_results::<(u32, Option<u32>)>().unwrap(),
        |left| !left.is_empty(),
    );
    let late = results::<(u32, Option<u32>)>(&pool);
    let tasks: Vec<u32> = early.into_iter().chain(late).map(|it| it.into_outcome().unwrap().0).collect();
    assert_eq!(tasks.iter().sum::<u32>(), 100, "{tasks:?}");
    assert!(tasks.len() >= 15 && tasks.iter().all(|tasks| *tasks <= 7), "{tasks:?}");
}

fn large_exit_result_arrives_whole(method: StartMethod) {
    let payload = |size: usize| -> (u32, Vec<u8>) {
        let id = worker_id().unwrap();
        (id, vec![id as u8 + 1; size])
    };
    let pool = builder(method, 2).max_tasks_per_worker(2).on_worker_exit(payload, (10 << 20,)).build().unwrap();
    pool.map(square, 0..4).unwrap();
    let left = results::<(u32, Vec<u8>)>(&pool);
    assert!(left.len() >= 2, "{}", left.len());
    for it in left {
        let place = it.worker();
        let (id, bytes) = it.into_outcome().unwrap();
        assert_eq!(id, place);
        assert!(bytes == vec![id as u8 + 1; 10 << 20], "{} bytes", bytes.len());
    }
}

fn exit_hook_that_fails_is_an_outcome(method: StartMethod) {
    let fail = || -> Result<u32, String> { Err("disk full".to_owned()) };
    let pool = builder(method, 1).try_on_worker_exit(fail, ()).build().unwrap();
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    let left = results::<u32>(&pool);
    let error = left[0].outcome().unwrap_err();
    assert_eq!((left.len(), error.kind(), error.message()), (1, TaskErrorKind::Failed, "disk full"));
    let pool = builder(method, 1).on_worker_exit(|| -> u32 { panic!("no state") }, ()).build().unwrap();
    let left = results::<u32>(&pool);
    let error = left[0].outcome().unwrap_err();
    assert_eq!((left.len(), error.kind(), error.message()), (1, TaskErrorKind::Panicked, "no state"));
    let text = error.to_string();
    assert!(text.starts_with("exit hook ") && text.contains("exits.rs") && text.contains("worker 0, pid"), "{text}");
}

fn exit_hook_that_takes_too_long_is_killed(method: StartMethod) {
    let hang = || -> u32 {
        if worker_id() == Some(0) {
            pass_gate("never".to_owned());
        }
        7
    };
    let limit = Duration::from_secs(2);
    let pool = builder(method, 2).on_worker_exit(hang, ()).exit_timeout(limit).build().unwrap();
    wait_until(
        "all are ready",
        SOON,
        || pool.workers(),
        |workers| workers.iter().filter(|it| it.is_ready()).count() == 2,
    );
    let left = results::<u32>(&pool);
    assert_eq!(left.len(), 2);
    for it in left {
        match it.worker() {
            0 => {
                let error = it.into_outcome().unwrap_err();
                assert_eq!(error.kind(), TaskErrorKind::TimedOut, "{error}");
                assert!(error.message().contains("2s (see exit_timeout)"), "{error}");
            }
            _ => assert_eq!(it.into_outcome(), Ok(7)),
        }
    }
}

fn exit_hook_that_dies_is_an_outcome(method: StartMethod) {
    let pool = builder(method, 1).on_worker_exit(|| -> u32 { die(Signal::SIGSEGV) }, ()).build().unwrap();
    let left = results::<u32>(&pool);
    let kind = left[0].outcome().unwrap_err().kind();
    assert_eq!((left.len(), kind), (1, TaskErrorKind::Killed(Signal::SIGSEGV as i32)));
    let pool = builder(method, 1).on_worker_exit(|| -> u32 { std::process::exit(3) }, ()).build().unwrap();
    let left = results::<u32>(&pool);
    assert_eq!((left.len(), left[0].outcome().unwrap_err().kind()), (1, TaskErrorKind::Exited(3)));
}

fn say(log: String) {
    Log::new(&log).add(std::process::id());
}

fn exit_hooks_do_not_run_when_workers_are_killed(method: StartMethod) {
    let pool = builder(method, 1).on_worker_exit(say, ("left".to_owned(),)).build().unwrap();
    let killed = pool.apply(own_pid, (0,)).unwrap();
    signal(killed, Signal::SIGKILL);
    wait_until("another worker serves", SOON, || pool.worker_pids(), |pids| pids.len() == 1 && pids[0] != killed);
    let crashed = pool.apply(|_: u32| -> u32 { std::process::abort() }, (0,)).unwrap_err();
    let last = pool.apply(own_pid, (0,)).unwrap();
    let left = results::<()>(&pool);
    let pids: Vec<_> = left.iter().map(|it| it.pid().unwrap()).collect();
    assert_eq!(pids, [last]);
    assert_eq!(Log::new("left").lines(), [last.to_string()], "neither {killed} nor {:?}", crashed.pid());
}

fn exit_hooks_do_not_run_on_terminate(method: StartMethod) {
    let pool = builder(method, 2).on_worker_exit(say, ("left".to_owned(),)).build().unwrap();
    pool.map(square, 0..10).unwrap();
    pool.terminate();
    pool.join().unwrap();
    assert_eq!(pool.take_exit_results::<()>().unwrap(), []);
    // The last handle of a pool that runs terminates it.
    drop(builder(method, 2).on_worker_exit(say, ("left".to_owned(),)).build().unwrap());
    assert_eq!(Log::new("left").lines().len(), 0);
}

/// Something that must not be forgotten.
struct Held(String);

impl Drop for Held {
    fn drop(&mut self) {
        say(self.0.clone());
    }
}

fn state_is_dropped_by_workers_that_leave_in_order(method: StartMethod) {
    let pool = builder(method, 1).initializer(Held, ("dropped".to_owned(),)).build().unwrap();
    let pid = pool.apply(own_pid, (0,)).unwrap();
    finish(pool);
    assert_eq!(Log::new("dropped").lines(), [pid.to_string()]);
}

fn wrong_type_or_no_hook_is_refused(method: StartMethod) {
    let pool = builder(method, 1).build().unwrap();
    let error = pool.take_exit_results::<u32>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    assert!(error.to_string().contains("has no exit hook"), "{error}");
    finish(pool);
    let pool = builder(method, 1).on_worker_exit(|| 7_u32, ()).build().unwrap();
    pool.close();
    pool.join().unwrap();
    let error = pool.take_exit_results::<String>().unwrap_err();
    assert!(error.to_string().contains("returns u32, which cannot be taken as alloc::string::String"), "{error}");
    assert_eq!(pool.take_exit_results::<u32>().unwrap().len(), 1, "nothing was taken");
    let error = builder(method, 1).exit_timeout(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
}

fn exit_hook_may_have_descriptors_and_its_result_may_not(method: StartMethod) {
    let write = |text: String, file: Descriptor| -> std::io::Result<u64> {
        let mut file = File::from(file.into_owned()?);
        file.write_all(text.as_bytes())?;
        Ok(file.metadata()?.len())
    };
    let file = || Descriptor::new(File::options().append(true).create(true).open(scratch("report")).unwrap());
    let initializer = |file: Descriptor| file.into_owned().map(File::from);
    let pool = builder(method, 1)
        .try_initializer(initializer, (file(),))
        .try_on_worker_exit(write, ("end".to_owned(), file()));
    let pool = pool.build().unwrap();
    let left = results::<u64>(&pool);
    assert_eq!(left.into_iter().map(ExitResult::into_outcome).collect::<Vec<_>>(), [Ok(3)]);
    let keep = |file: Descriptor| file;
    let pool = builder(method, 1).on_worker_exit(keep, (file(),)).build().unwrap();
    let error = results::<Descriptor>(&pool).remove(0).into_outcome().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotSerializable, "{error}");
}
