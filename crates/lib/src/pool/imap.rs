//! Lazy maps: iterators (and streams) over outcomes whose input is pulled no further than needed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::gang::{Gang, Refusal};
use super::job::Job;
use super::read::{Decode, outcome};
use super::sink::{Batch, SinkState, deadline};
use crate::{TaskError, Timeout};

/// Outcomes in the order of the input; [`Pool::imap`](crate::Pool::imap) makes it.
///
/// Dropping it cancels what has not begun, and lets go of the input.
#[derive(Debug)]
pub struct IMap<R> {
    outcomes: Outcomes<R>,
    /// Batches that came before their turn, by their first index.
    early: BTreeMap<u64, Batch>,
    next: u64,
}

/// Outcomes as they come; [`Pool::imap_unordered`](crate::Pool::imap_unordered) makes it.
///
/// Dropping it cancels what has not begun, and lets go of the input.
#[derive(Debug)]
pub struct IMapUnordered<R> {
    outcomes: Outcomes<R>,
}

/// A lazy map that tells, with every outcome, which item of the input it belongs to; `indexed` makes it.
#[derive(Debug)]
pub struct Indexed<I>(I);

/// What both kinds share: the job, and the batch that is being read.
struct Outcomes<R> {
    gang: Option<Arc<Gang>>,
    job: Arc<Job>,
    decode: Decode<R>,
    batch: Option<(Batch, u32)>,
    /// What was read of the load, and is not yet given back to the feeder.
    read: (i64, i64),
}

impl<R> std::fmt::Debug for Outcomes<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcomes")
            .field("task", &self.job.name)
            .field("batch", &self.batch.is_some())
            .finish_non_exhaustive()
    }
}

/// What looking for the next batch found.
enum Next {
    Batch(Batch),
    End,
    NotYet,
}

/// How to find the next batch in what has arrived.
type Pick<'a> = &'a mut dyn FnMut(&mut SinkState) -> Option<Batch>;

impl<R> Outcomes<R> {
    /// The next outcome of the current batch and its index.
    fn current(&mut self) -> Option<Numbered<R>> {
        let (batch, place) = self.batch.as_mut()?;
        let bytes = batch.get(*place).and_then(Result::ok).map_or(0, |bytes| bytes.len() as i64);
        let Some(outcome) = outcome(&self.job, batch, *place, self.decode) else {
            self.batch = None;
            return None;
        };
        let index = batch.first + u64::from(*place);
        *place += 1;
        self.read.0 += 1;
        self.read.1 += bytes;
        if self.read.0 >= GIVE_BACK {
            self.give_back();
        }
        Some((index, outcome))
    }

    /// Has the feeder know what was read.
    fn give_back(&mut self) {
        let mut state = self.job.sink.lock();
        let (tasks, bytes) = std::mem::take(&mut self.read);
        state.load.tasks -= tasks;
        state.load.bytes -= bytes;
        self.job.sink.call_feeder(state);
    }

    /// Waits for the next batch, until `until` at most.
    fn wait(&mut self, until: Option<Instant>, pick: Pick<'_>) -> Next {
        let job = self.job.clone();
        self.give_back();
        let mut found = None;
        let state = job.sink.wait(until, |state| {
            found = pick(state);
            found.is_some() || ended(state)
        });
        self.take_up(found, &state)
    }

    /// Looks for the next batch; when there is none, `context` is woken once there may be.
    fn poll(&mut self, context: &Context<'_>, pick: Pick<'_>) -> Next {
        let job = self.job.clone();
        self.give_back();
        let mut state: MutexGuard<'_, SinkState> = job.sink.lock();
        let found = pick(&mut state);
        let next = self.take_up(found, &state);
        if matches!(next, Next::NotYet) {
            state.wake_later(context.waker());
        }
        next
    }

    fn take_up(&mut self, found: Option<Batch>, state: &SinkState) -> Next {
        match found {
            Some(batch) => Next::Batch(batch),
            None if ended(state) => Next::End,
            None => Next::NotYet,
        }
    }
}

/// Nothing will come any more, and nothing is left.
fn ended(state: &SinkState) -> bool {
    state.done() && state.batches.is_empty()
}

/// After so many outcomes the feeder learns of them, if it has not before.
const GIVE_BACK: i64 = 64;

impl<R> Drop for Outcomes<R> {
    fn drop(&mut self) {
        let Some(gang) = &self.gang else { return };
        let over = self.job.sink.lock().done();
        super::sink::wake_all(self.job.sink.change(|state| {
            state.abandoned = true;
            state.batches.clear();
        }));
        if !over {
            gang.cancel(&self.job);
        }
    }
}

/// An outcome and the index of its item.
type Numbered<R> = (u64, Result<R, TaskError>);

/// A lazy map of either kind.
trait Lazy<R> {
    fn outcomes(&mut self) -> &mut Outcomes<R>;

    /// The next batch in this kind's order.
    fn wait(&mut self, until: Option<Instant>) -> Next;

    fn poll(&mut self, context: &Context<'_>) -> Next;

    fn took(&mut self) {}

    fn next_indexed(&mut self, until: Option<Instant>) -> Result<Option<Numbered<R>>, Timeout> {
        loop {
            if let Some(found) = self.outcomes().current() {
                self.took();
                return Ok(Some(found));
            }
            match self.wait(until) {
                Next::Batch(batch) => self.outcomes().batch = Some((batch, 0)),
                Next::End => return Ok(None),
                Next::NotYet => return Err(Timeout),
            }
        }
    }

    fn poll_indexed(&mut self, context: &Context<'_>) -> Poll<Option<Numbered<R>>> {
        loop {
            if let Some(found) = self.outcomes().current() {
                self.took();
                return Poll::Ready(Some(found));
            }
            match self.poll(context) {
                Next::Batch(batch) => self.outcomes().batch = Some((batch, 0)),
                Next::End => return Poll::Ready(None),
                Next::NotYet => return Poll::Pending,
            }
        }
    }
}

impl<R> Lazy<R> for IMap<R> {
    fn outcomes(&mut self) -> &mut Outcomes<R> {
        &mut self.outcomes
    }

    fn wait(&mut self, until: Option<Instant>) -> Next {
        let Self { outcomes, early, next } = self;
        outcomes.wait(until, &mut |state| in_turn(state, early, *next))
    }

    fn poll(&mut self, context: &Context<'_>) -> Next {
        let Self { outcomes, early, next } = self;
        outcomes.poll(context, &mut |state| in_turn(state, early, *next))
    }

    fn took(&mut self) {
        self.next += 1;
    }
}

/// Sorts what has arrived, and takes the batch whose turn it is.
fn in_turn(state: &mut SinkState, early: &mut BTreeMap<u64, Batch>, next: u64) -> Option<Batch> {
    early.extend(state.batches.drain(..).map(|batch| (batch.first, batch)));
    early.remove(&next)
}

impl<R> Lazy<R> for IMapUnordered<R> {
    fn outcomes(&mut self) -> &mut Outcomes<R> {
        &mut self.outcomes
    }

    fn wait(&mut self, until: Option<Instant>) -> Next {
        self.outcomes.wait(until, &mut |state| state.batches.pop_front())
    }

    fn poll(&mut self, context: &Context<'_>) -> Next {
        self.outcomes.poll(context, &mut |state| state.batches.pop_front())
    }
}

macro_rules! lazy {
    ($name:ident) => {
        impl<R> $name<R> {
            /// The next outcome, waiting at most `limit` for it; `None` at the end.
            ///
            /// # Errors
            /// [`Timeout`] when it has not come by then; asking again gives the same one. Python's `next(timeout)`.
            pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<Result<R, TaskError>>, Timeout> {
                let next = self.next_indexed(deadline(limit))?;
                Ok(next.map(|(_, outcome)| outcome))
            }

            /// Gives every outcome together with the index of its item in the input, counted from 0.
            pub fn indexed(self) -> Indexed<Self> {
                Indexed(self)
            }
        }

        impl<R> Iterator for $name<R> {
            type Item = Result<R, TaskError>;

            fn next(&mut self) -> Option<Self::Item> {
                // Without a deadline it does not time out: every task ends in an outcome.
                self.next_indexed(None).ok().flatten().map(|(_, outcome)| outcome)
            }
        }

        impl<R> Indexed<$name<R>> {
            /// The next outcome with its index, waiting at most `limit` for it; `None` at the end.
            ///
            /// # Errors
            /// [`Timeout`] when it has not come by then; asking again gives the same one.
            pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<Numbered<R>>, Timeout> {
                self.0.next_indexed(deadline(limit))
            }
        }

        impl<R> Iterator for Indexed<$name<R>> {
            type Item = (u64, Result<R, TaskError>);

            fn next(&mut self) -> Option<Self::Item> {
                self.0.next_indexed(None).ok().flatten()
            }
        }

        impl<R> Stream for $name<R> {
            type Item = Result<R, TaskError>;

            fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                self.get_mut().poll_indexed(context).map(|next| next.map(|(_, outcome)| outcome))
            }
        }
    };
}

lazy!(IMap);
lazy!(IMapUnordered);

/// The parts of a lazy map, whichever kind it becomes.
pub(crate) struct Source<R> {
    pub(crate) gang: Arc<Gang>,
    pub(crate) job: Result<Arc<Job>, Refusal>,
    pub(crate) decode: Decode<R>,
}

impl<R> Source<R> {
    fn outcomes(self) -> Outcomes<R> {
        let (gang, job) = match self.job {
            Ok(job) => (Some(self.gang), job),
            Err(refusal) => (None, refusal.into_job()),
        };
        Outcomes { gang, job, decode: self.decode, batch: None, read: (0, 0) }
    }

    pub(crate) fn ordered(self) -> IMap<R> {
        IMap { outcomes: self.outcomes(), early: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn unordered(self) -> IMapUnordered<R> {
        IMapUnordered { outcomes: self.outcomes() }
    }
}
