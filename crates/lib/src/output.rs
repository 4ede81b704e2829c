//! What tasks print, as data.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// What was written to one of a worker's streams: all of it, or, of more than the pool
/// [keeps](crate::Builder::capture_output), the first half and the last half of that.
///
/// Its text (invalid UTF-8 replaced) says in a line of its own how many bytes are missing, in the place where they are.
///
/// ```
/// fn chatter(_: u32) { for number in 0..1000 { println!("{number}") } panic!("enough") }
/// let pool = ganger::Pool::builder().workers(1).capture_output(12).on_output(|_| ()).build()?;
/// let error = pool.apply(chatter, (0,)).unwrap_err();
/// assert_eq!(error.stdout().to_string(), "0\n1\n2\n[3878 bytes cut]\n8\n999\n");
/// assert_eq!((error.stdout().begin(), error.stdout().cut()), (&b"0\n1\n2\n"[..], 3878));
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    bytes: Vec<u8>,
    /// Where bytes are missing.
    gap: usize,
    cut: u64,
}

/// What was written where nothing was, or where nobody looked.
pub(crate) static NOTHING: Written = Written { bytes: Vec::new(), gap: 0, cut: 0 };

impl Written {
    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.cut == 0
    }

    /// How many bytes were cut out, because there were more than the pool keeps.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// What there is up to the cut; without one, all.
    #[must_use]
    pub fn begin(&self) -> &[u8] {
        self.parts().0
    }

    /// What there is behind the cut; without one, nothing.
    #[must_use]
    pub fn end(&self) -> &[u8] {
        self.parts().1
    }

    /// All that was kept; where something was cut out, a line says how much.
    #[must_use]
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        if self.cut == 0 {
            return Cow::Borrowed(&self.bytes);
        }
        let (begin, end) = self.parts();
        let line = if begin.is_empty() || begin.ends_with(b"\n") { "" } else { "\n" };
        Cow::Owned([begin, format!("{line}[{} bytes cut]\n", self.cut).as_bytes(), end].concat())
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(if self.cut == 0 { self.bytes.len() } else { self.gap })
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

/// What a task has written to its standard output and standard error; [`Builder::on_output`](crate::Builder::on_output)
/// gets it.
///
/// Some of it may be no task's: what the initializer wrote, and what processes that a task has left behind go on to write
/// while their worker has nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOutput {
    pub(crate) task: Option<(Arc<str>, u64)>,
    pub(crate) worker: u32,
    pub(crate) pid: Option<u32>,
    pub(crate) streams: [Written; 2],
}

impl TaskOutput {
    /// The name of the task's function; `None` of what is no task's.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        self.task.as_ref().map(|(name, _)| &**name)
    }

    /// Which item of its call's input the task was, counted from 0; `None` of what is no task's.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        self.task.as_ref().map(|(_, index)| *index)
    }

    /// The worker's place in the gang.
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The worker's process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// What was written to descriptor 1.
    #[must_use]
    pub fn stdout(&self) -> &Written {
        &self.streams[0]
    }

    /// What was written to descriptor 2.
    #[must_use]
    pub fn stderr(&self) -> &Written {
        &self.streams[1]
    }
}

/// Keeps the beginning and the end of what it is given: of a task that fails, the beginning tells what it was about, and
/// the end what went wrong.
#[derive(Debug)]
pub(crate) struct Keeper {
    cap: usize,
    begin: Vec<u8>,
    end: VecDeque<u8>,
    cut: u64,
}

impl Keeper {
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap, begin: Vec::new(), end: VecDeque::new(), cut: 0 }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let room = self.cap.div_ceil(2) - self.begin.len();
        let (begin, rest) = bytes.split_at(room.min(bytes.len()));
        self.begin.extend_from_slice(begin);
        let most = self.cap / 2;
        let (lost, rest) = rest.split_at(rest.len().saturating_sub(most));
        let surplus = (self.end.len() + rest.len()).saturating_sub(most);
        self.end.drain(..surplus);
        self.end.extend(rest);
        self.cut += (lost.len() + surplus) as u64;
    }

    /// What was kept; the next begins with nothing.
    pub(crate) fn take(&mut self) -> Written {
        let (mut bytes, end) = (std::mem::take(&mut self.begin), std::mem::take(&mut self.end));
        let gap = bytes.len();
        bytes.extend(end);
        Written { bytes, gap, cut: std::mem::take(&mut self.cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cap: usize, pieces: &[&[u8]]) -> Written {
        let mut keeper = Keeper::new(cap);
        pieces.iter().for_each(|piece| keeper.add(piece));
        keeper.take()
    }

    #[test]
    fn begin_and_end_are_kept_whatever_the_pieces() {
        let bytes: Vec<u8> = (0..100).collect();
        for cap in [0, 1, 2, 7, 50, 99, 100, 101] {
            let whole = kept(cap, &[&bytes]);
            for size in [1, 3, 49, 100] {
                assert_eq!(kept(cap, &bytes.chunks(size).collect::<Vec<_>>()), whole, "{cap} in pieces of {size}");
            }
            let cut = 100_usize.saturating_sub(cap);
            assert_eq!((whole.cut(), whole.bytes.len()), (cut as u64, 100 - cut));
            if cut > 0 {
                assert_eq!(whole.begin(), &bytes[..cap.div_ceil(2)]);
                assert_eq!(whole.end(), &bytes[100 - cap / 2..]);
            } else {
                assert_eq!((whole.begin(), whole.end()), (bytes.as_slice(), &[][..]));
            }
        }
    }

    #[test]
    fn a_cut_is_a_line_of_its_own() {
        assert_eq!(kept(4, &[b"abcdef"]).to_string(), "ab\n[2 bytes cut]\nef");
        assert_eq!(kept(4, &[b"a\ncd\xffe"]).to_string(), "a\n[2 bytes cut]\n\u{fffd}e");
        assert_eq!(kept(0, &[b"abc"]).to_string(), "[3 bytes cut]\n");
        assert_eq!(kept(4, &[b"abcd"]).to_string(), "abcd");
    }
}
