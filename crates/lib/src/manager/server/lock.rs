//! A lock, held by a connection: with its end the lock is free again.

use std::time::{Duration, Instant};

use super::object::Flow;
use super::values::append_plain;
use crate::error::ErrorKind;
use crate::manager::protocol::{Fault, LockOp};

#[derive(Debug, Default)]
pub(super) struct Lock {
    holder: Option<Holder>,
    /// How often it was taken.
    count: u64,
    /// The last holder did not release it: it died, or kept it for too long.
    abandoned: bool,
}

#[derive(Debug)]
struct Holder {
    token: u64,
    /// The how-many-th it is: one that lost the lock and took it again has two guards, and only one of them holds it.
    number: u64,
    /// When it is taken back.
    end: Option<Instant>,
}

impl Lock {
    pub(super) fn run(&mut self, token: u64, op: LockOp, out: &mut Vec<u8>) -> Result<Flow, Fault> {
        let now = Instant::now();
        self.take_back(|holder| holder.end.is_some_and(|end| end <= now));
        match op {
            LockOp::Acquire(patience, lease) => self.acquire(token, now, patience, lease, out),
            LockOp::Release(number) => {
                if self.holder.as_ref().is_none_or(|holder| (holder.token, holder.number) != (token, number)) {
                    let text = "the lock is not held here: it was not taken, or was taken back after its lease";
                    return Err(Fault::new(ErrorKind::NotOwner, text));
                }
                self.holder = None;
                Ok(Flow::Changed)
            }
            LockOp::IsLocked => {
                append_plain(&self.holder.is_some(), out);
                Ok(Flow::Done)
            }
        }
    }

    fn acquire(
        &mut self,
        token: u64,
        now: Instant,
        patience: Option<u64>,
        lease: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<Flow, Fault> {
        match &self.holder {
            Some(holder) if holder.token == token && patience != Some(0) => {
                let text = "the lock is held by this very thread, which would wait for itself";
                Err(Fault::new(ErrorKind::WouldDeadlock, text))
            }
            // Only the one that is first in line is looked at when a lease ends, so each has to come back then.
            Some(holder) if patience != Some(0) => Ok(Flow::Waits(patience, holder.end)),
            Some(_) => {
                append_plain(&None::<(bool, u64)>, out);
                Ok(Flow::Done)
            }
            None => {
                let end = lease.and_then(|nanos| now.checked_add(Duration::from_nanos(nanos)));
                self.count += 1;
                self.holder = Some(Holder { token, number: self.count, end });
                append_plain(&Some((std::mem::take(&mut self.abandoned), self.count)), out);
                Ok(Flow::Done)
            }
        }
    }

    /// Releases the lock of a client that is gone; whether it held it.
    pub(super) fn bereave(&mut self, token: u64) -> bool {
        self.take_back(|holder| holder.token == token)
    }

    fn take_back(&mut self, from: impl FnOnce(&Holder) -> bool) -> bool {
        let taken = self.holder.take_if(|holder| from(holder)).is_some();
        self.abandoned |= taken;
        taken
    }
}
