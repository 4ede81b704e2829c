//! The reference for priorities: nothing is sent while something more urgent waits that the supervisor knows of. What is
//! tried again is left out: whether it waits for its time or for a worker is not known here.

use std::collections::BTreeMap;

use super::model::{Model, Place};
use super::world::TaskId;
use crate::supervisor::event::Span;

/// What waits, by priority.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    waiting: BTreeMap<i32, u64>,
    /// What came back while actions were carried out that were decided before: it counts from the next decision on.
    pub(super) returned: Vec<TaskId>,
}

impl Model {
    /// Counts a task that waits.
    pub(super) fn rank(&mut self, id: TaskId) {
        let priority = self.job_of(id).terms.priority;
        let task = self.task(id);
        if task.place == Place::Waiting && task.failed == 0 && !std::mem::replace(&mut task.ranked, true) {
            *self.ranks.waiting.entry(priority).or_default() += 1;
        }
    }

    /// Counts it no more.
    pub(super) fn unrank(&mut self, id: TaskId) {
        if std::mem::take(&mut self.task(id).ranked) {
            let priority = self.job_of(id).terms.priority;
            *self.ranks.waiting.entry(priority).or_default() -= 1;
        }
    }

    /// Counts what has come back.
    pub(super) fn rank_returned(&mut self) {
        for id in std::mem::take(&mut self.ranks.returned) {
            self.rank(id);
        }
    }

    /// Whether nothing more urgent waits than what is sent.
    pub(super) fn check_rank(&mut self, span: Span) {
        if self.task((span.chunk, span.first)).alone {
            return;
        }
        let priority = self.job_of((span.chunk, span.first)).terms.priority;
        let above = self.ranks.waiting.range(priority..).find(|(other, count)| **other > priority && **count > 0);
        let text = above.map(|(other, count)| format!("{span:?} is sent while {count} of priority {other} wait"));
        self.require(text.is_none(), || text.unwrap_or_default());
    }
}
