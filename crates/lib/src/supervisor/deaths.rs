//! Reading what arrives, and judging deaths. One turn is: the guardian's reports, all readable results, then deaths, then
//! deadlines. A dead worker's last results are still in its link: it is drained before it is judged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ganger_os::child::Exit;
use ganger_os::mutant::{Protection, without};
use ganger_os::poll::Interest;
use ganger_os::signal;
use ganger_os::start::{Guardian, Report, is_shortage};

use super::core::{Core, LOST};
use super::event::{Cause, Ending, Event, WorkerId};
use super::haul::Haul;
use super::ledger::SLOWEST;
use super::link::Link;
use super::output::Both;
use super::retries::MOST_DEATHS;
use super::token::Token;
use crate::pool::job::Job;
use crate::{TaskError, TaskErrorKind};

/// How a worker died, for the outcome of the task that it had begun.
#[derive(Clone, Debug)]
pub(super) struct Obituary {
    kind: TaskErrorKind,
    message: String,
    worker: u32,
    pid: Option<i32>,
    duration: Duration,
    peak_memory: u64,
    /// What it has written since it began the task; the first who takes it is who had begun it.
    pub(super) output: Option<Both>,
    /// How much more memory it held, when that was last measured, than when it got ready.
    growth: u64,
    /// Which item of its task it had begun last; of an earlier one, if this one has none.
    item: Option<u64>,
}

impl Obituary {
    fn of(link: &Link) -> Self {
        let (kind, message) = match (&link.violation, link.exit) {
            (Some(violation), _) if !link.forestalled() => {
                (TaskErrorKind::ProtocolViolation, format!("lost its worker, which was killed: {violation}"))
            }
            (_, Some((Exit::Code(code), _))) => {
                (TaskErrorKind::Exited(code), format!("ended its process with exit code {code}"))
            }
            (_, Some((Exit::Signal(number), _))) => {
                (TaskErrorKind::Killed(number), format!("was killed by {}", signal::name(number)))
            }
            (_, None) if link.orphaned => {
                (TaskErrorKind::Lost, "was lost: the pool's guardian process died, and its worker with it".to_owned())
            }
            (_, None) => (TaskErrorKind::Lost, "was lost: its process is gone, and nobody saw how".to_owned()),
        };
        let peak_memory = link.exit.map_or(0, |(_, usage)| usage.peak_memory);
        Self {
            kind,
            message,
            worker: link.id.slot,
            pid: link.pid,
            duration: link.since_moved(),
            peak_memory,
            output: None,
            growth: link.memory.growth,
            item: link.results.page().item().load(Ordering::Acquire).checked_sub(1),
        }
    }

    /// How it ended.
    pub(super) fn end(&self) -> (TaskErrorKind, String) {
        (self.kind, self.message.clone())
    }

    /// Of a task that ended with the worker, and how.
    pub(super) fn to_error(&self, job: &Job, index: u64, ending: Ending) -> TaskError {
        let (kind, message) = match ending {
            Ending::Stopped(cause) => {
                let (kind, why) = stopped(job, cause, self.growth);
                (kind, format!("{why}, and {}", self.message))
            }
            Ending::Deadly => {
                let died = format!("{MOST_DEATHS} workers died of it, and the last {}", self.message);
                (self.kind, format!("could not be begun: {died}"))
            }
            _ => (self.kind, self.message.clone()),
        };
        job.error(kind, message, index)
            .by_worker(self.worker, self.pid, Some(self.duration))
            .with_peak_memory(self.peak_memory)
            .of_item(self.item)
    }
}

/// Kind and reason of a task's being stopped.
pub(super) fn stopped(job: &Job, cause: Cause, growth: u64) -> (TaskErrorKind, String) {
    match (cause, job.terms.timeout) {
        (Cause::Cancelled, _) => (TaskErrorKind::Cancelled, "was cancelled while it ran".to_owned()),
        (Cause::Memory, _) => {
            let mebibytes = growth >> 20;
            let why = format!("had its worker hold {mebibytes} MiB more than at its start, which is above its limit");
            (TaskErrorKind::MemoryExceeded, why)
        }
        (Cause::Timeout, limit) => {
            (TaskErrorKind::TimedOut, format!("ran longer than {:?}", limit.unwrap_or_default()))
        }
    }
}

impl Core {
    /// One turn: takes note of everything that has happened.
    pub(crate) fn turn(&mut self, tokens: &[u64]) {
        // Limits are measured up to here: what came in time and is only read below, because this process was slow or
        // stopped, is not late.
        let begun = Instant::now();
        // A turn for what was rung for in memory only need not ask it.
        let guardian_speaks = !tokens.is_empty() || self.awaits_reports();
        let mut guardian_gone = false;
        for token in tokens {
            match Token::from_u64(*token) {
                Token::Wake | Token::Guardian => {}
                // Another thread may have dealt with that one's death, and started the next.
                Token::GuardianDeath => {
                    guardian_gone |= self.guardian.as_ref().is_some_and(|it| it.pidfd().dead_within(Duration::ZERO));
                }
                Token::Link(id) => {
                    if let Some(link) = self.link(id) {
                        link.readable = true;
                        link.stirred = true;
                        self.flush_later(id);
                    }
                }
                Token::Output(id) => self.stir_output(id, 0),
                Token::Errors(id) => self.stir_output(id, 1),
                Token::Death(id) => {
                    let Some(link) = self.links.get_mut(&id) else { continue };
                    link.dead_since.get_or_insert_with(Instant::now);
                    // It is readable for ever: until the guardian has said how it ended, nobody need look again.
                    if let Some(pidfd) = &link.pidfd {
                        self.poller.remove(pidfd);
                    }
                }
            }
        }
        guardian_gone |= guardian_speaks && self.hear_guardian().is_err();
        if without(Protection::DrainBeforeJudging) {
            self.judge(begun);
        }
        self.collect_all();
        self.judge(begun);
        self.examine();
        self.hurry_guardian(begun);
        if guardian_gone {
            self.lose_guardian();
        }
        self.handle(Event::DeadlinePassed);
    }

    /// Whether the guardian has something to report, which may have come after the poller looked: nobody is judged, nor is it itself,
    /// before it is heard.
    fn awaits_reports(&self) -> bool {
        let refused = self.guardian.as_ref().is_some_and(Guardian::has_refused);
        refused || self.guardian_limit().is_some() || self.links.values().any(|link| link.dead_since.is_some())
    }

    fn hear_guardian(&mut self) -> std::io::Result<()> {
        loop {
            let Some(guardian) = &mut self.guardian else { return Ok(()) };
            guardian.flush()?;
            let report = guardian.receive()?;
            if report.is_some() {
                self.guardian_heard = Instant::now();
            }
            match report {
                None => break,
                Some(Report::Started { slot, generation, pid, pidfd: Some(pidfd) }) => {
                    self.started(WorkerId { slot, generation }, pid, pidfd);
                }
                Some(Report::Started { slot, generation, pidfd: None, .. }) => {
                    // It leaves when its link is closed, which is what a failed start does.
                    let why = format!("worker {slot} cannot be watched: too many descriptors are open, or under way");
                    self.start_prevented(WorkerId { slot, generation }, why, true);
                }
                Some(Report::StartFailed { slot, generation, errno }) => {
                    let error = std::io::Error::from_raw_os_error(errno);
                    let why = format!("the system did not start worker {slot}: {error}");
                    self.start_prevented(WorkerId { slot, generation }, why, is_shortage(&error));
                }
                Some(Report::Exited(exit)) => {
                    let id = WorkerId { slot: exit.slot, generation: exit.generation };
                    if let Some(link) = self.link(id) {
                        link.exit = Some((exit.exit, exit.usage));
                        link.dead_since.get_or_insert_with(Instant::now);
                    }
                }
                Some(Report::Ready) => self.guardian_ready(),
                Some(Report::Failed(why)) => self.post.confession = Some(why),
            }
        }
        self.watch_guardian();
        Ok(())
    }

    fn started(&mut self, id: WorkerId, pid: i32, pidfd: ganger_os::child::PidFd) {
        let Some(link) = self.links.get_mut(&id) else {
            // Nobody waits for it any more.
            pidfd.kill();
            return;
        };
        link.pid = Some(pid);
        if link.doomed {
            pidfd.kill();
        }
        // Should the watch fail, the guardian still reports the death.
        let _ = self.poller.add(&pidfd, Token::Death(id).to_u64(), Interest::Read);
        link.pidfd = Some(pidfd);
    }

    fn stir_output(&mut self, id: WorkerId, stream: usize) {
        if let Some(output) = self.link(id).and_then(Link::output) {
            output.stir(stream);
        }
    }

    pub(super) fn collect_all(&mut self) {
        let workers: Vec<WorkerId> = self.links.keys().copied().collect();
        for worker in workers {
            self.collect(worker);
        }
    }

    /// Reads one worker's results and completes their tasks.
    fn collect(&mut self, id: WorkerId) {
        let notable = self.notable();
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut haul = Haul::like(&self.haul);
        haul.note_above(notable);
        let was_read = link.is_read();
        let sound = link.collect_with_output(&mut haul);
        if let Err(violation) = sound {
            tracing::error!(worker = id.slot, violation, "a worker broke the protocol");
            link.violation.get_or_insert(violation);
        } else if link.dead_since.is_none() && link.violation.is_none() && link.lives_on() {
            link.lived_on = true;
            link.violation = Some(link.doubt().to_owned());
        }
        link.unwatch_ended(&self.poller, was_read);
        let to_kill = link.violation.is_some() && link.dead_since.is_none();
        // A fast one may say so before the guardian has said that it exists; what it fails at then would have no process.
        let ready = link.ready && link.pid.is_some() && !link.counted;
        if ready && self.memory_limits.any() {
            link.begin_measuring(link.base);
        }
        if ready {
            let now = Instant::now();
            link.counted = true;
            link.ready_since = Some(now);
            link.disown_output();
            link.answered(now);
            self.ledger.ready(link, now);
        }
        let (count, nanos) = (haul.len(), haul.nanos());
        self.record_reading(id, &mut haul);
        haul.keep_slowest(SLOWEST);
        self.put_strays(id);
        if count > 0 {
            self.ledger.worked(id.slot, count, Duration::from_nanos(nanos));
            self.haul = Arc::new(haul);
            self.haul_used = 0;
        }
        if ready {
            tracing::debug!(worker = id.slot, "a worker is ready");
            self.handle(Event::WorkerReady(id));
            self.check_shortage();
        }
        if count > 0 {
            self.finish(id, count, nanos);
        }
        if to_kill {
            self.kill(id);
        }
    }

    /// Tells the state machine of the results in the haul, and of each failure apart: it may be tried again.
    fn finish(&mut self, worker: WorkerId, count: u32, nanos: u64) {
        let haul = self.haul.clone();
        let failures = haul.failures(0, count);
        let of_failures = failures.iter().fold(0, |sum: u64, failed| sum.saturating_add(failed.nanos));
        let each = nanos.saturating_sub(of_failures) / u64::from(count - failures.len() as u32).max(1);
        let mut next = 0;
        for failed in failures {
            self.finish_values(worker, failed.place - next, each);
            let failure = super::complete::failure_of(failed.status);
            self.handle(Event::Failed { worker, nanos: failed.nanos, failure });
            next = failed.place + 1;
        }
        self.finish_values(worker, count - next, each);
    }

    fn finish_values(&mut self, worker: WorkerId, count: u32, each: u64) {
        if count > 0 {
            self.handle(Event::Finished { worker, count, nanos: each.saturating_mul(count.into()) });
        }
    }

    /// Judges the dead: those whose end the guardian has reported, and those for which it took too long to.
    fn judge(&mut self, begun: Instant) {
        let late = |since| begun.saturating_duration_since(since) >= LOST;
        let judged = |link: &Link, since| link.exit.is_some() || link.orphaned || late(since);
        let dead = self.links.values().filter(|link| link.dead_since.is_some_and(|since| judged(link, since)));
        let dead: Vec<WorkerId> = dead.map(|link| link.id).collect();
        for id in dead {
            self.bury(id);
        }
    }

    pub(super) fn bury(&mut self, id: WorkerId) {
        let Some(link) = self.link(id) else { return };
        link.readable = true;
        if !without(Protection::DrainBeforeJudging) {
            self.collect(id);
        }
        let Some(mut link) = self.drop_link(id) else { return };
        let mut obituary = Obituary::of(&link);
        obituary.output = link.last_output();
        self.put_strays_of(&mut link);
        self.note_departure(&mut link, &obituary);
        self.ledger.gone(&link);
        tracing::debug!(worker = id.slot, pid = link.pid, end = obituary.message, "a worker is dead");
        if let Some(unready) = &link.unready {
            self.cause = Some(unready.clone());
        } else if !link.ready && !link.orphaned {
            self.cause = Some(format!("worker {} {} before it was ready", id.slot, obituary.message));
        }
        let claimed = link.claimed();
        let begun = self.state.begun(id, claimed);
        if let Some(span) = begun {
            self.note_last(span, &link);
        }
        let blameless = !link.orphaned && begun.is_none();
        if blameless && link.ready {
            self.cause = Some(format!("worker {} {} while it had no task", id.slot, obituary.message));
        }
        self.obituary = Some(obituary);
        self.handle(Event::WorkerExited { worker: id, claimed, taking: link.was_taking() });
        // Nobody has taken it: the worker had no task.
        if let Some(output) = self.obituary.take().and_then(|obituary| obituary.output) {
            self.put_output(None, (id.slot, link.pid), output);
        }
    }
}
