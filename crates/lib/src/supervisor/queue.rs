//! The tasks that wait, in the order in which they were submitted.

use std::collections::VecDeque;

use super::event::{JobId, Span};

/// Spans of tasks, first in, first out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    spans: VecDeque<Span>,
    tasks: u64,
}

impl Queue {
    pub(super) fn tasks(&self) -> u64 {
        self.tasks
    }

    pub(super) fn front_job(&self) -> Option<JobId> {
        self.spans.front().map(|span| span.job)
    }

    pub(super) fn push_back(&mut self, span: Span) {
        self.tasks += u64::from(span.count);
        self.spans.push_back(span);
    }

    /// Returns tasks that were taken back to where they came from.
    pub(super) fn push_front(&mut self, span: Span) {
        self.tasks += u64::from(span.count);
        self.spans.push_front(span);
    }

    /// Takes at most `most` tasks of the first span.
    pub(super) fn pop(&mut self, most: u32) -> Option<Span> {
        let front = self.spans.front_mut()?;
        let taken = if front.count <= most { self.spans.pop_front()? } else { front.split_off_front(most) };
        self.tasks -= u64::from(taken.count);
        Some(taken)
    }

    /// Takes everything out that `unwanted` says.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let (removed, kept): (Vec<_>, Vec<_>) = self.spans.drain(..).partition(unwanted);
        self.tasks -= removed.iter().map(|span| u64::from(span.count)).sum::<u64>();
        self.spans = kept.into();
        removed
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<Span> {
        self.tasks = 0;
        self.spans.drain(..).collect()
    }
}
