//! Where each task's output begins and ends.

use std::io::Write;
use std::sync::atomic::Ordering;

use ganger_os::child::flush_c_streams;
use ganger_os::fd::Fd;
use ganger_os::output::{Offsets, Tap};
use ganger_os::page::Page;

use crate::wire::message::Marks;

/// What the worker knows of its two streams, when they are captured.
#[derive(Debug)]
pub(super) struct Output {
    tap: Tap,
    /// Where the next task begins.
    begin: Offsets,
}

impl Output {
    /// Takes over the descriptors that came with the first frame.
    pub(super) fn install(fds: Vec<Fd>) -> std::io::Result<Self> {
        Ok(Self { tap: Tap::install(fds)?, begin: Offsets::default() })
    }

    /// A task has ended: where its output lies, if it wrote anything.
    pub(super) fn marks(&mut self, page: &Page) -> Option<Marks> {
        flush();
        if !self.tap.has_news(page) {
            return None;
        }
        let end = self.tap.written(page);
        let begin = std::mem::replace(&mut self.begin, end);
        (begin != end).then_some(Marks { begin, end })
    }

    /// A rest is over: what was written until now is not the next task's.
    pub(super) fn resume(&mut self, page: &Page) {
        if !self.tap.has_news(page) {
            return;
        }
        self.begin = self.tap.written(page);
        for (stream, begin) in self.begin.into_iter().enumerate() {
            page.begun(stream).store(begin, Ordering::Release);
        }
    }
}

/// Writes out what tasks have printed: a worker may be killed while it rests, and its lines are not to be lost.
pub(super) fn flush() {
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().flush();
    flush_c_streams();
}
