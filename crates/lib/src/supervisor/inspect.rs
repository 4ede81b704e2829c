//! What the workers are doing, for people who ask.

use super::core::Core;
use crate::pool::status::{RunningTask, WorkerStatus};

impl Core {
    /// The workers that live, by their place in the gang. What has arrived is taken in first, so that no task seems to run
    /// whose result is there.
    pub(crate) fn inspect(&mut self) -> Vec<WorkerStatus> {
        self.collect_all();
        let alive = self.links.values().filter(|link| link.dead_since.is_none() && !self.state.is_beside(link.id));
        let mut workers: Vec<WorkerStatus> = alive
            .filter_map(|link| {
                let begun = self.state.begun(link.id, link.claimed());
                let running = begun.and_then(|span| {
                    let stored = self.chunks.get(&span.chunk)?;
                    let index = stored.first + u64::from(span.first);
                    Some(RunningTask { task: stored.job.name.clone(), index, elapsed: link.since_moved() })
                });
                let (slot, pid) = (link.id.slot, link.pid?.cast_unsigned());
                Some(WorkerStatus { slot, pid, ready: link.ready, leaving: self.state.is_leaving(link.id), running })
            })
            .collect();
        workers.sort_unstable_by_key(|worker| worker.slot);
        workers
    }
}
