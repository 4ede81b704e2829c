//! The objects of a server, each under its number, some under a name too.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::call::Caller;
use super::counter::Counter;
use super::dict::Dict;
use super::event::Event;
use super::list::List;
use super::lock::Lock;
use super::queue::Queue;
use super::values::append_plain;
use crate::error::ErrorKind;
use crate::manager::functions::with_subject;
use crate::manager::protocol::{Fault, Kind, LockOp, Make, Op};
use crate::worker::panics::caught;

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It is carried out.
    Done,
    /// It is carried out, and others who wait for this object may go on.
    Changed,
    /// It has to wait, for so many nanoseconds at most, and to be tried again at this moment at the latest.
    Waits(Option<u64>, Option<Instant>),
}

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    objects: HashMap<u64, Object>,
    names: HashMap<String, u64>,
    /// The number of the last one; no number is given twice.
    last: u64,
    /// The locks that each connection may hold.
    held: HashMap<u64, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Object {
    content: Content,
    types: String,
    name: Option<String>,
}

#[derive(Debug)]
enum Content {
    Dict(Dict),
    List(List),
    Counter(Counter),
    Queue(Queue),
    Lock(Lock),
    Event(Event),
    User(Option<Box<dyn Any>>),
}

impl Objects {
    /// Carries out an operation; what it returns is appended to `out`.
    pub(super) fn run(&mut self, caller: &Caller, number: u64, op: &Op<'_>, out: &mut Vec<u8>) -> Result<Flow, Fault> {
        match op {
            Op::Make(make) => {
                append_plain(&self.make(caller, make)?, out);
                return Ok(Flow::Done);
            }
            Op::Discard => {
                let object = self.objects.remove(&number).ok_or_else(gone)?;
                if let Some(name) = &object.name {
                    self.names.remove(name);
                }
                // It may be one of the user's, and its end may panic.
                let _ = caught(|| drop(object));
                return Ok(Flow::Changed);
            }
            _ => {}
        }
        let object = self.objects.get_mut(&number).ok_or_else(gone)?;
        let flow = object.run(caller, op, out)?;
        match op {
            Op::Lock(LockOp::Acquire(..)) if flow == Flow::Done => {
                self.held.entry(caller.token).or_default().insert(number);
            }
            Op::Lock(LockOp::Release(_)) => {
                self.held.entry(caller.token).or_default().remove(&number);
            }
            _ => {}
        }
        Ok(flow)
    }

    /// The answer of an operation that has waited long enough.
    pub(super) fn give_up(&self, number: u64, op: &Op<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        match (self.objects.get(&number).map(|object| &object.content), op) {
            (Some(Content::Event(event)), Op::Event(_)) => {
                event.give_up(out);
                Ok(())
            }
            _ => Err(Fault::new(ErrorKind::TimedOut, "not done within the given time")),
        }
    }

    /// Releases what a client held that is gone; the objects for which others may wait.
    pub(super) fn bereave(&mut self, token: u64) -> Vec<u64> {
        let held = self.held.remove(&token).unwrap_or_default();
        let released = held.into_iter().filter(|number| match self.objects.get_mut(number) {
            Some(Object { content: Content::Lock(lock), .. }) => lock.bereave(token),
            _ => false,
        });
        released.collect()
    }

    fn make(&mut self, caller: &Caller, make: &Make<'_>) -> Result<u64, Fault> {
        if let Some((name, number)) = make.name.and_then(|name| Some((name, *self.names.get(name)?))) {
            let there = &self.objects[&number].types;
            if there == make.types {
                return Ok(number);
            }
            let text = format!("{name:?} is a {there} in the manager, not a {}", make.types);
            return Err(Fault::new(ErrorKind::Mismatch, text));
        }
        let content = Content::new(caller, &make.kind)?;
        self.last += 1;
        let name = make.name.map(str::to_owned);
        self.names.extend(name.clone().map(|name| (name, self.last)));
        self.objects.insert(self.last, Object { content, types: make.types.to_owned(), name });
        Ok(self.last)
    }
}

impl Content {
    fn new(caller: &Caller, kind: &Kind<'_>) -> Result<Self, Fault> {
        Ok(match *kind {
            Kind::Dict => Self::Dict(Dict::default()),
            Kind::List => Self::List(List::default()),
            Kind::Counter => Self::Counter(Counter::default()),
            Kind::Queue { capacity: 0 } => {
                return Err(Fault::new(ErrorKind::InvalidSetting, "a queue has room for at least 1 value, not 0"));
            }
            Kind::Queue { capacity } => Self::Queue(Queue::new(capacity)),
            Kind::Lock => Self::Lock(Lock::default()),
            Kind::Event => Self::Event(Event::default()),
            Kind::User(function, arguments) => {
                let mut made = None;
                with_subject(&mut made, || caller.call(function, &[], arguments.0))?;
                Self::User(Some(made.ok_or_else(|| Fault::new(ErrorKind::Mismatch, "the function makes no objects"))?))
            }
        })
    }
}

impl Object {
    fn run(&mut self, caller: &Caller, op: &Op<'_>, out: &mut Vec<u8>) -> Result<Flow, Fault> {
        match (&mut self.content, op) {
            (Content::Dict(dict), Op::Dict(op)) => dict.run(*op, out),
            (Content::Dict(dict), Op::Entry(key, op)) => dict.run_at(caller, *key, op, out)?,
            (Content::List(list), Op::List(op)) => list.run(caller, op, out)?,
            (Content::Counter(counter), Op::Counter(op)) => counter.run(*op, out)?,
            (Content::Queue(queue), Op::Queue(op)) => return queue.run(*op, out),
            (Content::Lock(lock), Op::Lock(op)) => return lock.run(caller.token, *op, out),
            (Content::Event(event), Op::Event(op)) => return Ok(event.run(*op, out)),
            (Content::User(subject), Op::Call(function, arguments)) => {
                out.extend(with_subject(subject, || caller.call(*function, &[], arguments.0))?);
            }
            _ => return Err(Fault::new(ErrorKind::Mismatch, format!("a {} has no such operation", self.types))),
        }
        Ok(Flow::Done)
    }
}

fn gone() -> Fault {
    Fault::new(ErrorKind::Closed, "the object is no longer in the manager: it was discarded")
}
