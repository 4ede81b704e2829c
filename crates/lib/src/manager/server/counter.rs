//! A counter.

use super::values::append_plain;
use crate::error::ErrorKind;
use crate::manager::protocol::{CounterOp, Fault};

#[derive(Debug, Default)]
pub(super) struct Counter(i64);

impl Counter {
    pub(super) fn run(&mut self, op: CounterOp, out: &mut Vec<u8>) -> Result<(), Fault> {
        match op {
            CounterOp::Add(by) => {
                let sum = self.0.checked_add(by);
                let text =
                    || Fault::new(ErrorKind::Remote, format!("{} + {by} is outside of the range of i64", self.0));
                self.0 = sum.ok_or_else(text)?;
                append_plain(&self.0, out);
            }
            CounterOp::Get => append_plain(&self.0, out),
            CounterOp::Set(value) => append_plain(&std::mem::replace(&mut self.0, value), out),
            CounterOp::Swap(expected, new) => {
                let swapped = self.0 == expected;
                if swapped {
                    self.0 = new;
                }
                append_plain(&swapped, out);
            }
        }
        Ok(())
    }
}
