//! What tells the start methods apart, what a worker inherits, and when `fork` is refused.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use ganger::{ErrorKind, Pool, StartMethod, TaskErrorKind};
use ganger_tests::{Log, descriptors, within};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::kit::{SOON, finish, helper, pool, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    method_decides_what_workers_share,
    worker_has_the_descriptors_it_should,
    worker_reads_nothing_from_standard_input,
    children_of_the_program_inherit_nothing,
    output_of_workers_is_whole_and_comes_once,
    output_that_cannot_be_written_fails_no_pool,
    preload_that_panics_is_an_error,
    pools_nest_in_tasks,
    pools_of_all_methods_live_beside_each_other,
];

pub(crate) const ONCE: crate::Once = table![
    fork_beside_threads_is_refused,
    two_fork_pools_at_once,
    fork_with_captures_what_cannot_be_serialized,
    forked_copy_of_a_pool_stays_still,
];

static SEEN: AtomicU64 = AtomicU64::new(0);

/// What a worker sees: its process, what was left in `SEEN`, and where that is.
fn look(_: u32) -> (u32, u64, usize) {
    (std::process::id(), SEEN.load(Ordering::SeqCst), std::ptr::from_ref(&SEEN).addr())
}

fn preload() {
    Log::new("preloaded").add(std::process::id());
    SEEN.fetch_add(u64::from(std::process::id()), Ordering::SeqCst);
}

/// How often preload ran and where, whether the caller's data is visible, and whether workers are one image or many.
fn method_decides_what_workers_share(method: StartMethod) {
    const OURS: u64 = 1 << 40;
    SEEN.store(OURS, Ordering::SeqCst);
    let pool = Pool::builder().workers(3).start_method(method).preload(preload).build().unwrap();
    let workers = whole_gang(&pool, 3);
    let mut views = std::collections::BTreeMap::new();
    while views.len() < 3 {
        for (pid, seen, place) in pool.with_chunksize(1).unwrap().map(look, 0..100).unwrap() {
            views.insert(pid, (seen, place));
        }
    }
    let guardian = u64::from(pool.guardian_pid().unwrap());
    let preloaded: BTreeSet<u64> = Log::new("preloaded").lines().iter().map(|line| line.parse().unwrap()).collect();
    let times = Log::new("preloaded").lines().len();
    let seen: Vec<u64> = views.values().map(|(seen, _)| *seen).collect();
    let places: BTreeSet<usize> = views.values().map(|(_, place)| *place).collect();
    let own_place = std::ptr::from_ref(&SEEN).addr();
    let random = std::fs::read_to_string("/proc/sys/kernel/randomize_va_space").is_ok_and(|level| level.trim() == "2");
    match method {
        StartMethod::Forkserver => {
            assert_eq!((times, preloaded), (1, BTreeSet::from([guardian])), "preload ran once, in the guardian");
            assert_eq!(seen, [guardian; 3], "workers share what it left, and nothing of the caller");
            assert!(!random || (places.len() == 1 && !places.contains(&own_place)), "one image, and not the caller's");
        }
        StartMethod::Spawn => {
            assert_eq!(preloaded, workers.iter().map(|pid| u64::from(*pid)).collect(), "preload ran in each worker");
            assert!(views.iter().all(|(pid, (seen, _))| u64::from(*pid) == *seen), "and each has its own: {views:?}");
            assert!(!random || places.len() == 3, "three images: {places:?}");
        }
        _ => {
            assert_eq!((times, preloaded), (1, BTreeSet::from([guardian])), "preload ran once, in the guardian");
            assert_eq!(seen, [OURS + guardian; 3], "workers see the caller's data and what preload made of it");
            assert_eq!(places, BTreeSet::from([own_place]), "one image: the caller's");
        }
    }
    assert_eq!(SEEN.load(Ordering::SeqCst), OURS, "the caller's own data is untouched");
    finish(pool);
}

fn list_descriptors(_: u32) -> Vec<(i32, String)> {
    descriptors().into_iter().collect()
}

fn worker_has_the_descriptors_it_should(method: StartMethod) {
    // What children would inherit, and what they would not.
    let inheritable = File::open("/dev/zero").unwrap();
    fcntl(&inheritable, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let private = File::open("/dev/full").unwrap();
    let before: Vec<_> = descriptors().into_iter().collect();
    // A second pool: its descriptors are not the workers' of the first.
    let (other, pool) = (pool(method, 2), pool(method, 2));
    assert_eq!(other.map(square, 0..10).unwrap().len(), 10);
    let lists = pool.with_chunksize(1).unwrap().map(list_descriptors, 0..20).unwrap();
    for list in lists {
        let (standard, rest): (Vec<_>, Vec<_>) = list.into_iter().partition(|(number, _)| *number < 3);
        assert_eq!(standard.len(), 3);
        let (links, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|entry| !before.contains(entry));
        assert!(
            links.len() == 1 && links[0].1.starts_with("socket:"),
            "one link, and nothing else: {links:?}, {rest:?}"
        );
        if method == StartMethod::Fork {
            let kept: Vec<_> = before.iter().filter(|(number, _)| *number > 2).cloned().collect();
            assert_eq!(rest, kept, "the caller's descriptors stay: captured data may own them");
        } else {
            assert_eq!((rest, links[0].0), (Vec::new(), 3));
        }
    }
    finish(pool);
    finish(other);
    drop((inheritable, private));
}

fn worker_reads_nothing_from_standard_input(method: StartMethod) {
    fn read_standard_input(_: u32) -> (String, usize) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).unwrap();
        (std::fs::read_link("/proc/self/fd/0").unwrap().display().to_string(), text.len())
    }
    let pool = pool(method, 2);
    let answer = within("reading", SOON, || pool.apply(read_standard_input, (0,))).unwrap();
    assert_eq!(answer, ("/dev/null".to_owned(), 0));
    finish(pool);
}

fn children_of_the_program_inherit_nothing(method: StartMethod) {
    let list = || {
        let output = Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let before = list();
    let pool = pool(method, 2);
    assert_eq!(list(), before, "nothing of ours is inherited");
    // A child that outlives the pool holds up nothing; and its exit status is its parent's to read.
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut quick = Command::new("sh").args(["-c", "exit 5"]).spawn().unwrap();
    let error = pool.apply(|x: u8| -> u8 { if x > 0 { std::process::abort() } else { x } }, (1,)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Killed(6));
    assert_eq!(quick.wait().unwrap().code(), Some(5));
    within("the end", SOON, || finish(pool));
    assert!(child.try_wait().unwrap().is_none(), "children of the program are not ours to kill");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn output_of_workers_is_whole_and_comes_once(method: StartMethod) {
    let output = helper("printing").args([method.as_str(), "1000"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("half").count(), 2, "what was buffered when the guardian was forked comes once");
    let mut numbers: Vec<u32> = text.lines().filter_map(|line| line.rsplit_once("task ")?.1.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

fn output_that_cannot_be_written_fails_no_pool(method: StartMethod) {
    // Closed.
    let program = helper("printing").get_program().to_owned();
    let script = "exec \"$0\" \"$1\" 100 >&- <&-";
    let output = Command::new("sh").arg("-c").arg(script).arg(&program).arg(method.as_str()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("100 ok, 0 failed"), "{output:?}");
    // A pipe whose reader has gone: each task that prints panics, and the pool answers.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output =
        helper("printing").args([method.as_str(), "100"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || errors.contains("failed printing to stdout"), "{output:?}");
}

fn preload_that_panics_is_an_error(method: StartMethod) {
    fn refuse() {
        panic!("no model");
    }
    let error = Pool::builder().workers(2).start_method(method).preload(refuse).build().unwrap_err();
    let expected = if method == StartMethod::Spawn { ErrorKind::Broken } else { ErrorKind::Preload };
    assert_eq!(error.kind(), expected, "{error}");
    assert!(error.to_string().contains("no model"), "{error}");
}

/// A pool of the same method in a worker of a pool in a worker.
fn nest(method: String, depth: u32, x: i64) -> Result<i64, String> {
    if depth == 0 {
        return Ok(square(x));
    }
    let start: StartMethod = method.parse().map_err(|error: ganger::Error| error.to_string())?;
    let pool = Pool::builder().workers(2).start_method(start).build().map_err(|error| error.to_string())?;
    let values: Vec<i64> =
        pool.map(ganger::partial(nest, (method, depth - 1)), [x, x + 1]).map_err(|error| error.to_string())?;
    finish(pool);
    Ok(values.iter().sum())
}

fn pools_nest_in_tasks(method: StartMethod) {
    let pool = pool(method, 2);
    let sums: Vec<i64> = pool.map(ganger::partial(nest, (method.as_str().to_owned(), 2)), 0..4).unwrap();
    assert_eq!(sums, [0_i64, 1, 2, 3].map(|x| square(x) + 2 * square(x + 1) + square(x + 2)));
    // A nested pool that is alive when its worker is killed goes with it: the runner looks for what is left.
    let error = pool.apply(nest_and_die, (method.as_str().to_owned(),)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Killed(9));
    finish(pool);
}

fn nest_and_die(method: String) -> u32 {
    let pool = self::pool(method.parse().unwrap(), 2);
    let _handle = pool.map_async(crate::kit::pass_gate, (0..2).map(|_| "never".to_owned()));
    crate::kit::die(nix::sys::signal::Signal::SIGKILL)
}

fn pools_of_all_methods_live_beside_each_other(method: StartMethod) {
    let first = pool(method, 1);
    let others: Vec<Pool> = StartMethod::ALL.into_iter().map(|method| pool(method, 1)).collect();
    let handles: Vec<_> = others.iter().map(|pool| pool.map_async(square, 0..300)).collect();
    assert_eq!(first.map(square, 0..300).unwrap().len(), 300);
    assert!(handles.iter().all(|handle| handle.get().unwrap().len() == 300));
    others.into_iter().for_each(finish);
    finish(first);
}

fn fork_beside_threads_is_refused() {
    let (stay, gone) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || gone.recv());
    for _ in 0..3 {
        let error = Pool::builder().workers(1).start_method(StartMethod::Fork).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Threads);
        let text = error.to_string();
        for part in ["1 other thread", "before starting threads", "forkserver"] {
            assert!(text.contains(part), "{text:?} does not say {part:?}");
        }
        let error = Pool::builder().workers(1).fork_with(|x: i64| x).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Threads);
    }
    finish(pool(StartMethod::Forkserver, 1));
    finish(pool(StartMethod::Spawn, 1));
    drop(stay);
    thread.join().unwrap().unwrap_err();
    finish(pool(StartMethod::Fork, 1));
}

fn two_fork_pools_at_once() {
    let first = pool(StartMethod::Fork, 2);
    let handle = first.map_async(square, 0..1000);
    let (sender, receiver) = std::sync::mpsc::channel();
    first.apply_async_with(square, (1,), ganger::Callbacks::new(move |value: i64| sender.send(value).unwrap()));
    let mut lazy = first.imap(square, 0..);
    assert_eq!(lazy.next(), Some(Ok(0)));
    // Its driver, its callback thread and its feeder do not count.
    let second = pool(StartMethod::Fork, 2);
    assert_eq!(second.map(square, 0..1000).unwrap().len(), 1000);
    assert_eq!((handle.get().unwrap().len(), receiver.recv().unwrap()), (1000, 1));
    assert_eq!(lazy.next(), Some(Ok(1)));
    drop(lazy);
    finish(first);
    assert_eq!(second.apply(square, (3,)), Ok(9), "the second lives on");
    finish(second);
}

fn fork_with_captures_what_cannot_be_serialized() {
    let table = std::rc::Rc::new(std::cell::RefCell::new(vec![1_i64, 2, 3]));
    let file = File::open("/proc/self/exe").unwrap();
    let copy = table.clone();
    let (pool, task) = Pool::builder()
        .workers(2)
        .fork_with(move |place: usize| {
            copy.borrow_mut()[0] += 1;
            (copy.borrow()[place], file.metadata().is_ok_and(|metadata| metadata.len() > 0))
        })
        .unwrap();
    assert_eq!(pool.map(task, [1, 2, 1]).unwrap(), [(2, true), (3, true), (2, true)]);
    assert_eq!(table.borrow()[0], 1, "workers change their own copies");
    assert_eq!(pool.map(square, [4]).unwrap(), [16], "plain functions run there too");
    let (other, _) = Pool::builder().workers(1).fork_with(|x: i64| x).unwrap();
    let error = other.map(task, [1]).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotSerializable, "{error}");
    finish(other);
    finish(pool);
}

/// A forked child of this process has copies of its pools: they do nothing there, and harm nothing here.
fn forked_copy_of_a_pool_stays_still() {
    let original = pool(StartMethod::Forkserver, 2);
    let pending = original.apply_async(crate::kit::pass_gate, ("fork".to_owned(),));
    let copy = std::cell::RefCell::new(Some(original.clone()));
    let (forked, task) = Pool::builder()
        .workers(1)
        .fork_with(move |step: u32| {
            let mut slot = copy.borrow_mut();
            let Some(pool) = slot.as_ref() else { return "gone".to_owned() };
            match step {
                0 => format!("{:?}", pool.apply(square, (2,)).unwrap_err().kind()),
                1 => format!("{:?}", pool.join().unwrap_err().kind()),
                2 => format!("{:?}", (pool.worker_pids(), pool.guardian_pid())),
                _ => {
                    pool.terminate();
                    pool.close();
                    *slot = None;
                    "dropped".to_owned()
                }
            }
        })
        .unwrap();
    let answers = within("the copy", SOON, || forked.map(task, 0..5)).unwrap();
    assert_eq!(answers, ["NotRunning", "ForeignProcess", "([], None)", "dropped", "gone"]);
    finish(forked);
    assert_eq!(original.map(square, 0..100).unwrap().len(), 100);
    ganger_tests::Gate::new("fork").open();
    assert_eq!(pending.get(), Ok(()));
    finish(original);
}
