//! Situations of limits, stops and retries, step by step, as in [`situations`](super::situations).

use std::time::Duration;

use super::event::{Event, Failure, Failures, JobTerms, RetryTerms};
use super::retries::SLOW_TO_LEAVE;
use super::situations::{JOB, Pool, worker};

const LIMIT: Duration = Duration::from_millis(100);

fn limited() -> JobTerms {
    JobTerms { function: 1, chunksize: Some(4), timeout: Some(LIMIT), ..JobTerms::default() }
}

fn retried(attempts: u32) -> JobTerms {
    let backoff = [Duration::from_millis(10), Duration::from_millis(20)];
    let on = Failures { error: true, crash: true, ..Failures::default() };
    JobTerms { timeout: None, retry: Some(RetryTerms { attempts, backoff, jitter: 0, on }), ..limited() }
}

impl Pool {
    fn takes_back(&mut self, limit: u32) -> Vec<String> {
        self.tell(Event::TakenBack { worker: worker(0, 1), limit })
    }

    fn answers(&mut self, listens: bool) -> Vec<String> {
        self.tell(Event::Asked { worker: worker(0, 1), listens })
    }

    fn ends(&mut self, count: u32) -> Vec<String> {
        self.tell(Event::Finished { worker: worker(0, 1), count, nanos: 1000 })
    }

    fn fails(&mut self, failure: Failure) -> Vec<String> {
        self.tell(Event::Failed { worker: worker(0, 1), nanos: 1000, failure })
    }

    fn dies(&mut self, generation: u32, claimed: u32) -> Vec<String> {
        self.tell(Event::WorkerExited { worker: worker(0, generation), claimed, taking: true })
    }

    /// Its only task has run out of time, and is asked to end.
    fn overdue(grace: Duration) -> Self {
        let mut pool = Self::ready(1, None);
        pool.state.settings.grace = grace;
        pool.submit_with(1, limited());
        assert_eq!(pool.patience(), Some(LIMIT));
        assert_eq!(pool.wait(), ["take back 0.1"]);
        assert_eq!(pool.takes_back(1), ["ask 0.1"]);
        pool
    }
}

#[test]
fn a_task_that_listens_has_half_the_grace_before_sigterm_and_all_of_it_before_sigkill() {
    let mut pool = Pool::overdue(Duration::from_secs(1));
    assert!(pool.answers(true).is_empty());
    assert_eq!(pool.patience(), Some(Duration::from_millis(500)));
    assert_eq!(pool.wait(), ["terminate 0.1"]);
    assert_eq!(pool.patience(), Some(Duration::from_millis(500)));
    assert_eq!(pool.wait(), ["kill 0.1"]);
    assert_eq!(pool.patience(), None, "only its death is awaited");
    assert_eq!(pool.dies(1, 1), ["Stopped(Timeout) 0..1", "start 0.2"]);
}

#[test]
fn a_task_that_does_not_listen_gets_its_signal_at_once() {
    let mut pool = Pool::overdue(Duration::from_secs(1));
    assert_eq!(pool.answers(false), ["terminate 0.1"]);
    assert_eq!(pool.patience(), Some(Duration::from_secs(1)));
    // It ends after all; the signal may still be on its way, so its worker does nothing more.
    assert_eq!(pool.ends(1), ["kill 0.1", "Late(Timeout) 0..1"]);
}

#[test]
fn without_grace_a_task_is_killed_at_once() {
    let mut pool = Pool::overdue(Duration::ZERO);
    assert_eq!(pool.answers(true), ["kill 0.1"]);
}

#[test]
fn a_worker_whose_task_ended_when_asked_goes_on() {
    let mut pool = Pool::overdue(Duration::from_secs(1));
    assert!(pool.submit_with(1, limited()).is_empty(), "nothing is sent behind a task that is to end");
    assert_eq!(pool.ends(1), ["unask 0.1", "Late(Timeout) 0..1", "send 0.1 0..1 at 0:1"]);
}

#[test]
fn a_task_that_was_not_begun_has_not_run_out_of_time() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(1, limited());
    assert_eq!(pool.wait(), ["take back 0.1"]);
    assert_eq!(pool.takes_back(0), ["epoch 0.1 1", "send 0.1 0..1 at 1:0"]);
}

#[test]
fn a_result_that_is_read_gives_the_next_task_its_whole_time() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(3, limited());
    assert_eq!(pool.wait(), ["take back 0.1"]);
    assert!(pool.takes_back(3).is_empty(), "the results of the first are not read yet");
    pool.now += Duration::from_millis(900);
    assert_eq!(pool.ends(1), ["Delivered 0..1"]);
    assert_eq!(pool.patience(), Some(LIMIT));
}

#[test]
fn only_the_first_of_several_results_is_late() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(3, limited());
    pool.wait();
    assert!(pool.takes_back(3).is_empty());
    // Its results stay unread for a second.
    assert_eq!(pool.wait(), ["ask 0.1"]);
    assert_eq!(pool.ends(3), ["unask 0.1", "Late(Timeout) 0..1", "Delivered 1..3"]);
}

#[test]
fn a_stopped_job_ends_what_runs_and_what_waits() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(6, JobTerms { timeout: None, ..limited() });
    assert_eq!(pool.tell(Event::Stopped(JOB)), ["Cancelled 4..6", "take back 0.1"]);
    assert_eq!(pool.takes_back(1), ["ask 0.1", "Cancelled 1..4"]);
    assert_eq!(pool.answers(false), ["terminate 0.1"]);
    assert_eq!(pool.dies(1, 1), ["Stopped(Cancelled) 0..1", "start 0.2"]);
}

#[test]
fn a_worker_that_is_about_to_be_killed_is_not_asked() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(2, JobTerms { timeout: None, ..limited() });
    pool.tell(Event::Stopped(JOB));
    assert!(pool.takes_back(2).is_empty());
    assert_eq!(pool.wait(), ["ask 0.1"]);
    pool.answers(false);
    assert_eq!(pool.ends(1), ["kill 0.1", "Late(Cancelled) 0..1"]);
}

#[test]
fn what_waits_too_long_expires_also_where_it_was_sent_ahead() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(6, JobTerms { timeout: None, queue_timeout: Some(LIMIT), ..limited() });
    assert_eq!(pool.wait(), ["take back 0.1", "Expired 4..6"]);
    assert_eq!(pool.takes_back(1), ["Expired 1..4"]);
    assert_eq!(pool.ends(1), ["Delivered 0..1", "epoch 0.1 1"]);
}

#[test]
fn what_is_tried_again_does_not_expire() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(2, JobTerms { chunksize: Some(1), queue_timeout: Some(LIMIT), ..retried(3) });
    assert_eq!(pool.fails(Failure::Error)[0], "retry after Delivered 0..1");
    // The first comes back to the queue while others fill the worker.
    pool.now += LIMIT;
    let passed = pool.tell(Event::DeadlinePassed);
    assert!(!passed.contains(&"Expired 0..1".to_owned()), "{passed:?}");
}

#[test]
fn no_limit_outlives_the_pool() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(1, JobTerms { queue_timeout: Some(LIMIT), ..JobTerms::default() });
    pool.tell(Event::Terminated);
    assert_eq!(pool.patience(), None);
}

#[test]
fn an_error_is_tried_again_after_growing_waits() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(1, retried(3));
    for (wait, position) in [(10, 1), (20, 2)] {
        assert_eq!(pool.fails(Failure::Error), ["retry after Delivered 0..1"]);
        assert_eq!(pool.patience(), Some(Duration::from_millis(wait)));
        assert_eq!(pool.wait(), [format!("send 0.1 0..1 at 0:{position}")]);
    }
    assert_eq!(pool.fails(Failure::Error), ["Delivered 0..1"]);
}

#[test]
fn a_failure_that_is_not_named_is_not_tried_again() {
    for failure in [Failure::Panic, Failure::Other] {
        let mut pool = Pool::ready(1, None);
        pool.submit_with(1, retried(3));
        assert_eq!(pool.fails(failure), ["Delivered 0..1"]);
    }
}

#[test]
fn a_task_that_kills_its_workers_runs_alone_and_ends_after_its_attempts() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(2, retried(2));
    assert_eq!(pool.dies(1, 1), ["retry after Lost 0..1", "start 0.2"]);
    // The other task, which was not begun, goes first; then this worker is not fresh any more.
    assert_eq!(pool.tell(Event::WorkerReady(worker(0, 2))), ["send 0.2 1..2 at 0:0"]);
    assert_eq!(pool.wait(), ["take back 0.2"]);
    assert_eq!(pool.tell(Event::TakenBack { worker: worker(0, 2), limit: 1 }), ["start 0.3"]);
    let ended = pool.tell(Event::Finished { worker: worker(0, 2), count: 1, nanos: 1000 });
    assert_eq!(ended, ["Delivered 1..2", "retire 0.2"]);
    assert_eq!(pool.tell(Event::WorkerReady(worker(0, 3))), ["send 0.3 0..1 at 0:0"]);
    assert!(pool.dies(2, 1).is_empty());
    assert!(pool.submit_with(1, JobTerms::default()).is_empty(), "it gets nothing beside that task");
    assert_eq!(pool.dies(3, 1), ["Lost 0..1", "start 0.4"]);
}

#[test]
fn a_fresh_worker_is_not_waited_for_behind_a_task_that_does_not_end() {
    let mut pool = Pool::ready(2, None);
    pool.submit_with(3, JobTerms { chunksize: None, ..retried(2) });
    let exited = Event::WorkerExited { worker: worker(0, 1), claimed: 1, taking: false };
    assert_eq!(pool.tell(exited), ["retry after Lost 0..1", "start 0.2"]);
    assert_eq!(pool.tell(Event::WorkerReady(worker(0, 2))), ["send 0.2 2..3 at 0:0"]);
    // No one is fresh when it is to be tried again. The one that is to make room has begun a task, and does not end it.
    let given_back = |slot, generation| Event::TakenBack { worker: worker(slot, generation), limit: 1 };
    assert_eq!(pool.wait(), ["take back 0.2"]);
    assert_eq!(pool.tell(given_back(0, 2)), ["start 0.3"]);
    assert_eq!(pool.patience(), Some(SLOW_TO_LEAVE));
    assert_eq!(pool.wait(), ["take back 1.1"]);
    assert_eq!(pool.tell(given_back(1, 1)), ["start 1.2"]);
    assert!(pool.patience() > Some(SLOW_TO_LEAVE), "everybody is to leave: only the starts have a limit");
}

#[test]
fn a_task_that_three_workers_have_died_of_before_they_began_it_ends() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(2, JobTerms { chunksize: Some(4), ..JobTerms::default() });
    for generation in 1..3 {
        let next = generation + 1;
        assert_eq!(pool.dies(generation, 0), [format!("start 0.{next}")]);
        let sent = pool.tell(Event::WorkerReady(worker(0, next)));
        assert_eq!(sent, [format!("send 0.{next} 0..2 at 0:0")]);
    }
    assert_eq!(pool.dies(3, 0), ["Deadly 0..1", "start 0.4"]);
    assert_eq!(pool.tell(Event::WorkerReady(worker(0, 4))), ["send 0.4 1..2 at 0:0"]);
    assert_eq!(pool.dies(4, 0), ["start 0.5"], "another task is another count");
}

#[test]
fn workers_that_die_before_they_take_a_task_in_have_not_died_of_it() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(2, JobTerms { chunksize: Some(4), ..JobTerms::default() });
    for generation in 1..9 {
        let died = pool.tell(Event::WorkerExited { worker: worker(0, generation), claimed: 0, taking: false });
        let next = generation + 1;
        assert_eq!(died, [format!("start 0.{next}")]);
        assert_eq!(pool.tell(Event::WorkerReady(worker(0, next))), [format!("send 0.{next} 0..2 at 0:0")]);
    }
}

#[test]
fn a_guardians_death_is_no_tasks_fault() {
    let mut pool = Pool::ready(1, None);
    pool.submit_with(1, JobTerms::default());
    for generation in 1..6 {
        pool.tell(Event::GuardianDied);
        assert_eq!(pool.dies(generation, 0), [""; 0]);
        pool.tell(Event::GuardianReady);
        let ready = pool.tell(Event::WorkerReady(worker(0, generation + 1)));
        assert_eq!(ready, [format!("send 0.{} 0..1 at 0:0", generation + 1)]);
    }
}
