//! What a worker writes to its descriptors 1 and 2: two pipes, which the supervisor empties.
//!
//! Both sides count the bytes of each pipe from its beginning. The supervisor says in the shared page how many it has
//! taken out; the worker adds how many are still in the pipe, and so knows where it stands without waiting for anybody.
//! Whether anything was written at all is told by an epoll set over both pipes: a system call that does next to nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::fd::{Fd, Listed, place};
use crate::page::Page;

/// The two streams: standard output, then standard error.
pub const STREAMS: usize = 2;

/// How many bytes have been written to each stream since the worker began.
pub type Offsets = [u64; STREAMS];

/// The supervisor's end of one pipe.
#[derive(Debug)]
pub struct Drain {
    pipe: Fd,
    stream: usize,
    taken: u64,
    ended: bool,
}

/// Makes both pipes: the supervisor's ends, and what a worker [takes over](Tap::install).
///
/// # Errors
/// When the process is out of descriptors.
pub fn pipes() -> io::Result<([Drain; STREAMS], [Fd; 3])> {
    let news = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let pipe = |stream| -> io::Result<(Drain, Fd)> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        // Only this end: whoever writes shall wait for room, as at any pipe.
        nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        news.add(&read, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))?;
        Ok((Drain { pipe: read.into(), stream, taken: 0, ended: false }, write.into()))
    };
    let ((out, out_end), (err, err_end)) = (pipe(0)?, pipe(1)?);
    Ok(([out, err], [out_end, err_end, news.0.into()]))
}

impl Drain {
    /// Takes out up to `most` bytes without waiting, appends them to `bytes`, and says so in the page; how many there were.
    ///
    /// # Errors
    /// When the pipe is broken.
    pub fn take(&mut self, page: &Page, most: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let before = bytes.len();
        bytes.resize(before + most.min(PIECE), 0);
        let word = page.taken(self.stream);
        // Odd while it is being changed. The kernel is another one that looks at memory: the order is made explicit.
        word.store(self.taken << 1 | 1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let read = loop {
            match nix::unistd::read(&self.pipe, &mut bytes[before..]) {
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => break Ok(0),
                other => {
                    self.ended = most > 0 && other.unwrap_or(0) == 0;
                    break other;
                }
            }
        };
        let count = read.unwrap_or(0);
        self.taken += count as u64;
        fence(Ordering::SeqCst);
        word.store(self.taken << 1, Ordering::SeqCst);
        bytes.truncate(before + count);
        Ok(read?)
    }

    /// How many bytes have been taken out.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the last look found that nobody holds the other end: the pipe is readable for ever, with nothing in it.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// How many bytes are in the pipe now.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        waiting(&self.pipe)
    }
}

impl AsFd for Drain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// The worker's side of both pipes.
#[derive(Debug)]
pub struct Tap {
    // Copies of its own: a task may close descriptors 1 and 2, or put something else there.
    pipes: [Fd; STREAMS],
    _listed: Listed,
    news: Epoll,
    /// Something was in a pipe when that was last looked at. Kernels before 5.14 announce only what is written to an
    /// empty pipe.
    filled: bool,
    /// How many bytes the supervisor had taken out then.
    taken: Offsets,
}

impl Tap {
    /// Points descriptors 1 and 2 of this process at the pipes.
    ///
    /// # Errors
    /// When these are not the descriptors that [`pipes`] made.
    pub fn install(fds: Vec<Fd>) -> io::Result<Self> {
        let fds = <[Fd; 3]>::try_from(fds).map_err(|_| io::ErrorKind::InvalidInput)?;
        let [out, err, _news] = &fds;
        place(out.as_fd(), 1)?;
        place(err.as_fd(), 2)?;
        Self::new(fds)
    }

    fn new([out, err, news]: [Fd; 3]) -> io::Result<Self> {
        let news = news.as_fd().try_clone_to_owned()?;
        Ok(Self {
            pipes: [out, err],
            _listed: Listed::new(&news),
            news: Epoll(news),
            filled: false,
            taken: [0; STREAMS],
        })
    }

    /// Whether anything may have been written since [`written`](Self::written) was last asked for.
    #[must_use]
    pub fn has_news(&self, page: &Page) -> bool {
        let mut events = [EpollEvent::empty(); STREAMS];
        // An error can only mean that a task has closed it; then the counts themselves are looked at.
        if self.filled || self.news.wait(&mut events, EpollTimeout::ZERO) != Ok(0) {
            return true;
        }
        // The set does not tell of what has been taken out again by now; the page does.
        fence(Ordering::SeqCst);
        (0..STREAMS).any(|stream| page.taken(stream).load(Ordering::SeqCst) != self.taken[stream] << 1)
    }

    /// How many bytes have been written to each pipe so far.
    #[must_use]
    pub fn written(&mut self, page: &Page) -> Offsets {
        self.filled = false;
        std::array::from_fn(|stream| {
            let (taken, waiting) = settled(page.taken(stream), || waiting(&self.pipes[stream]));
            self.filled |= waiting > 0;
            self.taken[stream] = taken;
            taken + waiting
        })
    }
}

/// Reads both numbers of one moment. It has no deadline: the supervisor changes them around one system call that does not
/// wait; while that is stopped, so is everything that needs it, and its death ends this process.
fn settled(word: &AtomicU64, waiting: impl Fn() -> u64) -> (u64, u64) {
    let mut tries = 0;
    loop {
        let before = word.load(Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let bytes = waiting();
        fence(Ordering::SeqCst);
        if before & 1 == 0 && word.load(Ordering::SeqCst) == before {
            return (before >> 1, bytes);
        }
        tries += 1;
        if tries < 100 { std::thread::yield_now() } else { std::thread::sleep(Duration::from_micros(50)) }
    }
}

fn waiting(pipe: &Fd) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, for which `count` has room.
    let done = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    // A pipe that a task has closed has nothing to say.
    if done < 0 { 0 } else { u64::try_from(count).unwrap_or(0) }
}

/// What is taken out of a pipe at once, at most.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn both_sides_agree_on_every_byte() {
        let (page, _memory) = Page::create().expect("memory");
        let ([mut out, mut err], [out_end, err_end, news]) = pipes().expect("descriptors");
        let writer = |fd: &Fd| std::fs::File::from(fd.as_fd().try_clone_to_owned().expect("a descriptor"));
        let (mut to_out, mut to_err) = (writer(&out_end), writer(&err_end));
        let mut tap = Tap::new([out_end, err_end, news]).expect("a descriptor");
        assert!(!tap.has_news(&page));

        to_out.write_all(b"one").expect("room");
        assert!(tap.has_news(&page));
        assert_eq!(tap.written(&page), [3, 0]);
        let mut bytes = Vec::new();
        assert_eq!(out.take(&page, 2, &mut bytes).expect("sound"), 2);
        assert_eq!((tap.written(&page), out.taken(), out.waiting()), ([3, 0], 2, 1));
        to_err.write_all(b"two!").expect("room");
        assert!(tap.has_news(&page));
        assert_eq!(out.take(&page, 9, &mut bytes).expect("sound") + err.take(&page, 9, &mut bytes).expect("sound"), 5);
        assert_eq!((bytes.as_slice(), tap.written(&page)), (&b"onetwo!"[..], [3, 4]));
        assert!(!tap.has_news(&page));
        assert_eq!(err.take(&page, 9, &mut bytes).expect("nothing is no error"), 0);

        to_out.write_all(b"3").expect("room");
        assert_eq!(out.take(&page, 9, &mut bytes).expect("sound"), 1);
        assert!(tap.has_news(&page), "although the pipe is empty again");
        assert_eq!(tap.written(&page), [4, 4]);

        assert_eq!((err.take(&page, 9, &mut bytes).expect("nothing is no error"), err.ended()), (0, false));
        drop((tap, to_err));
        assert_eq!((err.take(&page, 0, &mut bytes).expect("nothing is no error"), err.ended()), (0, false));
        assert_eq!((err.take(&page, 9, &mut bytes).expect("nothing is no error"), err.ended()), (0, true));
        assert_eq!((out.take(&page, 9, &mut bytes).expect("it is held"), out.ended()), (0, false));
    }

    #[test]
    fn a_count_is_never_read_half_changed() {
        let (page, memory) = Page::create().expect("memory");
        let ([mut out, _err], [out_end, err_end, news]) = pipes().expect("descriptors");
        let mut to_out = std::fs::File::from(out_end.as_fd().try_clone_to_owned().expect("a descriptor"));
        let mut tap = Tap::new([out_end, err_end, news]).expect("a descriptor");
        const ROUNDS: u64 = 2_000;
        let theirs = Page::open(memory.as_fd()).expect("the same memory");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut bytes = Vec::new();
                while out.taken() < ROUNDS * 7 {
                    bytes.clear();
                    out.take(&theirs, 5, &mut bytes).expect("sound");
                }
            });
            for round in 1..=ROUNDS {
                to_out.write_all(b"7 bytes").expect("somebody reads");
                assert_eq!(tap.written(&page)[0], round * 7);
            }
        });
    }
}
