//! An event.

use super::object::Flow;
use super::values::append_plain;
use crate::manager::protocol::EventOp;

#[derive(Debug, Default)]
pub(super) struct Event(bool);

impl Event {
    pub(super) fn run(&mut self, op: EventOp, out: &mut Vec<u8>) -> Flow {
        match op {
            EventOp::Set => {
                self.0 = true;
                return Flow::Changed;
            }
            EventOp::Clear => self.0 = false,
            EventOp::IsSet => append_plain(&self.0, out),
            EventOp::Wait(patience) if !self.0 && patience != Some(0) => return Flow::Waits(patience, None),
            EventOp::Wait(_) => append_plain(&self.0, out),
        }
        Flow::Done
    }

    /// What the wait that has lasted long enough returns.
    pub(super) fn give_up(&self, out: &mut Vec<u8>) {
        append_plain(&self.0, out);
    }
}
