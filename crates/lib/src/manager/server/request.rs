//! One request: all its operations, one after the other.

use std::time::Instant;

use super::call::Caller;
use super::object::{Flow, Objects};
use crate::error::ErrorKind;
use crate::manager::protocol::{Fault, Malformed, Op, answer, begin, end, first_op, object_of};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried<'a> {
    /// The reply is written; whether those who wait for this object may go on.
    Out { object: u64, changed: bool },
    /// Its only operation has to wait.
    Waits(Wait<'a>),
}

/// An operation that has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait<'a> {
    pub(super) object: u64,
    pub(super) op: &'a [u8],
    /// In nanoseconds.
    pub(super) patience: Option<u64>,
    /// When to try it again at the latest.
    pub(super) again: Option<Instant>,
}

/// Carries out a request and writes the frame of its reply to `out`.
///
/// # Errors
/// When a part of it is no operation; those before are carried out.
pub(super) fn carry_out<'a>(
    objects: &mut Objects,
    caller: &Caller,
    body: &'a [u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<Carried<'a>, Malformed> {
    let (object, ops) = object_of(body)?;
    begin(out);
    let mut rest = ops;
    let mut changed = false;
    while !rest.is_empty() {
        let (op, next) = first_op(rest)?;
        let alone = rest.len() == ops.len() && next.is_empty();
        let mut waits = None;
        let room = limit.saturating_sub(out.len());
        let flow = answer(out, room, |out| match objects.run(caller, object, &op, out)? {
            Flow::Waits(patience, again) if alone => {
                waits = Some(Wait { object, op: ops, patience, again });
                Ok(Flow::Done)
            }
            Flow::Waits(..) => {
                let text = "an operation that may have to wait can be no part of a batch";
                Err(Fault::new(ErrorKind::WouldDeadlock, text))
            }
            flow => Ok(flow),
        });
        if let Some(wait) = waits {
            return Ok(Carried::Waits(wait));
        }
        changed |= flow == Some(Flow::Changed);
        rest = next;
    }
    end(out);
    Ok(Carried::Out { object, changed })
}

/// Writes the reply to a request that has waited long enough.
pub(super) fn give_up(
    objects: &Objects,
    object: u64,
    op: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let (op, _): (Op<'_>, _) = first_op(op)?;
    begin(out);
    answer(out, limit, |out| objects.give_up(object, &op, out));
    end(out);
    Ok(())
}
