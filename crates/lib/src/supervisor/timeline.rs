//! Which worker ran what when, for those who have asked for it.
//!
//! Workers say how long each task took, and not when. So the results of one reading are laid out backwards from the time of the
//! reading, though never into what is there already of that worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::event::WorkerId;
use super::haul::Haul;
use crate::pool::job::Job;
use crate::pool::timeline::{TaskSpan, Timeline};

/// Shorter tasks are recorded by the batch.
const SHORT_NANOS: u64 = 20_000;

/// Spans, of which there are never more than a certain number.
#[derive(Debug)]
pub(super) struct Recorder {
    most: usize,
    lanes: Lanes,
    /// Up to where there is something already, or could be: by place in the gang.
    ends: Vec<Instant>,
    began: Instant,
    missed: u64,
    layout: Layout,
}

/// Spans of several workers; what one of them has follows each other.
#[derive(Debug, Default)]
struct Lanes {
    spans: Vec<TaskSpan>,
    /// Where the last span of each place is.
    last: Vec<Option<usize>>,
    /// Neighbours that are together no longer than this are one.
    resolution: Duration,
}

/// How what was just read is laid out.
#[derive(Debug)]
struct Layout {
    /// Where the next task begins.
    cursor: Instant,
    /// When it was read.
    read: Instant,
    /// By what the time that a task took is multiplied: less than 1 where there would not be enough room.
    scale: f64,
    /// What is taken for the time of a short task.
    each: u64,
}

impl Recorder {
    fn new(most: usize, now: Instant) -> Self {
        let layout = Layout { cursor: now, read: now, scale: 1.0, each: 0 };
        Self { most, lanes: Lanes::default(), ends: Vec::new(), began: now, missed: 0, layout }
    }

    fn end(&mut self, slot: u32) -> &mut Instant {
        let slot = slot as usize;
        if self.ends.len() <= slot {
            self.ends.resize(slot + 1, self.began);
        }
        &mut self.ends[slot]
    }

    /// Tasks of a worker that took `nanos` together have ended until now, or shortly before.
    fn lay_out(&mut self, slot: u32, read: Instant, nanos: u64, each: u64) {
        let asked = Duration::from_nanos(nanos);
        let end = *self.end(slot);
        let cursor = read.checked_sub(asked).map_or(end, |start| start.max(end));
        let room = read.saturating_duration_since(cursor);
        let scale = if asked > room { room.as_secs_f64() / asked.as_secs_f64() } else { 1.0 };
        self.layout = Layout { cursor, read, scale, each };
    }

    /// Takes down results that follow each other: those from `from` up to `to`, of which the first has this index.
    fn results(&mut self, slot: u32, task: &Arc<str>, index: u64, haul: &Haul, (from, to): (u32, u32)) {
        let index_of = |place: u32| index + u64::from(place - from);
        let mut next = from;
        for (place, nanos) in haul.laps(from, to) {
            self.short(slot, task, index_of(next), place - next);
            self.add(slot, task, (index_of(*place), 1), *nanos);
            next = place + 1;
        }
        self.short(slot, task, index_of(next), to - next);
    }

    fn short(&mut self, slot: u32, task: &Arc<str>, index: u64, count: u32) {
        if count > 0 {
            self.add(slot, task, (index, count.into()), self.layout.each.saturating_mul(count.into()));
        }
    }

    fn add(&mut self, slot: u32, task: &Arc<str>, (index, tasks): (u64, u64), nanos: u64) {
        let (start, work) = (self.layout.cursor, Duration::from_nanos(nanos));
        let end = start.checked_add(work.mul_f64(self.layout.scale)).unwrap_or(self.layout.read).min(self.layout.read);
        self.layout.cursor = end;
        *self.end(slot) = end;
        self.keep(TaskSpan { worker: slot, task: task.clone(), index, tasks, start, end, work });
    }

    fn keep(&mut self, span: TaskSpan) {
        if self.lanes.spans.len() >= self.most {
            self.lanes.thin(self.most / 2, span.end.saturating_duration_since(self.began));
        }
        if self.lanes.spans.len() < self.most || self.lanes.joins(&span) {
            self.lanes.put(span);
        } else {
            self.missed += span.tasks;
        }
    }
}

impl Lanes {
    fn last(&mut self, slot: u32) -> &mut Option<usize> {
        let slot = slot as usize;
        if self.last.len() <= slot {
            self.last.resize(slot + 1, None);
        }
        &mut self.last[slot]
    }

    /// Whether a span would be one with its neighbour.
    fn joins(&mut self, span: &TaskSpan) -> bool {
        let Some(last) = *self.last(span.worker) else { return false };
        let last = &self.spans[last];
        last.task == span.task && span.end.saturating_duration_since(last.start) <= self.resolution
    }

    fn put(&mut self, span: TaskSpan) {
        let place = self.spans.len();
        if self.joins(&span)
            && let Some(last) = *self.last(span.worker)
        {
            let last = &mut self.spans[last];
            last.tasks += span.tasks;
            last.end = span.end;
            last.work = last.work.saturating_add(span.work);
        } else {
            *self.last(span.worker) = Some(place);
            self.spans.push(span);
        }
    }

    /// Puts neighbours together until only so many spans are left, or none are neighbours any more within all of this time.
    fn thin(&mut self, wanted: usize, all: Duration) {
        while self.spans.len() > wanted && self.resolution < all {
            self.resolution = (self.resolution * 2).max(Duration::from_micros(1));
            self.last.clear();
            std::mem::take(&mut self.spans).into_iter().for_each(|span| self.put(span));
        }
    }
}

impl Core {
    /// Begins to record, in at most so many spans.
    pub(crate) fn record_timeline(&mut self, most: usize) {
        // What has ended already does not belong to it.
        self.collect_all();
        self.recorder = Some(Recorder::new(most, Instant::now()));
    }

    /// What has been recorded.
    pub(crate) fn timeline(&mut self) -> Timeline {
        self.collect_all();
        let Some(recorder) = &self.recorder else { return Timeline { spans: Vec::new(), missed: 0 } };
        let mut spans = recorder.lanes.spans.clone();
        spans.sort_by_key(|span| (span.worker, span.start));
        Timeline { spans, missed: recorder.missed }
    }

    /// Tasks that took longer than so many nanoseconds are noted by those who read results.
    pub(super) fn notable(&self) -> u64 {
        let remarkable = self.ledger.remarkable();
        if self.recorder.is_some() { remarkable.min(SHORT_NANOS) } else { remarkable }
    }

    /// Results of this worker were read; they are recorded when they are handed over.
    pub(super) fn record_reading(&mut self, worker: WorkerId, haul: &mut Haul) {
        if let Some(recorder) = &mut self.recorder
            && haul.len() > 0
        {
            let each = haul.keep_laps(SHORT_NANOS);
            recorder.lay_out(worker.slot, Instant::now(), haul.nanos(), each);
        }
    }

    /// Records results of the haul.
    pub(super) fn record(&mut self, job: &Job, index: u64, places: (u32, u32), worker: WorkerId) {
        if let Some(recorder) = &mut self.recorder {
            recorder.results(worker.slot, &job.name, index, &self.haul, places);
        }
    }

    /// Records a task that has ended with its worker after this time.
    pub(super) fn record_last(&mut self, task: &Arc<str>, index: u64, worker: WorkerId, time: Duration) {
        if let Some(recorder) = &mut self.recorder {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            recorder.lay_out(worker.slot, Instant::now(), nanos, 0);
            recorder.add(worker.slot, task, (index, 1), nanos);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    /// A reading of results that took these nanoseconds, `at` milliseconds after the beginning.
    fn read(recorder: &mut Recorder, slot: u32, task: &Arc<str>, at: u64, times: &[u64]) {
        let mut haul = Haul::default();
        haul.note_above(SHORT_NANOS);
        times.iter().for_each(|nanos| haul.push(0, *nanos, |_| {}));
        let each = haul.keep_laps(SHORT_NANOS);
        recorder.lay_out(slot, recorder.began + Duration::from_millis(at), haul.nanos(), each);
        recorder.results(slot, task, 0, &haul, (0, haul.len()));
    }

    /// Worker, tasks, start, end and work of all spans, in microseconds.
    fn spans(recorder: &Recorder) -> Vec<(u32, u64, u128, u128, u128)> {
        let micros = |at: Instant| at.duration_since(recorder.began).as_micros();
        let spans = recorder.lanes.spans.iter();
        spans.map(|it| (it.worker, it.tasks, micros(it.start), micros(it.end), it.work.as_micros())).collect()
    }

    #[test]
    fn results_end_when_they_are_read_and_short_ones_are_one_span() {
        let mut recorder = Recorder::new(100, Instant::now());
        let task = "app::f".into();
        read(&mut recorder, 0, &task, 10, &[2 * MILLI, 1_000, 3_000, MILLI]);
        read(&mut recorder, 1, &task, 10, &[MILLI]);
        let expected = [
            (0, 1, 6_996, 8_996, 2_000),
            (0, 2, 8_996, 9_000, 4),
            (0, 1, 9_000, 10_000, 1_000),
            (1, 1, 9_000, 10_000, 1_000),
        ];
        assert_eq!(spans(&recorder), expected);
    }

    #[test]
    fn what_does_not_fit_behind_the_last_is_pressed_together() {
        let mut recorder = Recorder::new(100, Instant::now());
        let task = "app::f".into();
        read(&mut recorder, 0, &task, 10, &[4 * MILLI]);
        read(&mut recorder, 0, &task, 12, &[3 * MILLI, MILLI]);
        // A number in a worker's memory can be anything.
        read(&mut recorder, 0, &task, 13, &[u64::MAX, u64::MAX]);
        let spans = spans(&recorder);
        assert_eq!(
            spans[..3],
            [(0, 1, 6_000, 10_000, 4_000), (0, 1, 10_000, 11_500, 3_000), (0, 1, 11_500, 12_000, 1_000)]
        );
        assert!(spans[3..].iter().all(|span| (12_000..=13_000).contains(&span.2) && span.3 <= 13_000), "{spans:?}");
    }

    #[test]
    fn there_are_never_more_spans_than_wanted_and_no_task_is_lost() {
        for most in [2, 3, 10, 64] {
            let mut recorder = Recorder::new(most, Instant::now());
            let task = "app::f".into();
            for at in 1..=2_000 {
                read(&mut recorder, (at % 2) as u32, &task, at, &[MILLI]);
                assert!(recorder.lanes.spans.len() <= most);
            }
            let spans = spans(&recorder);
            assert_eq!(spans.iter().map(|span| span.1).sum::<u64>() + recorder.missed, 2_000);
            assert_eq!(recorder.missed, 0, "{most}");
            assert_eq!(spans.iter().map(|span| span.4).sum::<u128>(), 2_000_000, "all of the work");
            for lane in [0, 1] {
                let lane: Vec<_> = spans.iter().filter(|span| span.0 == lane).collect();
                assert!(lane.windows(2).all(|pair| pair[0].3 <= pair[1].2), "{lane:?}");
            }
        }
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut recorder = Recorder::new(3, Instant::now());
        for at in 1..=10 {
            read(&mut recorder, 0, &format!("app::f{at}").into(), at, &[MILLI]);
        }
        assert_eq!((recorder.lanes.spans.len(), recorder.missed), (3, 7));
        let mut recorder = Recorder::new(0, Instant::now());
        read(&mut recorder, 0, &"app::f".into(), 1, &[MILLI, 1]);
        assert_eq!((recorder.lanes.spans.len(), recorder.missed), (0, 2));
    }
}
