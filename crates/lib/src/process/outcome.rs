//! What came of a process: its value, or a typed failure.

use std::sync::PoisonError;

use ganger_os::child::Exit;
use ganger_os::signal;

use super::child::{Answer, Child};
use crate::wire::codec::{CodecError, decode};
use crate::wire::descriptor::receiving;
use crate::wire::letter::Arrived;
use crate::wire::message::{Failure, Status};
use crate::{TaskError, TaskErrorKind};

/// The outcome of a process that is dead.
pub(super) fn outcome<R>(child: &Child, decode_value: fn(&[u8]) -> Result<R, CodecError>) -> Result<R, TaskError> {
    let answer = child.answer.lock().unwrap_or_else(PoisonError::into_inner);
    let (kind, message) = match &*answer {
        Answer::Whole(arrived) => match Status::from_byte(arrived.status) {
            Some(Status::Value) => match value(arrived, decode_value) {
                Ok(value) => return Ok(value),
                Err(text) => (TaskErrorKind::NotDeserializable, text),
            },
            Some(status) => return Err(failed(child, arrived, status)),
            None => (TaskErrorKind::ProtocolViolation, "sent a result that makes no sense".to_owned()),
        },
        Answer::Broken(text) => (TaskErrorKind::ProtocolViolation, format!("has no result: {text}")),
        Answer::None | Answer::Awaited(_) => obituary(child),
    };
    Err(error(child, kind, message))
}

fn value<R>(arrived: &Arrived, decode_value: fn(&[u8]) -> Result<R, CodecError>) -> Result<R, String> {
    let bytes = arrived.payload().map_err(|error| format!("has a result that cannot be read: {error}"))?;
    receiving(arrived.descriptors.clone(), || decode_value(bytes.bytes()))
        .map_err(|error| format!("has a result ({}) that cannot be deserialized: {error}", std::any::type_name::<R>()))
}

/// The function said itself what went wrong.
fn failed(child: &Child, arrived: &Arrived, status: Status) -> TaskError {
    let kind = match status {
        Status::Panicked => TaskErrorKind::Panicked,
        Status::NotDeserializable => TaskErrorKind::NotDeserializable,
        Status::NotSerializable => TaskErrorKind::NotSerializable,
        Status::TooLarge => TaskErrorKind::TooLarge,
        Status::Failed | Status::Value => TaskErrorKind::Failed,
    };
    let unreadable = |error: &dyn std::fmt::Display| Failure {
        message: format!("has a failure that cannot be read: {error}"),
        ..Failure::default()
    };
    let failure = match arrived.payload() {
        Ok(opened) => decode(opened.bytes()).unwrap_or_else(|error| unreadable(&error)),
        Err(error) => unreadable(&error),
    };
    let Failure { message, location, backtrace, peak_memory, item: _ } = failure;
    error(child, kind, message).with_peak_memory(peak_memory).with_trace(location, backtrace)
}

/// It ended without a word.
fn obituary(child: &Child) -> (TaskErrorKind, String) {
    match child.end.get().and_then(|end| end.exit) {
        Some((Exit::Code(code), _)) => {
            (TaskErrorKind::Exited(code), format!("left with exit code {code} before its function returned"))
        }
        Some((Exit::Signal(number), _)) => {
            (TaskErrorKind::Killed(number), format!("was killed by {}", signal::name(number)))
        }
        None => {
            (TaskErrorKind::Lost, "was lost: the guardian process that started it died, and it died with it".to_owned())
        }
    }
}

fn error(child: &Child, kind: TaskErrorKind, message: String) -> TaskError {
    let end = child.end.get();
    let peak_memory = end.and_then(|end| end.exit).map_or(0, |(_, usage)| usage.peak_memory);
    TaskError::new(kind, message, child.task.clone(), 0)
        .of_process(&child.name, Some(child.pid), end.map(|end| end.lasted))
        .with_peak_memory(peak_memory)
}
