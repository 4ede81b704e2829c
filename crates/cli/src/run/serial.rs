//! Calls the task in this process.

use super::engine::{Consumer, Engine, Flow, Outcome, Records, Report, TaskFailure};
use super::flight::Flight;
use crate::exit::Abort;
use crate::halt::Halt;
use crate::signals::Controls;
use ganger::as_task;
use ganger::registry::{Failure, TaskEntry};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Is the engine without workers.
#[derive(Debug)]
pub(crate) struct Serial {
    seed: u64,
    /// The index of the task that runs, plus one; 0 for none.
    running: Arc<AtomicU64>,
}

impl Serial {
    /// Makes an engine; without a seed, tasks draw other random numbers in each run.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        catch_places();
        Self { seed: seed.unwrap_or_else(|| RandomState::new().build_hasher().finish()), running: Arc::default() }
    }
}

impl Engine for Serial {
    fn run(
        &mut self,
        task: &'static TaskEntry,
        records: Records,
        _ordered: bool,
        consumer: &mut dyn Consumer,
    ) -> Result<Report, Abort> {
        for (index, payload) in (0..).zip(records) {
            self.running.store(index + 1, Ordering::SeqCst);
            let outcome = call(task, &payload, self.seed, index);
            self.running.store(0, Ordering::SeqCst);
            if consumer.take(index, outcome) == Flow::Stop {
                break;
            }
        }
        Ok(Report { description: "serial".to_owned() })
    }

    fn controls(&self, flight: Arc<Flight>, halt: Arc<Halt>) -> Arc<dyn Controls> {
        Arc::new(SerialControls { running: self.running.clone(), flight, halt, started: Instant::now() })
    }
}

/// Acts on a run within this process.
struct SerialControls {
    running: Arc<AtomicU64>,
    flight: Arc<Flight>,
    halt: Arc<Halt>,
    started: Instant,
}

impl SerialControls {
    fn index(&self) -> Option<u64> {
        self.running.load(Ordering::SeqCst).checked_sub(1)
    }
}

impl Controls for SerialControls {
    fn stop(&self) -> usize {
        self.halt.raise();
        self.index().into_iter().count()
    }

    fn kill(&self) -> bool {
        // A task that runs in this process ends with it.
        false
    }

    fn pause(&self, stop: &mut dyn FnMut()) {
        stop();
    }

    fn describe(&self) -> Vec<String> {
        let index = self.index();
        let mut lines = vec![self.flight.state_line(index.into_iter().count() as u64, self.started.elapsed())];
        let place = index.and_then(|index| self.flight.place(index));
        lines.extend(place.map(|place| format!("state: this process (pid {}) runs {place}", std::process::id())));
        lines
    }
}

fn call(task: &TaskEntry, payload: &[u8], seed: u64, index: u64) -> Outcome {
    let started = Instant::now();
    let mut value = Vec::new();
    IN_TASK.set(true);
    // What a panic leaves half done belongs to the task; of ours only `value` is shared, and it is dropped.
    let result = catch_unwind(AssertUnwindSafe(|| as_task(seed, index, || task.call(payload, &mut value))));
    IN_TASK.set(false);
    let (kind, message) = match result {
        Ok(Ok(())) => return Outcome::Value(value),
        Ok(Err(Failure::Failed(text))) => ("failed", text),
        Ok(Err(failure @ Failure::NotDeserializable(_))) => ("not-deserializable", failure.to_string()),
        Ok(Err(failure @ Failure::NotSerializable(_))) => ("not-serializable", failure.to_string()),
        Err(panic) => ("panicked", panic_message(panic.as_ref())),
    };
    Outcome::Error(TaskFailure {
        kind,
        message,
        attempt: 1,
        worker: None,
        pid: Some(std::process::id()),
        duration: Some(started.elapsed()),
        printed: None,
    })
}

thread_local! {
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes where a task panics instead of printing it: the failure's line says it. Other panics are printed as before.
fn catch_places() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if IN_TASK.get() {
            PLACE.set(info.location().map(ToString::to_string));
        } else {
            previous(info);
        }
    }));
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a value that is no text");
    match PLACE.take() {
        Some(place) => format!("{text} ({place})"),
        None => text.to_owned(),
    }
}
