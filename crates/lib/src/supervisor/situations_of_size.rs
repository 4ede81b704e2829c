//! Single situations in which the number of workers changes, step by step; see [`situations`](super::situations).

use std::time::Duration;

use super::allowance::Allowance;
use super::event::{Event, JobTerms};
use super::situations::{Pool, worker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A pool of ready workers that leave when they are idle, but for so many.
fn idling(workers: u32, least: u32) -> Pool {
    let mut pool = Pool::ready(workers, None);
    pool.state.settings.idle_timeout = Some(TIMEOUT);
    pool.state.settings.min_workers = least;
    pool
}

fn submit(pool: &mut Pool, count: u32, chunksize: u32) -> Vec<String> {
    pool.submit_with(count, JobTerms { function: 1, chunksize: Some(chunksize), ..JobTerms::default() })
}

fn exit(pool: &mut Pool, slot: u32, generation: u32, claimed: u32) -> Vec<String> {
    pool.tell(Event::WorkerExited { worker: worker(slot, generation), claimed, taking: true })
}

#[test]
fn a_smaller_gang_takes_back_what_was_not_begun_and_waits_for_what_was() {
    let mut pool = Pool::ready(2, None);
    assert_eq!(submit(&mut pool, 6, 3), ["send 0.1 0..3 at 0:0", "send 1.1 3..6 at 0:0"]);
    assert_eq!(pool.tell(Event::Resized(1)), ["take back 1.1"]);
    assert!(pool.tell(Event::TakenBack { worker: worker(1, 1), limit: 1 }).is_empty(), "the first one has enough");
    let done = Event::Finished { worker: worker(1, 1), count: 1, nanos: 1000 };
    assert_eq!(pool.tell(done), ["Delivered 3..4", "retire 1.1", "send 0.1 4..6 at 0:3"]);
    assert!(exit(&mut pool, 1, 1, 1).is_empty(), "nobody follows");
    assert_eq!(pool.tell(Event::Resized(2)), ["start 1.2"], "and no name is used twice");
}

#[test]
fn the_size_that_was_asked_for_last_holds() {
    let mut pool = Pool::ready(3, None);
    submit(&mut pool, 3, 1);
    assert_eq!(pool.tell(Event::Resized(1)), ["take back 1.1", "take back 2.1"]);
    for slot in [1, 2] {
        assert!(pool.tell(Event::TakenBack { worker: worker(slot, 1), limit: 1 }).is_empty());
    }
    let done = Event::Finished { worker: worker(2, 1), count: 1, nanos: 1000 };
    assert_eq!(pool.tell(done), ["Delivered 2..3", "retire 2.1"]);
    // One still works, and stays; the other is on its way out, and has a successor at once.
    assert_eq!(pool.tell(Event::Resized(4)), ["start 2.2", "start 3.1"]);
    assert!(exit(&mut pool, 2, 1, 1).is_empty());
    assert!(pool.tell(Event::Resized(4)).is_empty());
}

#[test]
fn a_worker_that_starts_gets_ready_before_it_leaves() {
    let mut pool = Pool::ready(1, None);
    assert_eq!(pool.tell(Event::Resized(2)), ["start 1.1"]);
    assert!(pool.tell(Event::Resized(1)).is_empty());
    assert_eq!(pool.tell(Event::WorkerReady(worker(1, 1))), ["retire 1.1"]);
}

#[test]
fn idle_workers_leave_down_to_the_least_and_come_back_for_tasks() {
    let mut pool = idling(3, 1);
    assert_eq!(pool.patience(), Some(TIMEOUT));
    assert_eq!(pool.wait(), ["retire 2.1", "retire 1.1"]);
    assert_eq!(pool.patience(), Some(Duration::from_secs(1)), "only that they go is awaited");
    // Before they have gone: whoever is needed starts beside them.
    assert_eq!(submit(&mut pool, 2, 1), ["send 0.1 0..1 at 0:0", "start 1.2"]);
    assert_eq!(pool.tell(Event::WorkerReady(worker(1, 2))), ["send 1.2 1..2 at 0:0"]);
    assert!(exit(&mut pool, 1, 1, 0).is_empty() && exit(&mut pool, 2, 1, 0).is_empty());
}

#[test]
fn a_task_without_result_is_no_idleness() {
    let mut pool = idling(1, 0);
    submit(&mut pool, 1, 1);
    pool.now += 100 * TIMEOUT;
    assert!(pool.tell(Event::DeadlinePassed).is_empty());
    pool.tell(Event::Finished { worker: worker(0, 1), count: 1, nanos: 1000 });
    assert_eq!(pool.patience(), Some(TIMEOUT), "from the result on");
}

#[test]
fn what_waits_behind_a_long_task_is_not_left_there_beside_an_empty_place() {
    let mut pool = idling(2, 1);
    assert_eq!(pool.wait(), ["retire 1.1"]);
    exit(&mut pool, 1, 1, 0);
    assert_eq!(submit(&mut pool, 2, 2), ["send 0.1 0..2 at 0:0"]);
    assert_eq!(pool.wait(), ["take back gently 0.1"]);
    assert_eq!(pool.tell(Event::TakenBack { worker: worker(0, 1), limit: 1 }), ["start 1.2"]);
    assert_eq!(pool.tell(Event::WorkerReady(worker(1, 2))), ["send 1.2 1..2 at 0:0"]);
}

#[test]
fn nobody_is_started_who_may_not_have_tasks() {
    let mut pool = idling(3, 1);
    assert_eq!(pool.wait(), ["retire 2.1", "retire 1.1"]);
    for slot in [1, 2] {
        exit(&mut pool, slot, 1, 0);
    }
    pool.tell(Event::Allowed(Allowance { busy: 1, ..Allowance::ALL }));
    assert_eq!(submit(&mut pool, 9, 1), ["send 0.1 0..1 at 0:0"]);
    assert_eq!(pool.tell(Event::Allowed(Allowance { busy: 2, ..Allowance::ALL })), ["start 1.2"]);
    assert_eq!(pool.tell(Event::WorkerReady(worker(1, 2))), ["send 1.2 1..2 at 0:0"]);
}
