//! Locks and their kin in several processes: who holds them, who may give them back, and what becomes of them when a holder
//! or a waiter dies at any instruction.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ganger::{
    AsyncResult, Barrier, BoundedSemaphore, Condition, Descriptor, ErrorKind, Event, Lock, Pool, RLock, RwLock,
    Semaphore, StartMethod, TaskErrorKind,
};
use ganger_tests::{Case, Log, process_state, scratch, wait_until, within};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

use crate::kit::{SOON, die, finish, pool, signal, whole_gang};
use crate::syscalls::{missing, trace};

pub(crate) const CONTRACT: crate::Contract = table![
    lock_of_a_dead_worker_is_abandoned,
    stopped_holder_is_not_dead,
    what_others_hold_is_not_ours_to_release,
    permits_of_the_dead_come_back,
    readers_and_writers_that_die_are_no_more_in_the_way,
    notifications_reach_as_many_as_were_meant,
    notification_of_a_dead_waiter_goes_to_another,
    event_is_seen_by_all,
    barrier_passes_a_thousand_rounds,
    barrier_breaks_when_a_waiter_dies,
    nothing_is_lost_when_holders_are_killed,
];

pub(crate) const ONCE: crate::Once = table![a_forked_child_holds_nothing];

/// What needs strace.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let name = "sync::lock_that_nobody_else_wants_makes_no_system_call".to_owned();
    [Case { skip: missing(), ..Case::new(name, Box::new(no_system_call)) }].into_iter()
}

fn lock_and_die(lock: Lock) -> u32 {
    let _guard = lock.lock().unwrap();
    Log::new("held").add(std::process::id());
    die(Signal::SIGKILL)
}

fn lock_of_a_dead_worker_is_abandoned(method: StartMethod) {
    let (pool, lock) = (pool(method, 2), Lock::new().unwrap());
    let error = pool.apply(lock_and_die, (lock.clone(),)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Killed(9));
    let dead: u32 = Log::new("held").lines()[0].parse().unwrap();
    let abandoned = lock.lock_timeout(SOON).unwrap_err();
    assert_eq!((abandoned.pid(), lock.is_locked()), (Some(dead), true));
    // Not marked: whoever comes next is told as well, and a bare acquire does not hold it.
    drop(abandoned);
    assert_eq!(lock.acquire().unwrap_err().kind(), ErrorKind::Abandoned);
    assert!(!lock.is_locked());
    let told: bool = pool.apply(|lock: Lock| lock.lock().is_err(), (lock.clone(),)).unwrap();
    assert!(told, "in another process");
    lock.lock().unwrap_err().guard().mark_consistent();
    assert!(lock.lock().is_ok() && lock.acquire().is_ok() && lock.release().is_ok());
    // One who waits while the holder dies, of a lock that it may take again.
    let recursive = RLock::new().unwrap();
    let twice = |lock: RLock| -> u32 {
        let _guards = (lock.lock().unwrap(), lock.lock().unwrap());
        Log::new("twice").add(1);
        wait_until("somebody waits", SOON, || Log::new("waits").lines(), |lines| !lines.is_empty());
        die(Signal::SIGKILL)
    };
    let handle = pool.apply_async(twice, (recursive.clone(),));
    wait_until("it is held", SOON, || Log::new("twice").lines(), |lines| !lines.is_empty());
    Log::new("waits").add(1);
    recursive.lock_timeout(SOON).unwrap_err().into_guard().mark_consistent();
    assert!(recursive.try_lock().unwrap().is_some());
    assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::Killed(9));
    finish(pool);
}

fn stopped_holder_is_not_dead(method: StartMethod) {
    let (pool, lock, go_on) = (pool(method, 1), Lock::new().unwrap(), Event::new().unwrap());
    let hold = |lock: Lock, go_on: Event| {
        let _guard = lock.lock().unwrap();
        Log::new("held").add(1);
        go_on.wait();
    };
    let handle = pool.apply_async(hold, (lock.clone(), go_on.clone()));
    wait_until("it is held", SOON, || Log::new("held").lines(), |lines| !lines.is_empty());
    let worker = pool.worker_pids()[0];
    signal(worker, Signal::SIGSTOP);
    wait_until("it is stopped", SOON, || process_state(worker), |state| *state == Some('T'));
    assert!(lock.lock_timeout(Duration::from_millis(200)).unwrap().is_none(), "its holder lives");
    signal(worker, Signal::SIGCONT);
    go_on.set();
    assert!(lock.lock_timeout(SOON).unwrap().is_some());
    handle.get().unwrap();
    finish(pool);
}

fn kind(result: Result<(), ganger::Error>) -> String {
    result.map_or_else(|error| format!("{:?}", error.kind()), |()| "done".to_owned())
}

fn what_others_hold_is_not_ours_to_release(method: StartMethod) {
    let pool = pool(method, 1);
    let (lock, recursive, bounded) = (Lock::new().unwrap(), RLock::new().unwrap(), BoundedSemaphore::new(1).unwrap());
    let condition = Condition::with_lock(&lock).unwrap();
    lock.acquire().unwrap();
    recursive.acquire().unwrap();
    let misuse = |lock: Lock, recursive: RLock, bounded: BoundedSemaphore, condition: Condition| {
        let results = [lock.release(), recursive.release(), bounded.release(), condition.notify_one()];
        (results.map(kind).to_vec(), lock.try_acquire().unwrap(), recursive.try_lock().unwrap().is_none())
    };
    let theirs = pool.apply(misuse, (lock.clone(), recursive.clone(), bounded.clone(), condition.clone())).unwrap();
    assert_eq!(theirs, (vec!["NotOwner".to_owned(); 4], false, true));
    // All of it is as it was.
    assert_eq!(condition.notify(1).unwrap(), 0);
    lock.release().unwrap();
    recursive.release().unwrap();
    let use_it = |lock: Lock, recursive: RLock, bounded: BoundedSemaphore| {
        let _guards = (lock.lock().unwrap(), recursive.lock().unwrap());
        bounded.acquire();
    };
    pool.apply(use_it, (lock.clone(), recursive.clone(), bounded.clone())).unwrap();
    assert_eq!([lock.release(), recursive.release()].map(kind), ["NotOwner", "NotOwner"]);
    assert_eq!(
        (bounded.value(), kind(bounded.release()), kind(bounded.release())),
        (0, "done".into(), "NotOwner".into())
    );
    finish(pool);
}

fn permits_of_the_dead_come_back(method: StartMethod) {
    let (pool, places) = (pool(method, 2), Semaphore::new(3).unwrap());
    let take = |places: Semaphore| -> u32 {
        let _permits = (places.permit(), places.permit());
        places.acquire();
        assert!(places.try_permit().is_none());
        die(Signal::SIGKILL)
    };
    assert_eq!(pool.apply(take, (places.clone(),)).unwrap_err().kind(), TaskErrorKind::Killed(9));
    let permits = (places.permit_timeout(SOON).unwrap(), places.permit_timeout(SOON).unwrap());
    // What was acquired belonged to nobody.
    assert!(!places.acquire_timeout(Duration::from_millis(100)));
    pool.apply(|places: Semaphore| places.release().unwrap(), (places.clone(),)).unwrap();
    assert!(places.try_acquire());
    drop(permits);
    assert_eq!(places.value(), 2);
    finish(pool);
}

fn readers_and_writers_that_die_are_no_more_in_the_way(method: StartMethod) {
    let (pool, lock) = (pool(method, 2), RwLock::new().unwrap());
    let reader = lock.read().unwrap();
    let read = |lock: RwLock| -> u32 {
        let _guards = (lock.read().unwrap(), lock.read().unwrap());
        die(Signal::SIGKILL)
    };
    assert_eq!(pool.apply(read, (lock.clone(),)).unwrap_err().kind(), TaskErrorKind::Killed(9));
    // A writer that dies while it waits keeps nobody out.
    let writer = pool.apply_async(|lock: RwLock| lock.write().is_ok(), (lock.clone(),));
    wait_until("a writer waits", SOON, || lock.try_read().unwrap().is_some(), |got| !got);
    let workers = pool.workers();
    let waiting = workers.iter().find(|worker| worker.running().is_some()).unwrap().pid();
    signal(waiting, Signal::SIGKILL);
    assert_eq!(writer.get().unwrap_err().kind(), TaskErrorKind::Killed(9));
    assert!(lock.read_timeout(SOON).unwrap().is_some());
    drop(reader);
    assert!(lock.write_timeout(SOON).unwrap().is_some(), "the dead reader is gone");
    let write = |lock: RwLock| -> u32 {
        let _guard = lock.write().unwrap();
        die(Signal::SIGKILL)
    };
    assert_eq!(pool.apply(write, (lock.clone(),)).unwrap_err().kind(), TaskErrorKind::Killed(9));
    assert!(lock.read_timeout(SOON).unwrap_err().pid().is_some(), "readers are told");
    lock.write_timeout(SOON).unwrap_err().into_guard().mark_consistent();
    assert!(lock.read().is_ok());
    finish(pool);
}

/// Waits to be notified, and logs it.
fn wait_for_notice(condition: Condition, number: u32) {
    let mut held = condition.lock().unwrap();
    Log::new("waiting").add(number);
    condition.wait(&mut held).unwrap();
    Log::new("notified").add(number);
}

fn lines(log: &str, count: usize) -> Vec<String> {
    wait_until(&format!("{count} lines in {log}"), SOON, || Log::new(log).lines(), |lines| lines.len() >= count)
}

fn notifications_reach_as_many_as_were_meant(method: StartMethod) {
    let (pool, condition) = (pool(method, 4), Condition::new().unwrap());
    let mut handles = Vec::new();
    for number in 0..4 {
        handles.push(pool.apply_async(wait_for_notice, (condition.clone(), number)));
        // It has the lock when it logs, and gives it up when it waits: one after the other.
        lines("waiting", number as usize + 1);
        drop(condition.lock().unwrap());
    }
    let notify = |count| {
        let _held = condition.lock().unwrap();
        condition.notify(count).unwrap()
    };
    assert_eq!((notify(0), notify(2)), (0, 2));
    let mut first = lines("notified", 2);
    first.sort();
    assert_eq!(first, ["0", "1"], "those who have waited longest");
    assert_eq!((notify(usize::MAX), notify(1)), (2, 0));
    lines("notified", 4);
    handles.iter().for_each(|handle| handle.get().unwrap());
    let mut held = condition.lock().unwrap();
    assert!(!condition.wait_for(&mut held, Duration::from_millis(50), || false).unwrap());
    drop(held);
    let later = |condition: Condition| {
        let _held = condition.lock().unwrap();
        Log::new("later").add(1);
        condition.notify_all().unwrap();
    };
    let handle = pool.apply_async(later, (condition.clone(),));
    let mut held = condition.lock().unwrap();
    let done = || !Log::new("later").lines().is_empty();
    assert!(condition.wait_for(&mut held, SOON, done).unwrap());
    drop(held);
    handle.get().unwrap();
    finish(pool);
}

fn notification_of_a_dead_waiter_goes_to_another(method: StartMethod) {
    let (pool, condition) = (pool(method, 2), Condition::new().unwrap());
    let oldest = pool.apply_async(wait_for_notice, (condition.clone(), 0));
    lines("waiting", 1);
    drop(condition.lock().unwrap());
    let worker = pool.workers().iter().find(|worker| worker.running().is_some()).unwrap().pid();
    let next = pool.apply_async(wait_for_notice, (condition.clone(), 1));
    lines("waiting", 2);
    let held = condition.lock().unwrap();
    // The oldest is told, and cannot do anything about it any more.
    signal(worker, Signal::SIGSTOP);
    wait_until("it is stopped", SOON, || process_state(worker), |state| *state == Some('T'));
    assert_eq!(condition.notify(1).unwrap(), 1);
    drop(held);
    assert!(!ganger_tests::holds_within(Duration::from_millis(150), || next.ready()), "it lives");
    signal(worker, Signal::SIGKILL);
    assert_eq!(oldest.get().unwrap_err().kind(), TaskErrorKind::Killed(9));
    assert_eq!(next.get_timeout(SOON).unwrap(), Ok(()));
    assert_eq!(Log::new("notified").lines(), ["1"]);
    finish(pool);
}

fn event_is_seen_by_all(method: StartMethod) {
    let (pool, event, answers) = (pool(method, 3), Event::new().unwrap(), Semaphore::new(0).unwrap());
    let see = |event: Event, answers: Semaphore| {
        assert!(!event.is_set() && !event.wait_timeout(Duration::from_millis(10)));
        answers.release().unwrap();
        event.wait();
        answers.release().unwrap();
    };
    let handles: Vec<_> = (0..3).map(|_| pool.apply_async(see, (event.clone(), answers.clone()))).collect();
    (0..3).for_each(|_| assert!(answers.acquire_timeout(SOON)));
    event.set();
    (0..3).for_each(|_| assert!(answers.acquire_timeout(SOON)));
    event.clear();
    assert!(!event.is_set());
    handles.iter().for_each(|handle| handle.get().unwrap());
    finish(pool);
}

fn barrier_passes_a_thousand_rounds(method: StartMethod) {
    const ROUNDS: usize = 1000;
    let (pool, barrier) = (pool(method, 3), Barrier::new(4).unwrap());
    let actions = Semaphore::new(0).unwrap();
    let pass = |barrier: Barrier, actions: Semaphore| -> Vec<usize> {
        let action = || actions.release().unwrap();
        (0..ROUNDS).map(|_| barrier.wait_timeout_with(SOON, action).unwrap()).collect()
    };
    let handles: Vec<_> = (0..3).map(|_| pool.apply_async(pass, (barrier.clone(), actions.clone()))).collect();
    let mut all = vec![pass(barrier.clone(), actions.clone())];
    all.extend(handles.iter().map(|handle| handle.get().unwrap()));
    for round in 0..ROUNDS {
        let mut indices: Vec<usize> = all.iter().map(|indices| indices[round]).collect();
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2, 3], "round {round}");
    }
    assert_eq!((actions.value() as usize, barrier.n_waiting(), barrier.is_broken()), (ROUNDS, 0, false));
    finish(pool);
}

fn barrier_breaks_when_a_waiter_dies(method: StartMethod) {
    let (pool, barrier) = (pool(method, 2), Barrier::new(4).unwrap());
    let workers = whole_gang(&pool, 2);
    let wait = |barrier: Barrier| barrier.wait().map_err(|error| format!("{:?}: {error}", error.kind()));
    let arrive = || -> Vec<AsyncResult<usize>> {
        let handles = (0..2).map(|_| pool.apply_async(wait, (barrier.clone(),))).collect();
        wait_until("both wait", SOON, || barrier.n_waiting(), |count| *count == 2);
        handles
    };
    let handles = arrive();
    signal(workers[0], Signal::SIGKILL);
    let ends: Vec<TaskErrorKind> = handles.iter().map(|handle| handle.get().unwrap_err().kind()).collect();
    assert!(ends.contains(&TaskErrorKind::Killed(9)) && ends.contains(&TaskErrorKind::Failed), "{ends:?}");
    assert_eq!(barrier.wait().unwrap_err().kind(), ErrorKind::BrokenBarrier);
    // Abort, reset and time tell all who wait, in whatever process.
    for way in ["abort", "reset", "time"] {
        barrier.reset().unwrap();
        let handles = arrive();
        match way {
            "abort" => barrier.abort().unwrap(),
            "reset" => barrier.reset().unwrap(),
            _ => {
                let late = barrier.wait_timeout(Duration::from_millis(50)).unwrap_err();
                assert_eq!(late.kind(), ErrorKind::BrokenBarrier, "{late}");
            }
        }
        for handle in handles {
            let error = handle.get().unwrap_err().to_string();
            assert!(error.contains("BrokenBarrier"), "{way}: {error}");
        }
    }
    assert!(barrier.is_broken());
    barrier.reset().unwrap();
    let handles = arrive();
    let others = std::thread::scope(|scope| {
        let one = scope.spawn(|| barrier.wait_timeout(SOON).unwrap());
        barrier.wait_timeout(SOON).unwrap() + one.join().unwrap()
    });
    assert_eq!(others + handles.iter().map(|handle| handle.get().unwrap()).sum::<usize>(), 6);
    finish(pool);
}

/// How many tasks have ever been started to count, at most.
const COUNTERS: u64 = 100;

/// Numbers in a file that all have open: the sum twice, before and after, and what each counter has added.
struct Tally(File);

impl Tally {
    fn get(&self, place: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, place * 8).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, place: u64, value: u64) {
        self.0.write_all_at(&value.to_ne_bytes(), place * 8).unwrap();
    }

    fn counted(&self) -> u64 {
        (2..2 + COUNTERS).map(|place| self.get(place)).sum()
    }

    /// Adds one, in three steps that a death may come between.
    fn add(&self, counter: u64) {
        let sum = self.get(0);
        assert_eq!(sum, self.get(1), "nobody has left it half done");
        self.set(0, sum + 1);
        self.set(2 + counter, self.get(2 + counter) + 1);
        self.set(1, sum + 1);
    }

    fn repair(&self) {
        let counted = self.counted();
        self.set(0, counted);
        self.set(1, counted);
    }
}

fn count(lock: Lock, places: Semaphore, stop: Event, file: Descriptor, counter: u64) {
    let tally = Tally(File::from(file.into_owned().unwrap()));
    while !stop.is_set() {
        let _permit = places.permit();
        let guard = lock.lock().unwrap_or_else(|abandoned| {
            tally.repair();
            let guard = abandoned.into_guard();
            guard.mark_consistent();
            guard
        });
        tally.add(counter);
        drop(guard);
    }
}

fn nothing_is_lost_when_holders_are_killed(method: StartMethod) {
    const KILLS: u64 = 24;
    let pool = pool(method, 8);
    let (lock, places, stop) = (Lock::new().unwrap(), Semaphore::new(6).unwrap(), Event::new().unwrap());
    let file = File::from(memfd_create("tally", MFdFlags::MFD_CLOEXEC).unwrap());
    file.set_len((2 + COUNTERS) * 8).unwrap();
    let (tally, file) = (Tally(file.try_clone().unwrap()), Descriptor::new(file));
    let mut next = 0;
    let mut start = || {
        next += 1;
        pool.apply_async(count, (lock.clone(), places.clone(), stop.clone(), file.clone(), next - 1))
    };
    let mut running: Vec<AsyncResult<()>> = (0..8).map(|_| start()).collect();
    for kill in 0..KILLS {
        // So that deaths come at all places of the way.
        let before = tally.counted();
        let more = 20 + kill * 7 % 50;
        wait_until("they count", SOON, || tally.counted(), |counted| *counted > before + more);
        let workers = wait_until("there are workers", SOON, || pool.worker_pids(), |pids| pids.len() > 4);
        // It may be gone already; then another one is killed next time.
        let victim = nix::unistd::Pid::from_raw(workers[(kill * 5) as usize % workers.len()].cast_signed());
        let _ = nix::sys::signal::kill(victim, Signal::SIGKILL);
        for handle in running.extract_if(.., |handle| handle.ready()).collect::<Vec<_>>() {
            assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::Killed(9));
            running.push(start());
        }
    }
    stop.set();
    for handle in running {
        let ended = within("the end", SOON, || handle.get());
        assert!(ended.is_ok() || ended.unwrap_err().kind() == TaskErrorKind::Killed(9));
    }
    if let Err(abandoned) = lock.lock() {
        tally.repair();
        abandoned.guard().mark_consistent();
    }
    assert_eq!((tally.get(0), tally.get(1)), (tally.counted(), tally.counted()));
    let permits: Vec<_> = (0..6).map(|_| places.permit_timeout(SOON).unwrap()).collect();
    assert_eq!((permits.len(), places.value()), (6, 0));
    finish(pool);
}

fn a_forked_child_holds_nothing() {
    let (lock, recursive, places) = (Lock::new().unwrap(), RLock::new().unwrap(), Semaphore::new(1).unwrap());
    recursive.acquire().unwrap();
    let (guard, permit) = (lock.lock().unwrap(), places.permit());
    let theirs = RefCell::new(Some((guard, permit)));
    let (copy, again, same) = (lock.clone(), recursive.clone(), places.clone());
    let builder = Pool::builder().workers(1);
    let (pool, task) = builder
        .fork_with(move |_: u32| {
            // The child's copy of a guard that its parent holds.
            drop(theirs.take());
            let held = [copy.is_locked(), again.try_lock().unwrap().is_none(), same.try_permit().is_none()];
            (held, again.release().is_err())
        })
        .unwrap();
    // Here, the guard went into the closure, which the parent has dropped: so it is the parent who releases.
    assert!(!lock.is_locked());
    lock.acquire().unwrap();
    let permit = places.permit();
    assert_eq!(pool.apply(task, (0,)).unwrap(), ([true; 3], true));
    lock.release().unwrap();
    recursive.release().unwrap();
    drop(permit);
    assert_eq!((lock.is_locked(), places.value()), (false, 1));
    finish(pool);
}

fn no_system_call() {
    let (lock, recursive) = (Lock::new().unwrap(), RLock::new().unwrap());
    drop((lock.lock().unwrap(), recursive.lock().unwrap()));
    let mut strace = trace(std::process::id(), "all", &[]);
    let mark = |name: &str| drop(fs::metadata(format!("/there-is-no/{name}")));
    mark("begin");
    for _ in 0..1000 {
        drop((lock.lock().unwrap(), recursive.lock().unwrap()));
        lock.acquire().unwrap();
        lock.release().unwrap();
    }
    mark("end");
    signal(strace.id(), Signal::SIGTERM);
    strace.wait().unwrap();
    let text = fs::read_to_string(scratch("trace")).unwrap();
    let calls: Vec<&str> = text.lines().skip_while(|line| !line.contains("begin")).collect();
    assert!(calls.len() > 1 && calls[0].contains("begin") && calls[1].contains("end"), "{calls:?}");
}
