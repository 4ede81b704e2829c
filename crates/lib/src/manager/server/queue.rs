//! A queue of at most `capacity` values.

use std::collections::VecDeque;

use super::object::Flow;
use super::values::append_count;
use crate::error::ErrorKind;
use crate::manager::protocol::{Fault, QueueOp};

#[derive(Debug)]
pub(super) struct Queue {
    values: VecDeque<Vec<u8>>,
    capacity: usize,
}

impl Queue {
    pub(super) fn new(capacity: u64) -> Self {
        Self { values: VecDeque::new(), capacity: usize::try_from(capacity).unwrap_or(usize::MAX) }
    }

    pub(super) fn run(&mut self, op: QueueOp<'_>, out: &mut Vec<u8>) -> Result<Flow, Fault> {
        match op {
            QueueOp::Put(value, patience) => {
                if self.values.len() < self.capacity {
                    self.values.push_back(value.0.to_vec());
                    return Ok(Flow::Changed);
                }
                let text =
                    || format!("the queue is full: it has all of the {} value(s) that it may have", self.capacity);
                waiting(patience, ErrorKind::Full, text)
            }
            QueueOp::Get(patience) => match self.values.pop_front() {
                Some(value) => {
                    out.extend(value);
                    Ok(Flow::Changed)
                }
                None => waiting(patience, ErrorKind::Empty, || "the queue is empty".to_owned()),
            },
            QueueOp::Len => {
                append_count(self.values.len(), out);
                Ok(Flow::Done)
            }
        }
    }
}

/// Waits, unless that is not wanted.
fn waiting(patience: Option<u64>, kind: ErrorKind, text: impl FnOnce() -> String) -> Result<Flow, Fault> {
    if patience == Some(0) { Err(Fault::new(kind, text())) } else { Ok(Flow::Waits(patience, None)) }
}
