//! What the supervisor writes to one worker: frames in order, with the descriptors that travel with them.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ganger_os::socket;

use super::core::Stored;
use super::event::JobId;
use super::link::Link;
use crate::pool::job::Job;
use crate::wire::claim;
use crate::wire::descriptor::Descriptor;
use crate::wire::frame::{HEADER, Header, Kind};
use crate::wire::message::untag;

/// Bytes on their way to the worker.
#[derive(Debug)]
pub(super) enum Outgoing {
    Own(Vec<u8>),
    /// A part of a chunk; shared, as a large one must not be copied.
    Shared(Arc<Vec<u8>>, Range<usize>),
    /// A header, and the descriptors that travel with it.
    With([u8; HEADER], Vec<Descriptor>),
}

impl Outgoing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes, range) => &bytes[range.clone()],
            Self::With(bytes, _) => bytes,
        }
    }

    fn descriptors(&self) -> &[Descriptor] {
        match self {
            Self::Own(_) | Self::Shared(..) => &[],
            Self::With(_, descriptors) => descriptors,
        }
    }
}

impl Link {
    /// Queues a frame of the supervisor's own.
    pub(super) fn push(&mut self, header: Header, body: &[u8]) {
        let bytes = [&header.to_bytes(), body].concat();
        self.outbox.push_back(Outgoing::Own(bytes));
    }

    /// Queues descriptors that belong to the next frame.
    pub(super) fn push_descriptors(&mut self, descriptors: &[Descriptor]) {
        if !descriptors.is_empty() {
            let header = Header::of_descriptors(descriptors.len()).to_bytes();
            self.outbox.push_back(Outgoing::With(header, descriptors.to_vec()));
        }
    }

    /// Queues tasks, after what the worker must know of their job, and allows them.
    pub(super) fn push_tasks(&mut self, stored: &Stored, header: Header, range: Range<usize>, limit: u32) {
        let Stored { job, bytes, .. } = stored;
        if !self.defined.contains_key(&job.id) {
            self.forget_old_jobs();
            self.keeps_descriptors |= !job.definition.descriptors.is_empty();
            self.defined.insert(job.id, Arc::downgrade(job));
            // Its arguments are taken in with those of its first task, which is to blame for what they do.
            let (epoch, position) = (header.epoch, untag(header.position).1);
            let plain = Header::plain(Kind::Define, job.definition.bytes.len());
            let define = Header { job: job.id.0, epoch, position, ..plain };
            self.push_descriptors(&job.definition.descriptors);
            self.push(define, &job.definition.bytes);
        }
        if !self.busy() {
            self.moved = Instant::now();
            self.pulse.asked(self.moved);
            self.measure_soon();
        }
        // First the permission, then the frame: see the rules of the claim word.
        claim::raise(self.results.page().claim(), limit - self.limit);
        self.limit = limit;
        self.push_descriptors(&stored.descriptors);
        if range.len() <= SMALL {
            self.push(header, &bytes[range]);
        } else {
            self.outbox.push_back(Outgoing::Own(header.to_bytes().to_vec()));
            self.outbox.push_back(Outgoing::Shared(bytes.clone(), range));
        }
    }

    /// Tells the worker, when it has learnt many or keeps what others may wait for the end of, which jobs are over.
    fn forget_old_jobs(&mut self) {
        if self.defined.len() < 64 && !self.keeps_descriptors {
            return;
        }
        let over: Vec<JobId> =
            self.defined.iter().filter(|(_, job)| job.strong_count() == 0).map(|(id, _)| *id).collect();
        for id in over {
            self.defined.remove(&id);
            self.push(Header { job: id.0, ..Header::plain(Kind::Forget, 0) }, &[]);
        }
        let keeps = |job: Arc<Job>| !job.definition.descriptors.is_empty();
        self.keeps_descriptors = self.defined.values().filter_map(Weak::upgrade).any(keeps);
    }

    pub(super) fn set_eager(&self, eager: bool) {
        self.results.page().eager().store(eager.into(), Ordering::Relaxed);
    }

    /// Sets or clears the flag that says that its task shall end; whether a task has ever looked at it.
    pub(super) fn ask(&mut self, wanted: bool) -> bool {
        let page = self.results.page();
        page.stop().store(wanted.into(), Ordering::Release);
        page.listens().load(Ordering::Acquire) != 0
    }

    /// Whether it is still taking in what it was sent. One that takes in nothing for a second is stopped.
    pub(super) fn is_receiving(&self) -> bool {
        !self.outbox.is_empty() && self.sent_at.elapsed() < Duration::from_secs(1)
    }

    /// Writes what fits; `Ok(true)` when something is left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        while let Some(front) = self.outbox.front() {
            let count = match front.descriptors() {
                // They travel with the first byte.
                descriptors if !descriptors.is_empty() && self.sent == 0 => {
                    let fds: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
                    socket::send_now_with(&self.socket, front.bytes(), &fds)?
                }
                _ => socket::send_now(&self.socket, &self.parts())?,
            };
            if count == 0 {
                return Ok(true);
            }
            self.sent_at = Instant::now();
            self.advance(count);
        }
        Ok(false)
    }

    /// What one system call can write: as far as to the next descriptors.
    fn parts(&self) -> Vec<&[u8]> {
        let skip = self.sent;
        let without = |(place, part): &(usize, &Outgoing)| *place == 0 || part.descriptors().is_empty();
        let parts = self.outbox.iter().take(MOST_PARTS).enumerate().take_while(without);
        parts.map(|(place, part)| if place == 0 { &part.bytes()[skip..] } else { part.bytes() }).collect()
    }

    fn advance(&mut self, count: usize) {
        self.sent += count;
        while let Some(front) = self.outbox.front() {
            let length = front.bytes().len();
            if self.sent < length {
                return;
            }
            self.sent -= length;
            self.outbox.pop_front();
        }
    }
}

/// Task frames up to this size are copied behind their header: one buffer to write instead of two.
const SMALL: usize = 4096;

/// How many pieces one system call writes; the kernel's limit is 1024.
const MOST_PARTS: usize = 64;
