//! What the workers are doing, for people who ask.

use super::core::Core;
use crate::pool::status::{RunningTask, WorkerStatus};

impl Core {
    /// The workers that live, by their place in the gang. What has arrived is taken in first, so that no task seems to run
    /// whose result is there.
    pub(crate) fn inspect(&mut self) -> Vec<WorkerStatus> {
        self.collect_all();
        let mut workers: Vec<WorkerStatus> = self
            .living()
            .map(|(link, pid)| {
                let begun = self.state.begun(link.id, link.claimed());
                let running = begun.and_then(|span| {
                    let stored = self.chunks.get(&span.chunk)?;
                    let index = stored.first + u64::from(span.first);
                    Some(RunningTask { task: stored.job.name.clone(), index, elapsed: link.since_moved() })
                });
                let leaving = self.state.is_leaving(link.id);
                WorkerStatus { slot: link.id.slot, pid, ready: link.ready, leaving, running }
            })
            .collect();
        workers.sort_unstable_by_key(|worker| worker.slot);
        workers
    }
}
