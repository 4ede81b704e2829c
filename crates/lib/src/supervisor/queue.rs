//! The tasks that wait: by priority, and in the order of their submission among equals.
//!
//! Nearly all pools have one priority, and the queue is on the way of every batch: that one has a line of its own, and the
//! others cost nothing while there are none.

use std::collections::{BTreeMap, VecDeque};

use super::event::{JobId, Span};

/// What a task has that nobody gave a priority.
const USUAL: i32 = 0;

/// Spans of tasks, those with the highest priority first, else first in, first out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    usual: Line,
    /// Those with another priority; none is empty.
    others: BTreeMap<i32, Line>,
    /// In all lines.
    tasks: u64,
}

/// Spans of one priority.
#[derive(Debug, Default)]
struct Line {
    spans: VecDeque<Span>,
    tasks: u64,
}

impl Queue {
    pub(super) fn tasks(&self) -> u64 {
        self.tasks
    }

    /// The highest priority of all that waits.
    pub(super) fn top(&self) -> Option<i32> {
        (self.tasks > 0).then(|| self.front_priority())
    }

    /// How many tasks wait that have the highest priority of all that do.
    pub(super) fn front_tasks(&self) -> u64 {
        self.front().map_or(0, |line| line.tasks)
    }

    pub(super) fn front_job(&self) -> Option<JobId> {
        self.front()?.spans.front().map(|span| span.job)
    }

    pub(super) fn push_back(&mut self, span: Span) {
        self.line(span).spans.push_back(span);
    }

    /// Returns tasks that were taken back to where they came from.
    pub(super) fn push_front(&mut self, span: Span) {
        self.line(span).spans.push_front(span);
    }

    /// Takes at most `most` tasks of the first span.
    pub(super) fn pop(&mut self, most: u32) -> Option<Span> {
        let priority = self.front_priority();
        if priority == USUAL {
            let taken = self.usual.pop(most)?;
            self.tasks -= u64::from(taken.count);
            return Some(taken);
        }
        let line = self.others.get_mut(&priority)?;
        let taken = line.pop(most)?;
        self.tasks -= u64::from(taken.count);
        if line.tasks == 0 {
            self.others.remove(&priority);
        }
        Some(taken)
    }

    /// Takes everything out that `unwanted` says.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let mut removed = Vec::new();
        for line in self.others.values_mut().rev().chain([&mut self.usual]) {
            removed.extend(line.remove(&unwanted));
        }
        self.others.retain(|_, line| line.tasks > 0);
        self.tasks -= removed.iter().map(|span| u64::from(span.count)).sum::<u64>();
        removed
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<Span> {
        self.remove(|_| true)
    }

    /// The line that a span belongs to, where it is counted already.
    fn line(&mut self, span: Span) -> &mut Line {
        self.tasks += u64::from(span.count);
        let line = if span.priority == USUAL { &mut self.usual } else { self.others.entry(span.priority).or_default() };
        line.tasks += u64::from(span.count);
        line
    }

    fn front(&self) -> Option<&Line> {
        match self.front_priority() {
            USUAL => Some(&self.usual),
            other => self.others.get(&other),
        }
    }

    /// The priority of what comes next; the usual one when nothing waits.
    fn front_priority(&self) -> i32 {
        match self.others.last_key_value() {
            None => USUAL,
            Some((&highest, _)) if highest < USUAL && self.usual.tasks > 0 => USUAL,
            Some((&highest, _)) => highest,
        }
    }
}

impl Line {
    fn pop(&mut self, most: u32) -> Option<Span> {
        let front = self.spans.front_mut()?;
        let taken = if front.count <= most { self.spans.pop_front()? } else { front.split_off_front(most) };
        self.tasks -= u64::from(taken.count);
        Some(taken)
    }

    fn remove(&mut self, unwanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let (removed, kept): (Vec<_>, Vec<_>) = self.spans.drain(..).partition(unwanted);
        self.tasks -= removed.iter().map(|span| u64::from(span.count)).sum::<u64>();
        self.spans = kept.into();
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::event::ChunkId;

    fn span(priority: i32, chunk: u64, count: u32) -> Span {
        Span { chunk: ChunkId(chunk), job: JobId(0), first: 0, count, priority }
    }

    /// What comes out, task by task, as the number of its chunk.
    fn order(mut queue: Queue) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some(span) = queue.pop(1) {
            order.push(span.chunk.0);
        }
        assert_eq!((queue.tasks(), queue.top(), queue.others.len()), (0, None, 0));
        order
    }

    #[test]
    fn higher_comes_first_and_equals_in_their_order() {
        for (submitted, expected) in [
            (&[(0, 1), (0, 2), (0, 3)][..], &[1, 2, 3][..]),
            (&[(0, 1), (5, 2), (0, 3), (5, 4)], &[2, 4, 1, 3]),
            (&[(-1, 1), (0, 2), (-2, 3), (-1, 4)], &[2, 1, 4, 3]),
            (&[(i32::MIN, 1), (-7, 2), (i32::MAX, 3)], &[3, 2, 1]),
        ] {
            let mut queue = Queue::default();
            submitted.iter().for_each(|(priority, chunk)| queue.push_back(span(*priority, *chunk, 1)));
            assert_eq!(order(queue), expected, "{submitted:?}");
        }
    }

    #[test]
    fn what_comes_back_is_the_first_of_its_priority() {
        let mut queue = Queue::default();
        queue.push_back(span(1, 1, 2));
        queue.push_back(span(0, 2, 1));
        queue.push_front(span(0, 3, 1));
        queue.push_front(span(1, 4, 1));
        assert_eq!((queue.tasks(), queue.front_tasks(), queue.top()), (5, 3, Some(1)));
        assert_eq!(order(queue), [4, 1, 1, 3, 2]);
    }

    #[test]
    fn what_is_removed_is_counted_nowhere() {
        let mut queue = Queue::default();
        (0..6).for_each(|chunk| queue.push_back(span(chunk as i32 % 3 - 1, chunk, 2)));
        assert_eq!(queue.remove(|span| span.chunk.0 >= 2).len(), 4);
        assert_eq!((queue.tasks(), queue.front_tasks(), queue.top()), (4, 2, Some(0)));
        assert_eq!(queue.drain().len(), 2);
        assert_eq!(order(queue), [0_u64; 0]);
    }
}
