//! Whose output it is: the bytes of a worker's two pipes, divided among its tasks.
//!
//! A result says between which two places of each stream its task ran, if anything was written to one of them. So:
//!
//! 1. What lies between them is that task's. It is in the pipe, or taken out already, when the result is read.
//! 2. What lies between the end of one task and the begin of the next is nobody's: the initializer's, or that of processes
//!    which tasks have left behind.
//! 3. What lies behind the last end belongs to the task that runs. It is taken out as it comes and cut to what is kept, so
//!    that a task may print without end.
//!
//! Rule 3 needs every end that lies within what was taken out. Hence the order: first bytes are taken out, then the place is
//! read where the worker began after its last rest, then results are read. A worker publishes a result before it goes on, so
//! whoever has a later byte, or a later begin, finds the result.

use std::io;

use ganger_os::fd::Fd;
use ganger_os::output::{Drain, Offsets, STREAMS, pipes};
use ganger_os::page::Page;

use super::haul::Haul;
use crate::output::{Keeper, Written};
use crate::wire::message::Marks;

/// How much of a stream is taken out in one turn: a worker that prints without end holds nobody else up.
const TURN: usize = 256 * 1024;

/// What was written to both streams.
pub(crate) type Both = [Written; STREAMS];

/// The supervisor's end of one worker's output.
#[derive(Debug)]
pub(super) struct Output {
    streams: [Stream; STREAMS],
    /// What is nobody's and was not handed over yet.
    pub(super) strays: Vec<Both>,
}

#[derive(Debug)]
struct Stream {
    drain: Drain,
    watched: bool,
    readable: bool,
    /// What was taken out last and is not known to be anybody's.
    fresh: Vec<u8>,
    /// What was taken out before and belongs to what `fresh` begins with.
    kept: Keeper,
    /// Where that begins.
    start: u64,
}

impl Output {
    /// Makes the pipes; of what each task writes to one, `cap` bytes are kept.
    pub(super) fn new(cap: usize) -> io::Result<(Self, [Fd; 3])> {
        let (drains, theirs) = pipes()?;
        let stream = |drain| Stream {
            drain,
            watched: true,
            readable: false,
            fresh: Vec::new(),
            kept: Keeper::new(cap),
            start: 0,
        };
        Ok((Self { streams: drains.map(stream), strays: Vec::new() }, theirs))
    }

    /// The pipes, to be watched.
    pub(super) fn drains(&self) -> impl Iterator<Item = &Drain> {
        self.streams.iter().map(|stream| &stream.drain)
    }

    /// The pipes that have come to their end since this was last asked for.
    pub(super) fn newly_ended(&mut self) -> impl Iterator<Item = &Drain> {
        let ended = |stream: &mut Stream| stream.drain.ended() && std::mem::take(&mut stream.watched);
        self.streams.iter_mut().filter_map(move |stream| ended(stream).then_some(&stream.drain))
    }

    /// The poller has reported this stream.
    pub(super) fn stir(&mut self, stream: usize) {
        self.streams[stream].readable = true;
    }

    /// Takes out what is there of the streams that were reported, and tells where the worker began after its last rest.
    pub(super) fn drain(&mut self, page: &Page) -> Option<Offsets> {
        let mut any = false;
        for stream in self.streams.iter_mut().filter(|stream| stream.readable) {
            stream.readable = false;
            stream.take(page, TURN as u64);
            any = true;
        }
        any.then(|| begun(page))
    }

    /// Gives the tasks of `haul` what they have written. Then, if anything was drained, sorts what is left: `begun` is what
    /// [`drain`](Self::drain) told.
    pub(super) fn divide(&mut self, page: &Page, haul: &mut Haul, begun: Option<Offsets>) {
        for printed in haul.printed_mut() {
            let Marks { begin, end } = printed.marks;
            self.set_aside(page, begin);
            printed.output = Some(self.up_to(page, end));
        }
        if let Some(begun) = begun {
            self.set_aside(page, begun);
            self.streams.iter_mut().for_each(Stream::keep);
        }
    }

    /// What is left when the worker is dead and its results were divided: that of the task that it had begun, or nobody's.
    /// What a process that it has left behind goes on to write is not waited for.
    pub(super) fn last(&mut self, page: &Page) -> Both {
        let begun = begun(page);
        self.set_aside(page, begun);
        self.take_all(page)
    }

    /// Sets aside everything that is there: the worker has no task.
    pub(super) fn nobodys(&mut self, page: &Page) {
        let both = self.take_all(page);
        self.put_aside(both);
    }

    fn take_all(&mut self, page: &Page) -> Both {
        let ends = self.streams.each_ref().map(|stream| stream.drain.taken() + stream.drain.waiting());
        self.up_to(page, ends)
    }

    fn set_aside(&mut self, page: &Page, ends: Offsets) {
        let both = self.up_to(page, ends);
        self.put_aside(both);
    }

    fn put_aside(&mut self, both: Both) {
        if both.iter().any(|written| !written.is_empty()) {
            self.strays.push(both);
        }
    }

    fn up_to(&mut self, page: &Page, ends: Offsets) -> Both {
        let [out, err] = &mut self.streams;
        [out.up_to(page, ends[0]), err.up_to(page, ends[1])]
    }
}

impl Stream {
    /// Takes what lies between `start` and `end`. An end that a worker has made up finds what is there, and not what it goes
    /// on to write.
    fn up_to(&mut self, page: &Page, end: u64) -> Written {
        if end <= self.start {
            return Written::default();
        }
        let missing = end.saturating_sub(self.drain.taken());
        if missing > 0 {
            self.take(page, missing.min(self.drain.waiting()));
        }
        let begin = self.drain.taken() - self.fresh.len() as u64;
        let count = end.saturating_sub(begin).min(self.fresh.len() as u64) as usize;
        self.kept.add(&self.fresh[..count]);
        self.fresh.drain(..count);
        self.start = end.min(self.drain.taken());
        self.kept.take()
    }

    fn take(&mut self, page: &Page, most: u64) {
        let mut left = usize::try_from(most).unwrap_or(usize::MAX);
        while left > 0 {
            // An error means that the pipe is broken: there is nothing in it any more.
            let count = self.drain.take(page, left, &mut self.fresh).unwrap_or(0);
            if count == 0 {
                break;
            }
            left -= count;
        }
    }

    fn keep(&mut self) {
        self.kept.add(&self.fresh);
        self.fresh.clear();
        // What a burst has needed is not held for ever.
        self.fresh.shrink_to(TURN / 4);
    }
}

fn begun(page: &Page) -> Offsets {
    std::array::from_fn(|stream| page.begun(stream).load(std::sync::atomic::Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::PRINTED;
    use std::io::Write;
    use std::os::fd::AsFd;

    /// What results with these marks are given of what was written, in an order as of one turn.
    fn divided(written: &[u8], marks: &[[u64; 2]], cap: usize) -> (Vec<String>, String) {
        let (page, _memory) = Page::create().expect("memory");
        let (mut output, [out, _err, _news]) = Output::new(cap).expect("descriptors");
        let mut out = std::fs::File::from(out.as_fd().try_clone_to_owned().expect("a descriptor"));
        out.write_all(written).expect("room");
        output.stir(0);
        let begun = output.drain(&page);
        let mut haul = Haul::default();
        for [begin, end] in marks {
            let marks = Marks { begin: [*begin, 0], end: [*end, 0] };
            haul.push(PRINTED, 0, |bytes| marks.append(bytes));
        }
        output.divide(&page, &mut haul, begun);
        let texts = haul
            .printed(0, haul.len())
            .iter()
            .map(|printed| printed.output.as_ref().expect("all were divided")[0].to_string());
        (texts.collect(), output.last(&page)[0].to_string())
    }

    #[test]
    fn each_task_gets_what_lies_between_its_marks() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(divided(b"aabbbc", &[[0, 2], [2, 5]], 9), (texts(&["aa", "bbb"]), "c".to_owned()));
        assert_eq!(divided(b"a..b", &[[0, 1], [3, 4]], 9), (texts(&["a", "b"]), String::new()));
        assert_eq!(divided(b"abcdef", &[], 2), (texts(&[]), "a\n[4 bytes cut]\nf".to_owned()));
    }

    #[test]
    fn made_up_marks_harm_nobody() {
        for marks in [[0, u64::MAX], [u64::MAX, u64::MAX], [u64::MAX, 0], [5, 2]] {
            let (texts, last) = divided(b"abcdef", &[marks, [2, 4]], 9);
            assert_eq!(texts.len(), 2, "{marks:?}");
            assert!(texts.concat().len() + last.len() <= 6, "{marks:?}: {texts:?}, {last:?}");
        }
        let mut haul = Haul::default();
        haul.push(PRINTED, 0, |bytes| bytes.extend(b"too short for marks"));
        assert_eq!((haul.get(0), haul.printed(0, 1)[0].marks), (&b"too short for marks"[..], Marks::default()));
    }
}
