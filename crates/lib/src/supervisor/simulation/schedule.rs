//! A run: settings, work, accidents and their order, all drawn from the seed; and then a fair way to the end.

use std::time::Duration;

use super::Fault;
use super::driver::Simulation;
use super::model::Guardian;
use super::world::Life;
use crate::rng::TaskRng;
use crate::supervisor::event::{Event, Failures, JobId, JobTerms, RetryTerms};
use crate::supervisor::staffing::Intensity;
use crate::supervisor::state::Settings;

/// How many things happen before the way to the end.
const STEPS: u64 = 200;

/// The largest gang.
pub(super) const MOST_WORKERS: u32 = 8;

/// Within so many rounds a fair run comes to rest.
const ROUNDS: u32 = 5000;

/// How likely accidents are, of 1000 steps each.
struct Risks {
    death: u64,
    /// Closing, terminating, losing the guardian for good.
    end: u64,
    /// The guardian's, which can be replaced.
    orphaning: u64,
}

/// Draws a run from `seed` and lets it happen.
pub(super) fn run(seed: u64, fault: Fault, trace: &mut Option<Vec<String>>) -> Option<String> {
    let mut rng = TaskRng::derived([seed, 0, 0, 0]);
    let workers = 1 + rng.below(MOST_WORKERS.into()) as u32;
    let idle_timeout = [None, None, None, Some(1), Some(100), Some(20_000)][rng.below(6) as usize];
    let settings = Settings {
        processors: 1 + rng.below(4) as u32,
        idle_timeout: idle_timeout.map(Duration::from_millis),
        min_workers: (rng.below(4) as u32).min(workers),
        start_timeout: Duration::from_secs(30),
        grace: Duration::from_millis([0, 5, 100, 1000][rng.below(4) as usize]),
        workers,
        max_tasks: (rng.below(3) == 0).then(|| 1 + rng.below(6) as u32),
        jitter: rng.below(4) as u32,
        intensity: Some(Intensity { most: [1000, 8, 1][rng.below(3) as usize], period: Duration::from_secs(5) }),
        seed,
    };
    let risks = Risks {
        death: [0, 5, 30][rng.below(3) as usize],
        end: [0, 0, 2, 10][rng.below(4) as usize],
        orphaning: [0, 0, 5, 30][rng.below(4) as usize],
    };
    let failing_starts = [0, 0, 0, 0, 3, 10, 30, 100][rng.below(8) as usize];
    let mut simulation = Simulation::new(settings, rng, fault, trace);
    simulation.failing_starts = failing_starts;
    simulation.happen(&risks);
    // From now on some start succeeds: with a worker that hangs, the pool would else try for ever, and rightly so.
    simulation.failing_starts = failing_starts % 100;
    simulation.run_down();
    simulation.wake_up();
    simulation.close();
    simulation.come_late();
    simulation.model.violation
}

impl Simulation<'_> {
    /// The wild part: anything may happen to anyone, in any order.
    fn happen(&mut self, risks: &Risks) {
        self.handle(Event::DeadlinePassed);
        for _ in 0..STEPS {
            if self.ended() {
                return;
            }
            let pause = self.pause();
            self.now += pause;
            match self.rng.below(1000) {
                0..120 => self.submit(),
                120..150 => self.open(),
                150..175 => self.close_feed(),
                175..200 => self.cancel(),
                200..600 => self.work(),
                600..605 => self.failing_starts = [0, 10, 100][self.rng.below(3) as usize],
                605..620 => self.resize(),
                620..980 => self.turn(),
                _ => self.sleep(),
            }
            if self.rng.below(1000) < risks.death && !self.workers.is_empty() {
                let at = self.any_worker();
                self.die(at);
            }
            if self.rng.below(1000) < risks.orphaning && self.model.guardian != Guardian::Gone && !self.ended() {
                self.guardian_dies();
            }
            if self.rng.below(1000) < risks.end {
                self.end();
            }
            self.check_silence();
        }
    }

    fn pause(&mut self) -> Duration {
        match self.rng.below(200) {
            0..80 => Duration::ZERO,
            80..140 => Duration::from_micros(30),
            140..180 => Duration::from_millis(1),
            180..198 => Duration::from_millis(3),
            198 => Duration::from_secs(1 + self.rng.below(20)),
            _ => Duration::from_millis(1 << self.rng.below(20)),
        }
    }

    fn any_worker(&mut self) -> usize {
        self.rng.below(self.workers.len() as u64) as usize
    }

    fn any_job(&mut self) -> Option<JobId> {
        let count = self.model.jobs.len() as u64;
        (count > 0).then(|| JobId(self.rng.below(count) as u32))
    }

    // What users do.

    fn terms(&mut self) -> JobTerms {
        let chunksize = (self.rng.below(4) == 0).then(|| 1 + self.rng.below(10) as u32);
        JobTerms {
            function: self.rng.below(5),
            chunksize,
            priority: [0, 0, 0, -1, 7][self.rng.below(5) as usize],
            timeout: self.limit().filter(|limit| !limit.is_zero()),
            queue_timeout: self.limit(),
            retry: (self.rng.below(2) == 0).then(|| self.retries()),
        }
    }

    /// Mostly none, else from very short to longer than anything else.
    fn limit(&mut self) -> Option<Duration> {
        let limits = [0, 1, 20, 1000, 30_000, 5_000_000, u64::MAX / 1000];
        (self.rng.below(3) == 0).then(|| Duration::from_micros(limits[self.rng.below(7) as usize]))
    }

    fn retries(&mut self) -> RetryTerms {
        let mut on = [false; 4];
        on.fill_with(|| self.rng.below(2) == 0);
        let [error, panic, crash, timeout] = on;
        let first = Duration::from_micros([0, 100, 3000, 100_000][self.rng.below(4) as usize]);
        RetryTerms {
            attempts: 1 + self.rng.below(5) as u32,
            backoff: [first, first * (1 + self.rng.below(8) as u32)],
            jitter: [0, 300, 1000][self.rng.below(3) as usize],
            on: Failures { error, panic, crash, timeout },
        }
    }

    fn submit(&mut self) {
        // More for a feed, or a job that has nothing else.
        let feeding = self.any_job().filter(|job| self.model.jobs[job.0 as usize].feeding);
        let terms = self.terms();
        let job = feeding.unwrap_or_else(|| self.model.job_appears(terms, false));
        let most = [1, 8, 60][self.rng.below(3) as usize];
        let count = 1 + self.rng.below(most) as u32;
        self.model.now = self.now;
        let mut span = self.model.submit(job, count);
        span.priority *= i32::from(self.fault != Fault::ForgetsPriorities);
        if self.rng.below(8) == 0 {
            let place = span.first + self.rng.below(count.into()) as u32;
            self.model.task((span.chunk, place)).poisonous = true;
        }
        self.handle(Event::Submitted { span, terms: self.model.jobs[job.0 as usize].terms });
    }

    fn open(&mut self) {
        let terms = self.terms();
        let job = self.model.job_appears(terms, true);
        self.handle(Event::FeedOpened(job));
    }

    fn close_feed(&mut self) {
        if let Some(job) = self.any_job()
            && std::mem::take(&mut self.model.jobs[job.0 as usize].feeding)
        {
            self.handle(Event::FeedClosed(job));
        }
    }

    fn cancel(&mut self) {
        let running = self.workers.iter().filter_map(|worker| worker.running).next();
        let running = running.map(|task| self.model.chunks[task.0.0 as usize].0).filter(|_| self.rng.below(2) == 0);
        let Some(job) = running.or_else(|| self.any_job()) else { return };
        if self.rng.below(2) == 0 {
            self.model.stop_job(job);
            self.handle(Event::Stopped(job));
        } else {
            self.model.cancel(job);
            self.handle(Event::Cancelled(job));
        }
        self.model.check_cancelled(job);
    }

    fn resize(&mut self) {
        let workers = 1 + self.rng.below(MOST_WORKERS.into()) as u32;
        if !self.model.closed {
            self.model.resize(workers);
        }
        if self.fault != Fault::ForgetsResizes {
            self.handle(Event::Resized(workers));
        }
    }

    fn end(&mut self) {
        match self.rng.below(4) {
            0 => {
                self.model.terminate();
                self.handle(Event::Terminated);
            }
            1 => {
                self.model.lose_guardian();
                self.handle(Event::GuardianLost);
            }
            _ => {
                self.model.close();
                self.handle(Event::Closed);
            }
        }
    }

    // What workers and the driver do.

    fn work(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        let at = self.any_worker();
        for _ in 0..1 + self.rng.below(6) {
            self.step(at, Self::nanos);
        }
    }

    /// How long the task took that this worker runs: by its job, short, long, or anything.
    fn nanos(&mut self) -> u64 {
        match self.rng.below(8) {
            0 => 30_000_000,
            1 | 2 => 300_000,
            // Whatever a worker says: its memory is its own.
            3 => self.rng.next_u64() >> self.rng.below(64),
            _ => 700,
        }
    }

    /// A guardian that was started gets ready, or does not.
    fn hear_guardian(&mut self) {
        if self.model.guardian != Guardian::Starting {
            return;
        }
        if self.rng.below(100) < self.failing_starts {
            self.guardian_dies();
        } else {
            self.guardian_gets_ready();
        }
    }

    /// A turn of the driver, which need not find everything at once.
    fn turn(&mut self) {
        if self.rng.below(2) == 0 {
            self.hear_guardian();
        }
        // Of several workers the reports come in any order.
        let mut ids: Vec<_> = self.workers.iter().map(|worker| worker.id).collect();
        for left in (1..ids.len()).rev() {
            ids.swap(left, self.rng.below(left as u64 + 1) as usize);
        }
        for id in ids {
            let Some(at) = self.workers.iter().position(|worker| worker.id == id) else { continue };
            let all = self.rng.below(2) == 0;
            let most = if all { usize::MAX } else { self.rng.below(4) as usize };
            match self.workers[at].life {
                Life::Dead if all => self.bury(at),
                Life::Asked if self.rng.below(100) < self.failing_starts => self.refuse(at),
                Life::Asked | Life::Ready | Life::Dead => self.collect(at, most),
            }
        }
        self.handle(Event::DeadlinePassed);
    }

    /// Nothing happens until the deadline.
    fn sleep(&mut self) {
        if let Some(at) = self.state.next_deadline() {
            self.now = self.now.max(at);
            self.pass_deadlines();
        }
    }

    /// The deadline has passed; before long, all there are have been dealt with.
    fn pass_deadlines(&mut self) {
        for _ in 0..20 {
            self.handle(Event::DeadlinePassed);
            if self.ended() || self.state.next_deadline().is_none_or(|at| at > self.now) {
                return;
            }
        }
        self.model.require(false, || "the same deadline passes again and again".to_owned());
    }

    // The fair part.

    /// Some workers hang in what they run. Everything else must come to its end, whoever had it.
    fn run_down(&mut self) {
        // One is spared: someone must be left to do the work.
        let spared = self.workers.iter().position(|worker| self.model.serves(worker.id));
        for at in (0..self.workers.len()).filter(|at| Some(*at) != spared) {
            self.workers[at].hung = self.workers[at].running.is_some() && self.rng.below(3) == 0;
        }
        self.come_to_rest();
        // With a limit, even those come to their end.
        let endless = |task| {
            let job = self.model.job_of(task);
            !job.stopped && job.terms.timeout.is_none_or(|limit| self.now.checked_add(limit).is_none())
        };
        let hung = self.workers.iter().filter(|worker| worker.hung && worker.running.is_some_and(endless));
        let (hung, left) = (hung.count() as u64, self.model.uncompleted);
        let rest = self.ended() || left == hung;
        self.model.require(rest, || format!("{left} tasks are left while {hung} workers hang"));
    }

    /// What hung goes on.
    fn wake_up(&mut self) {
        for worker in &mut self.workers {
            worker.hung = false;
        }
        self.come_to_rest();
        let left = self.model.uncompleted;
        self.model.require(left == 0, || format!("{left} tasks never end"));
        if !self.ended() && !self.model.closed {
            self.model.check_size();
        }
        let sleeps = self.ended() || !self.state.collects();
        self.model.require(sleeps, || "results are looked for where nothing runs".to_owned());
    }

    fn come_to_rest(&mut self) {
        for _ in 0..ROUNDS {
            if self.ended() {
                return;
            }
            let before = self.happened;
            self.turn_fairly();
            if self.happened == before && !self.ended() {
                let Some(at) = self.state.next_deadline() else { return };
                self.now = self.now.max(at);
                self.pass_deadlines();
            }
        }
        self.model.require(false, || "the pool does not come to rest".to_owned());
    }

    /// Everyone alive gets somewhere, and the driver finds all of it.
    fn turn_fairly(&mut self) {
        self.now += Duration::from_micros(100);
        for at in 0..self.workers.len() {
            for _ in 0..20 {
                self.step(at, Self::nanos);
            }
        }
        self.check_silence();
        self.hear_guardian();
        for at in (0..self.workers.len()).rev() {
            match self.workers[at].life {
                Life::Dead => self.bury(at),
                Life::Asked | Life::Ready => self.collect(at, usize::MAX),
            }
        }
        if !self.ended() {
            self.handle(Event::DeadlinePassed);
        }
    }

    /// The pool is closed: first with its feeds open, then not.
    fn close(&mut self) {
        if self.ended() {
            return;
        }
        self.model.close();
        self.handle(Event::Closed);
        self.come_to_rest();
        for job in 0..self.model.jobs.len() {
            if std::mem::take(&mut self.model.jobs[job].feeding) {
                self.handle(Event::FeedClosed(JobId(job as u32)));
            }
        }
        self.come_to_rest();
        let finished = self.model.finished;
        self.model.require(finished, || "a closed pool without work does not finish".to_owned());
    }

    /// What comes after the end is dealt with, and starts nothing.
    fn come_late(&mut self) {
        if self.model.violation.is_some() {
            return;
        }
        self.submit();
        self.handle(Event::Terminated);
        self.handle(Event::GuardianLost);
        self.handle(Event::Closed);
        self.cancel();
        let before = self.happened;
        self.handle(Event::DeadlinePassed);
        let idle = self.happened == before;
        self.model.require(idle, || "something happens after the end".to_owned());
    }
}
