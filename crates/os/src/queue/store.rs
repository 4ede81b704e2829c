//! The operations of a queue, with a deadline each.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::ledger::{self, Ledger};
use super::records::{FIRST, LEAD, Records, give_back, shrink, size_of_record};
use super::state::{State, WORDS};
use crate::lock::bell::{self, Look};
use crate::lock::futex::ALL;
use crate::lock::ground::{HEADER, LINE};
use crate::lock::identity::namespaces;
use crate::lock::latch::{enter, latest, soon};
use crate::memory::{Memory, create_growing, size};

/// What the memory says that it is: "ganger", a queue, version 1.
const MAGIC: u64 = u64::from_le_bytes(*b"gangerq\x01");

/// The words of the header: what it is, in which namespaces, how many items there may be, and whether
/// there was ever a second handle, and whether it is counted who has taken what.
const WHAT: usize = 0;
const WHERE: usize = 1;
const BOUND: usize = 2;
const SHARED: usize = 3;
const COUNTED: usize = 4;
/// What the fourth one says.
const ONCE_SHARED: u64 = 1;
const UNCOUNTABLE: u64 = 2;
const LATCH: usize = HEADER;
/// Rung when there is an item, room for one, nothing unfinished.
const ITEMS: usize = HEADER + LINE;
const ROOM: usize = HEADER + 2 * LINE;
const DONE: usize = HEADER + 3 * LINE;
const STATE: usize = HEADER + 4 * LINE;
const LEDGER: usize = STATE + WORDS;
const SIZE: usize = 8 * (LEDGER + ledger::WORDS);

/// Why something was not done.
#[derive(Debug)]
pub enum Refused {
    /// It was not possible in time.
    Late,
    /// The queue is closed (and, for whoever takes, empty).
    Closed,
    /// Nobody else has the queue any more who could make it possible.
    Alone,
    /// Nothing is unfinished.
    NothingUnfinished,
    /// So many of the unfinished items were taken by processes that have died: they are unfinished no longer.
    Lost(u64),
    /// The memory holds what no queue can.
    Corrupt,
    /// The system refused.
    System(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// A queue's memory, as this process sees it.
#[derive(Debug)]
pub struct Store {
    header: Memory,
    /// Locked only with the latch held, and so never waited for.
    records: Mutex<Records>,
}

/// How the queue is seen by one handle.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, A> {
    /// Its memory.
    pub store: &'a Store,
    /// A descriptor of it.
    pub file: BorrowedFd<'a>,
    /// Whether no one else has the queue; asked now and then by whoever waits.
    pub is_alone: A,
}

impl Store {
    /// Makes the memory of a queue that has room for `bound` items, or any number if that is 0. With `counted` it is known what the
    /// dead have taken.
    ///
    /// # Errors
    /// When memory or descriptors are short.
    pub fn create(bound: u64, counted: bool) -> io::Result<(Self, OwnedFd)> {
        let file = create_growing(c"ganger-queue", LEAD + FIRST as usize)?;
        let header = Memory::part(file.as_fd(), SIZE)?;
        header.word64(8 * WHAT).store(MAGIC, Relaxed);
        header.word64(8 * WHERE).store(namespaces(), Relaxed);
        header.word64(8 * BOUND).store(bound, Relaxed);
        header.word64(8 * COUNTED).store(counted.into(), Relaxed);
        State { capacity: FIRST, ..State::default() }.commit(&header, STATE);
        let records = Mutex::new(Records::map(file.as_fd(), FIRST)?);
        Ok((Self { header, records }, file))
    }

    /// Maps the memory of a queue that [`create`](Self::create) made, most likely in another process.
    ///
    /// # Errors
    /// When it is no such memory, when it belongs to processes that this one cannot see, or when it cannot be mapped.
    pub fn open(file: BorrowedFd<'_>) -> io::Result<Self> {
        size(file, LEAD + FIRST as usize)?;
        let header = Memory::part(file, SIZE)?;
        if header.word64(8 * WHAT).load(Relaxed) != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "shared memory that is no queue"));
        }
        let (there, here) = (header.word64(8 * WHERE).load(Relaxed), namespaces());
        // 0 where `/proc` does not tell.
        if there != 0 && here != 0 && there != here {
            let text =
                "a queue of processes in another pid or time namespace: who has died there cannot be told from here";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let records = Mutex::new(Records::map(file, FIRST)?);
        Ok(Self { header, records })
    }

    /// How many items there may be; 0 for any number.
    #[must_use]
    pub fn bound(&self) -> u64 {
        self.header.word64(8 * BOUND).load(Relaxed)
    }

    /// Says that there is, or was, a second handle.
    pub fn mark_shared(&self) {
        self.header.word64(8 * SHARED).fetch_max(ONCE_SHARED, AcqRel);
    }

    /// Says that there is a handle which cannot be told from another one.
    pub fn mark_uncountable(&self) {
        self.header.word64(8 * SHARED).fetch_max(UNCOUNTABLE, AcqRel);
    }

    /// Whether there ever was a second handle, and all of them can be told from each other.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.header.word64(8 * SHARED).load(Acquire) == ONCE_SHARED
    }

    fn ledger(&self) -> Option<Ledger<'_, Memory>> {
        let counted = self.header.word64(8 * COUNTED).load(Relaxed) != 0;
        counted.then(|| Ledger::new(&self.header, LEDGER))
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, bell: usize, most: u32) {
        bell::ring(self.header.word64(8 * bell), most);
    }

    /// The state, with the latch held, if it can be one.
    fn state(&self, file: BorrowedFd<'_>) -> Result<State, Refused> {
        let state = State::read(&self.header, STATE);
        // What was checked before need not be asked again, which is a system call.
        let known = self.records().len();
        let sound = state.is_sound(known) || state.is_sound((size(file, LEAD)? - LEAD) as u64);
        if sound { Ok(state) } else { Err(Refused::Corrupt) }
    }
}

impl<A: Fn() -> bool> View<'_, A> {
    /// Puts an item in, waiting for room until `end` at most; for ever, as long as somebody may take one, without.
    ///
    /// # Errors
    /// See [`Refused`]; the item is not there then.
    pub fn put(&self, item: &[u8], end: Option<Instant>) -> Result<(), Refused> {
        let size = size_of_record(item.len() as u64).ok_or(io::Error::from(io::ErrorKind::OutOfMemory))?;
        let bound = self.store.bound();
        self.wait(ROOM, end, |mut state, _| {
            if state.closed {
                return Err(Refused::Closed);
            }
            if bound != 0 && state.items >= bound {
                return Ok(None);
            }
            let mut records = self.store.records();
            records.follow(self.file, state.capacity)?;
            records.grow(self.file, &mut state, size)?;
            records.append(&mut state, item, size);
            state.items += 1;
            state.unfinished = state.unfinished.saturating_add(1);
            Ok(Some(state))
        })?;
        self.store.ring(ITEMS, 1);
        Ok(())
    }

    /// Takes the first item, waiting for one until `end` at most; for ever, as long as somebody may put one in, without.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn take(&self, out: &mut Vec<u8>, end: Option<Instant>) -> Result<(), Refused> {
        let mut large = false;
        self.wait(ITEMS, end, |mut state, _| {
            if state.items == 0 {
                return if state.closed { Err(Refused::Closed) } else { Ok(None) };
            }
            let mut records = self.store.records();
            records.follow(self.file, state.capacity)?;
            records.take(&mut state, out)?.ok_or(Refused::Corrupt)?;
            state.items -= 1;
            large = shrink(&mut state);
            self.store.ledger().inspect(Ledger::add);
            Ok(Some(state))
        })?;
        if self.store.bound() != 0 {
            self.store.ring(ROOM, 1);
        }
        if large {
            self.give_back();
        }
        Ok(())
    }

    /// Has the memory given back that a queue which has run empty does not keep.
    fn give_back(&self) {
        if let Some(_latched) = enter(&self.store.header, LATCH, soon()) {
            give_back(self.file, State::read(&self.store.header, STATE));
        }
    }

    /// Says that an item which was taken is done with.
    ///
    /// # Errors
    /// `NothingUnfinished` when that was said of all already; others see [`Refused`].
    pub fn finish(&self) -> Result<(), Refused> {
        let mut left = 0;
        self.wait(DONE, Some(Instant::now()), |mut state, _| {
            state.unfinished = state.unfinished.checked_sub(1).ok_or(Refused::NothingUnfinished)?;
            left = state.unfinished;
            self.store.ledger().inspect(Ledger::remove);
            Ok(Some(state))
        })?;
        if left == 0 {
            self.store.ring(DONE, ALL);
        }
        Ok(())
    }

    /// Waits until nothing is unfinished, until `end` at most.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn wait_finished(&self, end: Option<Instant>) -> Result<(), Refused> {
        let mut lost = 0;
        self.wait(DONE, end, |mut state, look| {
            if look == Look::Thorough && state.unfinished > 0 {
                let taken = state.unfinished.saturating_sub(state.items);
                lost = self.store.ledger().map_or(0, |ledger| ledger.lost(taken));
                state.unfinished -= lost;
            }
            Ok((state.unfinished == 0 || lost > 0).then_some(state))
        })?;
        if lost > 0 { Err(Refused::Lost(lost)) } else { Ok(()) }
    }

    /// Closes the queue to new items; what is in it can still be taken.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn close(&self) -> Result<(), Refused> {
        self.wait(DONE, Some(Instant::now()), |state, _| Ok(Some(State { closed: true, ..state })))?;
        [ITEMS, ROOM, DONE].into_iter().for_each(|bell| self.store.ring(bell, ALL));
        Ok(())
    }

    /// How many items there are, and whether the queue is closed.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn look(&self) -> Result<(u64, bool), Refused> {
        let mut found = (0, false);
        self.wait(DONE, Some(Instant::now()), |state, _| {
            found = (state.items, state.closed);
            Ok(Some(state))
        })?;
        Ok(found)
    }

    /// Has `change` make a new state of the current one, with the latch held, as soon as it can; it is asked again whenever
    /// that bell rings.
    fn wait(
        &self,
        bell: usize,
        end: Option<Instant>,
        mut change: impl FnMut(State, Look) -> Result<Option<State>, Refused>,
    ) -> Result<(), Refused> {
        let latest = latest(end);
        let mut attempt = |look: Look| {
            // Before the state is looked at: what the last of the others did is in it then.
            let alone = look == Look::Thorough && (self.is_alone)();
            let _latched = enter(&self.store.header, LATCH, latest)?;
            let before = self.store.state(self.file);
            match before.and_then(|before| Ok((before, change(before, look)?))) {
                Err(refused) => Some(Err(refused)),
                Ok((_, None)) => alone.then_some(Err(Refused::Alone)),
                Ok((before, Some(after))) => {
                    if after != before {
                        after.commit(&self.store.header, STATE);
                    }
                    Some(Ok(()))
                }
            }
        };
        // Who does not want to wait does not listen, either: the next ring would be a system call for nobody.
        if end.is_some_and(|end| end <= Instant::now()) {
            return attempt(Look::Quick).unwrap_or(Err(Refused::Late));
        }
        bell::wait(self.store.header.word64(8 * bell), end, attempt).unwrap_or(Err(Refused::Late))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn alone() -> bool {
        false
    }

    fn view<'a>(store: &'a Store, file: &'a OwnedFd) -> View<'a, fn() -> bool> {
        View { store, file: file.as_fd(), is_alone: alone }
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(20))
    }

    /// The identity of a process that is no more.
    fn dead() -> u64 {
        let mut child = std::process::Command::new("true").spawn().expect("starts");
        child.wait().expect("it is ours");
        1 << 25 | u64::from(child.id()) << 3
    }

    #[test]
    fn two_views_share_a_queue_that_grows_and_gives_back() {
        let (one, file) = Store::create(0, false).expect("memory");
        let other = Store::open(file.as_fd()).expect("a queue");
        let (one, other) = (view(&one, &file), view(&other, &file));
        let item = |number: usize| vec![number as u8; number * 1_000];
        (0..100).for_each(|number| one.put(&item(number), soon()).expect("room"));
        assert_eq!(one.look().expect("sound"), (100, false));
        let mut out = Vec::new();
        for number in 0..100 {
            other.take(&mut out, soon()).expect("there");
            assert!(out == item(number), "{number}");
        }
        let blocks = nix::sys::stat::fstat(&file).expect("a file").st_blocks;
        assert!(blocks * 512 < 3 << 20, "{blocks} of 5 MB");
        assert!(matches!(other.take(&mut out, Some(Instant::now())), Err(Refused::Late)));
        one.close().expect("sound");
        assert!(matches!(other.take(&mut out, None), Err(Refused::Closed)));
        assert!(matches!(other.put(&out, None), Err(Refused::Closed)));
    }

    #[test]
    fn who_dies_with_the_latch_has_changed_nothing() {
        let (store, file) = Store::create(0, false).expect("memory");
        let view = view(&store, &file);
        view.put(b"first", soon()).expect("room");
        // The next set is half written, and the latch is a dead process's.
        let half = State { head: 1 << 50, items: 9, ..State::default() };
        half.commit(&store.header, STATE);
        store.header.word64(8 * STATE).fetch_sub(1, Relaxed);
        store.header.word64(8 * LATCH).store(dead(), Relaxed);
        view.put(b"second", soon()).expect("room");
        let mut out = Vec::new();
        for expected in [&b"first"[..], b"second"] {
            view.take(&mut out, soon()).expect("there");
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_live_holder_is_waited_for_and_not_for_ever() {
        let (store, file) = Store::create(0, false).expect("memory");
        let _latched = enter(&store.header, LATCH, None).expect("free");
        let start = Instant::now();
        assert!(matches!(view(&store, &file).put(b"item", Some(start)), Err(Refused::Late)));
        assert!(start.elapsed() >= Duration::from_millis(900));
    }

    #[test]
    fn bounds_and_unfinished_items_are_counted() {
        let (store, file) = Store::create(2, true).expect("memory");
        let view = view(&store, &file);
        assert!(matches!(view.finish(), Err(Refused::NothingUnfinished)));
        (0..2).for_each(|_| view.put(b"", soon()).expect("room"));
        assert!(matches!(view.put(b"", Some(Instant::now())), Err(Refused::Late)));
        let mut out = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| view.put(b"third", soon()).expect("room, once one is taken"));
            view.take(&mut out, soon()).expect("there");
        });
        (0..2).for_each(|_| view.take(&mut out, soon()).expect("there"));
        assert_eq!(out, b"third");
        assert!(matches!(view.wait_finished(Some(Instant::now())), Err(Refused::Late)));
        std::thread::scope(|scope| {
            scope.spawn(|| view.wait_finished(soon()).expect("they are done"));
            (0..3).for_each(|_| view.finish().expect("unfinished"));
        });
    }

    #[test]
    fn whoever_is_alone_does_not_wait() {
        let (store, file) = Store::create(1, false).expect("memory");
        let view = View { store: &store, file: file.as_fd(), is_alone: || true };
        assert!(matches!(view.take(&mut Vec::new(), None), Err(Refused::Alone)));
        view.put(b"item", None).expect("room");
        assert!(matches!(view.put(b"item", None), Err(Refused::Alone)));
        assert!(matches!(view.wait_finished(None), Err(Refused::Alone)));
    }

    #[test]
    fn what_is_no_queue_is_refused() {
        let empty = create_growing(c"test", LEAD + FIRST as usize).expect("memory");
        assert_eq!(Store::open(empty.as_fd()).expect_err("zeros").kind(), io::ErrorKind::InvalidData);
        let (store, file) = Store::create(0, false).expect("memory");
        State { capacity: 1 << 60, tail: 8, items: 1, ..State::default() }.commit(&store.header, STATE);
        assert!(matches!(view(&store, &file).take(&mut Vec::new(), None), Err(Refused::Corrupt)));
    }
}
