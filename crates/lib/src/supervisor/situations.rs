//! Single situations of the [`state`](super::state) machine, step by step. Actions are compared as text: `send 0.1 2..4
//! at 0:2` sends tasks 2 and 3 to the first worker of place 0, in epoch 0 at position 2.

use std::time::Duration;

use super::dispatch::SOON;
use super::event::{Action, ChunkId, Event, JobId, JobTerms, Span, Time, WorkerId};
use super::staffing::Intensity;
use super::state::{Phase, Settings, State};
use crate::wire::claim::POSITIONS;

/// A state machine, and its time.
pub(super) struct Pool {
    pub(super) state: State,
    pub(super) now: Time,
}

/// The job of all tasks, and its only chunk.
pub(super) const JOB: JobId = JobId(7);

impl Pool {
    /// A pool whose workers are started and not ready.
    fn starting(workers: u32, max_tasks: Option<u32>) -> Self {
        let mut pool = Self { state: State::new(settings(workers, max_tasks)), now: Time::ZERO };
        pool.tell(Event::DeadlinePassed);
        pool
    }

    /// A pool whose workers are ready.
    pub(super) fn ready(workers: u32, max_tasks: Option<u32>) -> Self {
        let mut pool = Self::starting(workers, max_tasks);
        for slot in 0..workers {
            assert!(pool.tell(Event::WorkerReady(worker(slot, 1))).is_empty());
        }
        pool
    }

    pub(super) fn tell(&mut self, event: Event) -> Vec<String> {
        let mut actions = Vec::new();
        self.state.handle(self.now, event, &mut actions);
        actions.iter().map(text).collect()
    }

    fn submit(&mut self, count: u32, chunksize: Option<u32>) -> Vec<String> {
        self.submit_with(count, JobTerms { function: 1, chunksize, ..JobTerms::default() })
    }

    pub(super) fn submit_with(&mut self, count: u32, terms: JobTerms) -> Vec<String> {
        let span = Span { chunk: ChunkId(0), job: JOB, first: 0, count, priority: terms.priority };
        self.tell(Event::Submitted { span, terms })
    }

    fn finish(&mut self, slot: u32, count: u32, each: Duration) -> Vec<String> {
        let nanos = each.as_nanos() as u64 * u64::from(count);
        self.tell(Event::Finished { worker: worker(slot, 1), count, nanos })
    }

    /// How long it is until the next deadline.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.state.next_deadline().map(|at| at.saturating_sub(self.now))
    }

    /// Waits for the next deadline.
    pub(super) fn wait(&mut self) -> Vec<String> {
        self.now = self.state.next_deadline().expect("a deadline is set");
        self.tell(Event::DeadlinePassed)
    }
}

fn settings(workers: u32, max_tasks: Option<u32>) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        processors: 4,
        workers,
        max_tasks,
        jitter: 0,
        seed: 0,
        start_timeout: 30 * second,
        grace: second,
        intensity: Some(Intensity { most: 12, period: 5 * second }),
        idle_timeout: None,
        min_workers: 1,
    }
}

pub(super) fn worker(slot: u32, generation: u32) -> WorkerId {
    WorkerId { slot, generation }
}

fn text(action: &Action) -> String {
    let name = |worker: &WorkerId| format!("{}.{}", worker.slot, worker.generation);
    let tasks = |span: &Span| format!("{}..{}", span.first, span.first + span.count);
    match action {
        Action::Start(worker) => format!("start {}", name(worker)),
        Action::Send { worker, span, epoch, position, .. } => {
            format!("send {} {} at {epoch}:{position}", name(worker), tasks(span))
        }
        Action::TakeBack(worker) => format!("take back {}", name(worker)),
        Action::TakeBackGently(worker) => format!("take back gently {}", name(worker)),
        Action::BeginEpoch { worker, epoch } => format!("epoch {} {epoch}", name(worker)),
        Action::Retire(worker) => format!("retire {}", name(worker)),
        Action::Kill(worker) => format!("kill {}", name(worker)),
        Action::Ask(worker) => format!("ask {}", name(worker)),
        Action::Unask(worker) => format!("unask {}", name(worker)),
        Action::Terminate(worker) => format!("terminate {}", name(worker)),
        Action::Retry { span, ending, .. } => format!("retry after {ending:?} {}", tasks(span)),
        Action::Complete { span, ending, .. } => format!("{ending:?} {}", tasks(span)),
        Action::Break(_) => "break".to_owned(),
        Action::Finish => "finish".to_owned(),
        Action::StartGuardian => "start guardian".to_owned(),
    }
}

const SHORT: Duration = Duration::from_micros(1);
const MEDIUM: Duration = Duration::from_micros(300);

#[test]
fn tiny_tasks_leave_a_processor_to_whoever_sends_them() {
    for (processors, each, sent) in [
        (2, 100, ["send 0.1 1..201 at 0:1", "send 0.1 201..301 at 0:201"].as_slice()),
        (3, 100, &["send 0.1 1..201 at 0:1", "send 1.1 201..301 at 0:0"]),
        // These take a worker longer than they take us.
        (2, 400, &["send 0.1 1..76 at 0:1", "send 1.1 76..133 at 0:0"]),
    ] {
        let mut pool = Pool::ready(2, None);
        pool.state.settings.processors = processors;
        pool.submit(1, None);
        pool.finish(0, 1, Duration::from_nanos(each));
        let pace = pool.state.paces.values_mut().next().expect("one is known");
        (0..20).for_each(|_| pace.learn(4096, 4096 * each));
        let span = Span { chunk: ChunkId(1), job: JOB, first: 1, count: 300, priority: 0 };
        let terms = JobTerms { function: 1, ..JobTerms::default() };
        let actions = pool.tell(Event::Submitted { span, terms });
        assert_eq!(actions[..2], *sent, "{processors} processors, tasks of {each} ns");
    }
}

#[test]
fn a_death_costs_the_task_that_was_begun() {
    // How many of four tasks were claimed and how many have results; what is lost, and what runs again.
    let cases: [(u32, u32, &[&str]); 4] = [
        (0, 0, &["start 0.2"]),
        (1, 0, &["Lost 0..1", "start 0.2"]),
        (2, 1, &["Lost 1..2", "start 0.2"]),
        (2, 2, &["start 0.2"]),
    ];
    for (claimed, done, expected) in cases {
        let mut pool = Pool::ready(1, None);
        assert_eq!(pool.submit(4, Some(4)), ["send 0.1 0..4 at 0:0"]);
        if done > 0 {
            assert_eq!(pool.finish(0, done, SHORT), [format!("Delivered 0..{done}")]);
        }
        let died = pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed, taking: true });
        assert_eq!(died, expected, "{claimed} claimed, {done} done");
        assert_eq!(pool.tell(Event::WorkerReady(worker(0, 2))), [format!("send 0.2 {claimed}..4 at 0:0")]);
    }
}

#[test]
fn a_claim_word_that_its_worker_has_spoilt_costs_that_workers_tasks_only() {
    let mut pool = Pool::ready(1, None);
    pool.submit(6, Some(4));
    let died = pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: POSITIONS - 1, taking: true });
    assert_eq!(died, ["Lost 0..4", "start 0.2"]);
    assert_eq!(pool.tell(Event::WorkerReady(worker(0, 2))), ["send 0.2 4..6 at 0:0"]);
}

#[test]
fn an_idle_worker_gets_what_a_stalled_one_has_not_begun() {
    let mut pool = Pool::ready(2, None);
    assert_eq!(pool.submit(4, Some(4)), ["send 0.1 0..4 at 0:0"]);
    assert_eq!(pool.patience(), Some(Duration::from_millis(2)));
    assert_eq!(pool.wait(), ["take back gently 0.1"]);
    let back = pool.tell(Event::TakenBack { worker: worker(0, 1), limit: 1 });
    assert_eq!(back, ["send 1.1 1..3 at 0:0"]);
    assert_eq!(pool.patience(), None, "what the first one has begun can only be waited for");
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 0..1", "epoch 0.1 1", "send 0.1 3..4 at 1:0"]);
}

#[test]
fn a_worker_that_had_begun_everything_keeps_it() {
    let mut pool = Pool::ready(2, None);
    pool.submit(2, Some(2));
    assert_eq!(pool.wait(), ["take back gently 0.1"]);
    assert!(pool.tell(Event::TakenBack { worker: worker(0, 1), limit: 2 }).is_empty());
    assert_eq!(pool.patience(), Some(Duration::from_millis(2)), "it is not asked again at once");
    assert_eq!(pool.finish(0, 2, SHORT), ["Delivered 0..2"]);
}

#[test]
fn a_cancelled_job_ends_except_for_what_runs() {
    let mut pool = Pool::ready(1, None);
    pool.submit(6, Some(4));
    assert_eq!(pool.tell(Event::Cancelled(JOB)), ["Cancelled 4..6", "take back 0.1"]);
    assert_eq!(pool.tell(Event::TakenBack { worker: worker(0, 1), limit: 1 }), ["Cancelled 1..4"]);
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 0..1", "epoch 0.1 1"]);
}

#[test]
fn a_cancelled_feed_runs_nothing_more() {
    let mut pool = Pool::ready(1, None);
    pool.tell(Event::FeedOpened(JOB));
    pool.tell(Event::Cancelled(JOB));
    assert_eq!(pool.submit(3, None), ["Cancelled 0..3"]);
}

#[test]
fn a_worker_is_replaced_after_exactly_so_many_tasks() {
    let mut pool = Pool::ready(1, Some(3));
    assert_eq!(pool.submit(5, Some(2)), ["send 0.1 0..2 at 0:0"]);
    assert_eq!(pool.finish(0, 2, SHORT), ["Delivered 0..2", "send 0.1 2..3 at 0:2", "start 0.2"]);
    assert!(pool.tell(Event::WorkerReady(worker(0, 2))).is_empty(), "it waits until the other has ended its last task");
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 2..3", "retire 0.1", "send 0.2 3..5 at 0:0"]);
    assert_eq!(pool.patience(), Some(Duration::from_secs(1)));
    assert_eq!(pool.wait(), ["kill 0.1"]);
    assert!(pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: 3, taking: true }).is_empty());
    let done = Event::Finished { worker: worker(0, 2), count: 2, nanos: 1000 };
    assert_eq!(pool.tell(done), ["Delivered 3..5"]);
}

#[test]
fn a_successor_that_is_not_ready_takes_over_all_the_same() {
    let mut pool = Pool::ready(1, Some(1));
    assert_eq!(pool.submit(2, None), ["send 0.1 0..1 at 0:0", "start 0.2"]);
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 0..1", "retire 0.1"]);
    assert!(pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: 1, taking: true }).is_empty());
    assert_eq!(pool.tell(Event::WorkerReady(worker(0, 2))), ["send 0.2 1..2 at 0:0", "start 0.3"]);
}

#[test]
fn a_successor_that_fails_to_start_is_tried_again_and_costs_nothing() {
    let mut pool = Pool::ready(1, Some(1));
    assert_eq!(pool.submit(2, None), ["send 0.1 0..1 at 0:0", "start 0.2"]);
    assert!(pool.tell(Event::StartFailed(worker(0, 2))).is_empty());
    assert_eq!(pool.wait(), ["start 0.3"]);
    assert!(pool.tell(Event::WorkerReady(worker(0, 3))).is_empty());
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 0..1", "retire 0.1", "send 0.3 1..2 at 0:0"]);
    assert_eq!(pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: 1, taking: true }), ["start 0.4"]);
}

#[test]
fn a_successor_follows_one_that_dies_of_its_last_task() {
    let mut pool = Pool::ready(1, Some(1));
    assert_eq!(pool.submit(2, None), ["send 0.1 0..1 at 0:0", "start 0.2"]);
    assert!(pool.tell(Event::WorkerReady(worker(0, 2))).is_empty());
    let death = pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: 1, taking: true });
    assert_eq!(death, ["Lost 0..1", "send 0.2 1..2 at 0:0", "start 0.3"]);
}

#[test]
fn workers_that_end_for_nothing_too_often_break_the_pool() {
    let mut pool = Pool::ready(1, None);
    let mut generation = 1;
    // It dies, and the next one gets ready, unless that was too much.
    let mut breaks = |pool: &mut Pool| {
        let mut actions = pool.tell(Event::WorkerExited { worker: worker(0, generation), claimed: 0, taking: true });
        if actions == ["break", "finish"] {
            return true;
        }
        generation += 1;
        if actions.is_empty() {
            actions = pool.wait();
        }
        assert_eq!(actions, [format!("start 0.{generation}")]);
        pool.tell(Event::WorkerReady(worker(0, generation)));
        false
    };
    for _ in 0..12 {
        assert!(!breaks(&mut pool));
    }
    // Whoever gets work done may go on.
    pool.submit(1, None);
    let done = Event::Finished { worker: worker(0, 13), count: 1, nanos: 1000 };
    assert_eq!(pool.tell(done), ["Delivered 0..1"]);
    for _ in 0..12 {
        assert!(!breaks(&mut pool));
    }
    pool.now += Duration::from_secs(5);
    assert!(!breaks(&mut pool), "most of that is too long ago");
    for _ in 0..11 {
        assert!(!breaks(&mut pool));
    }
    assert!(breaks(&mut pool));
    assert_eq!(pool.state.phase(), Phase::Broken);
}

#[test]
fn what_was_taken_back_does_not_count_as_run() {
    let mut pool = Pool::ready(2, Some(4));
    assert_eq!(pool.submit(4, Some(4)), ["send 0.1 0..4 at 0:0", "start 0.2"]);
    pool.wait();
    assert_eq!(pool.tell(Event::TakenBack { worker: worker(0, 1), limit: 1 }), ["send 1.1 1..3 at 0:0"]);
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 0..1", "epoch 0.1 1", "send 0.1 3..4 at 1:0"]);
    assert_eq!(pool.finish(1, 2, SHORT), ["Delivered 1..3"]);
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 3..4"]);
    assert_eq!(pool.submit(4, Some(4)), ["send 0.1 0..2 at 1:1", "send 1.1 2..4 at 0:2", "start 1.2"]);
}

#[test]
fn a_closed_pool_does_its_work_first() {
    let mut pool = Pool::ready(1, None);
    pool.submit(1, None);
    assert!(pool.tell(Event::Closed).is_empty());
    assert_eq!(pool.finish(0, 1, SHORT), ["Delivered 0..1", "retire 0.1"]);
    assert_eq!(pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: 1, taking: true }), ["finish"]);
    assert_eq!((pool.state.phase(), pool.patience()), (Phase::Finished, None));
    assert_eq!(pool.submit(1, None), ["Cancelled 0..1"]);
}

#[test]
fn a_closed_pool_waits_for_open_feeds_but_not_for_workers_that_nobody_needs() {
    let mut pool = Pool::starting(1, None);
    pool.tell(Event::FeedOpened(JOB));
    assert!(pool.tell(Event::Closed).is_empty());
    assert_eq!(pool.tell(Event::FeedClosed(JOB)), ["kill 0.1"]);
    assert!(pool.tell(Event::WorkerReady(worker(0, 1))).is_empty());
    assert_eq!(pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: 0, taking: true }), ["finish"]);
}

#[test]
fn failed_starts_are_repeated_later_and_break_the_pool_in_the_end() {
    let mut pool = Pool::starting(1, None);
    assert!(pool.submit(2, None).is_empty());
    assert!(pool.tell(Event::StartFailed(worker(0, 1))).is_empty());
    assert_eq!(pool.patience(), Some(Duration::from_millis(50)));
    assert_eq!(pool.wait(), ["start 0.2"]);
    // One that dies before it is ready counts as well.
    assert!(pool.tell(Event::WorkerExited { worker: worker(0, 2), claimed: 0, taking: true }).is_empty());
    assert_eq!(pool.patience(), Some(Duration::from_millis(100)));
    assert_eq!(pool.wait(), ["start 0.3"]);
    assert_eq!(pool.tell(Event::StartFailed(worker(0, 3))), ["break", "Broken 0..2", "finish"]);
    assert_eq!((pool.state.phase(), pool.patience()), (Phase::Broken, None));
    assert_eq!(pool.submit(1, None), ["Broken 0..1"]);
}

#[test]
fn a_worker_that_gets_ready_makes_up_for_failed_starts() {
    let mut pool = Pool::starting(1, None);
    for generation in [1, 3, 5] {
        pool.tell(Event::StartFailed(worker(0, generation)));
        assert_eq!(pool.patience(), Some(Duration::from_millis(50)));
        pool.wait();
        pool.tell(Event::WorkerReady(worker(0, generation + 1)));
        // It died without having had a task: the next may do the same, and must not do so as fast as processes start.
        assert!(
            pool.tell(Event::WorkerExited { worker: worker(0, generation + 1), claimed: 0, taking: true }).is_empty()
        );
        assert_eq!(pool.patience(), Some(Duration::from_millis(50)));
        assert_eq!(pool.wait(), [format!("start 0.{}", generation + 2)]);
    }
}

#[test]
fn the_end_comes_once_and_completes_everything() {
    let ends = [(Event::Terminated, "Cancelled", None), (Event::GuardianLost, "Broken", Some("break"))];
    for (event, ending, broken) in ends {
        let mut pool = Pool::ready(1, None);
        pool.submit(5, Some(2));
        let mut expected: Vec<String> = broken.map(str::to_owned).into_iter().collect();
        expected.extend(["take back 0.1".to_owned(), format!("{ending} 0..2"), format!("{ending} 2..5")]);
        expected.push("finish".to_owned());
        assert_eq!(pool.tell(event), expected);
        for late in [Event::Terminated, Event::GuardianLost, Event::Closed, Event::DeadlinePassed] {
            assert!(pool.tell(late).is_empty(), "{late:?} after {event:?}");
        }
        assert!(pool.finish(0, 2, SHORT).is_empty());
    }
}

#[test]
fn a_worker_that_does_not_get_ready_is_a_failed_start() {
    let mut pool = Pool::starting(1, None);
    assert_eq!(pool.patience(), Some(Duration::from_secs(30)));
    assert_eq!(pool.wait(), ["kill 0.1"]);
    assert_eq!(pool.patience(), None, "only its death is awaited");
    assert!(pool.tell(Event::WorkerExited { worker: worker(0, 1), claimed: 0, taking: true }).is_empty());
    assert_eq!(pool.patience(), Some(Duration::from_millis(50)));
}

#[test]
fn failures_do_not_break_a_pool_while_a_worker_may_get_ready() {
    let mut pool = Pool::starting(4, None);
    for slot in 0..3 {
        assert!(pool.tell(Event::StartFailed(worker(slot, 1))).is_empty());
    }
    assert!(pool.tell(Event::WorkerReady(worker(3, 1))).is_empty());
    assert_eq!(pool.state.phase(), Phase::Running);
}

#[test]
fn a_single_task_that_its_worker_does_not_begin_is_given_to_another() {
    let mut pool = Pool::ready(2, None);
    assert_eq!(pool.submit(1, None), ["send 0.1 0..1 at 0:0"]);
    assert_eq!(pool.wait(), ["take back gently 0.1"]);
    assert_eq!(pool.tell(Event::TakenBack { worker: worker(0, 1), limit: 0 }), ["epoch 0.1 1", "send 1.1 0..1 at 0:0"]);
}

#[test]
fn a_task_goes_round_ever_more_slowly_when_all_are_stopped() {
    let mut pool = Pool::ready(2, None);
    assert_eq!(pool.submit(1, None), ["send 0.1 0..1 at 0:0"]);
    let (mut holder, mut waits) = (0, Vec::new());
    for _ in 0..24 {
        waits.push(pool.patience().expect("the other one is idle").as_millis());
        assert_eq!(pool.wait(), [format!("take back gently {holder}.1")]);
        let taken = pool.tell(Event::TakenBack { worker: worker(holder, 1), limit: 0 });
        holder = 1 - holder;
        assert!(taken[1].starts_with(&format!("send {holder}.1 0..1")), "{taken:?}");
    }
    assert_eq!(waits[..6], [2, 4, 4, 8, 8, 16]);
    assert_eq!(waits[20..], [1024; 4]);
}

#[test]
fn what_is_still_on_its_way_is_asked_for_again_later() {
    let mut pool = Pool::ready(2, None);
    pool.submit(1, None);
    for _ in 0..3 {
        assert_eq!(pool.wait(), ["take back gently 0.1"]);
        assert!(pool.tell(Event::KeptBack(worker(0, 1))).is_empty());
        assert_eq!(pool.patience(), Some(Duration::from_millis(2)));
    }
}

#[test]
fn what_is_taken_back_is_shared() {
    let mut pool = Pool::ready(2, None);
    assert_eq!(pool.submit(9, Some(9)), ["send 0.1 0..9 at 0:0"]);
    pool.wait();
    let back = pool.tell(Event::TakenBack { worker: worker(0, 1), limit: 1 });
    assert_eq!(back, ["send 1.1 1..5 at 0:0"]);
    assert_eq!(pool.finish(0, 1, 100 * MEDIUM), ["Delivered 0..1", "epoch 0.1 1", "send 0.1 5..9 at 1:0"]);
}

#[test]
fn a_new_epoch_begins_before_positions_run_out() {
    let mut pool = Pool::ready(1, None);
    let quarter = POSITIONS / 4;
    pool.submit(POSITIONS, Some(quarter));
    let next = format!("send 0.1 {quarter}..{} at 0:{quarter}", 2 * quarter);
    let after = format!("send 0.1 {}..{} at 0:{}", 2 * quarter, 3 * quarter, 2 * quarter);
    assert_eq!(pool.finish(0, quarter, SHORT), [format!("Delivered 0..{quarter}"), next, after]);
    let last = format!("send 0.1 {}..{POSITIONS} at 1:0", 3 * quarter);
    let ended = pool.finish(0, 2 * quarter, SHORT);
    assert_eq!(ended[ended.len() - 2..], ["epoch 0.1 1".to_owned(), last]);
}

#[test]
fn results_that_are_not_announced_are_looked_for_until_their_worker_rests() {
    let mut pool = Pool::ready(1, None);
    pool.submit(9, Some(4));
    assert!(!pool.state.collects(), "nothing is known of these tasks: each is announced");
    pool.finish(0, 4, SHORT);
    assert!(pool.state.collects());
    // Now its tasks seem long, but it was told not to announce them.
    pool.finish(0, 1, 1000 * MEDIUM);
    assert!(pool.state.collects());
    pool.finish(0, 3, MEDIUM);
    assert!(!pool.state.collects(), "it announces a single one before it rests");
}

#[test]
fn what_ends_soon_is_known_of_tasks_that_are_known() {
    let mut pool = Pool::ready(2, None);
    let ends_soon = |pool: &Pool| pool.state.ends_soon(pool.now);
    assert!(!ends_soon(&pool), "nothing is in flight");
    pool.submit(9, Some(4));
    assert!(!ends_soon(&pool), "nothing is known of these tasks");
    pool.finish(0, 4, Duration::from_micros(20));
    pool.finish(1, 4, Duration::from_micros(20));
    assert!(ends_soon(&pool), "one is left, of 20 us");
    pool.now += SOON + Duration::from_micros(1);
    assert!(!ends_soon(&pool), "it is not as short as the others");
    pool.finish(0, 1, SOON);
    pool.submit(8, Some(8));
    assert!(!ends_soon(&pool), "eight take more than all that");
}

#[test]
fn a_worker_that_lies_about_its_time_is_survived() {
    let mut pool = Pool::ready(1, None);
    for count in [8, 1] {
        pool.submit(count, Some(4));
        for _ in 0..count.div_ceil(4) {
            let lie = pool.tell(Event::Finished { worker: worker(0, 1), count: 4, nanos: u64::MAX });
            assert!(lie[0].starts_with("Delivered"), "{lie:?}");
        }
    }
    assert_eq!(pool.submit(2, None), ["send 0.1 0..1 at 0:9"]);
}
