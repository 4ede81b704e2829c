//! A value that one thread changes all the time and another looks at now and then: its owner pays for no locking.
//!
//! A mutex would cost the owner two read-modify-write operations for each change, 20 ns: a quarter of what it takes to submit a tiny task.
//! Here the owner *stores* that it is inside and *loads* whether a visitor has knocked. A processor may do the load first,
//! and then each could miss the other. That it does not, the visitor sees to: it knocks, and has every processor that runs a thread of
//! this process pass a full barrier (`membarrier(2)`, private and expedited; some microseconds). Whatever the owner does from then on
//! sees the knock, and whatever it did before is seen.
//!
//! Where the kernel refuses that, as a sandbox may, the owner passes a barrier itself: slower, and the same otherwise. Neither end may be used
//! while the same thread is inside by the other: it would wait for itself, as with a mutex. Every order in which
//! the two can take their steps is gone through in `biased_model.rs`, with that barrier.
//!
//! The same asymmetry is in liburcu, in folly's hazard pointers and in the JVM's biased locks.

use std::cell::UnsafeCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::per_process::PerProcess;
use crate::word::Word;

/// Makes a value with its owner and its visitor.
///
/// ```
/// let (mut owner, visitor) = ganger_os::biased::biased(vec![1]);
/// owner.with(|numbers| numbers.push(2));
/// assert_eq!(visitor.with(std::mem::take), [1, 2]);
/// assert_eq!(owner.with(|numbers| numbers.len()), 0);
/// ```
pub fn biased<T>(value: T) -> (Owner<T>, Visitor<T>) {
    biased_with(value, Barrier::of_this_process())
}

fn biased_with<T>(value: T, barrier: Barrier) -> (Owner<T>, Visitor<T>) {
    let doors = Doors { inside: AtomicU64::new(0), knocked: AtomicU64::new(0) };
    let house = Arc::new(House { doors, visit: Mutex::new(()), barrier, value: UnsafeCell::new(value) });
    (Owner(house.clone()), Visitor(house))
}

/// The one end of a value, for the thread that changes it all the time.
pub struct Owner<T>(Arc<House<T>>);

/// The other end, for whoever looks at it now and then.
pub struct Visitor<T>(Arc<House<T>>);

impl<T> Owner<T> {
    /// Changes the value; a visitor, for which this waits if one is there, waits meanwhile.
    #[inline]
    pub fn with<R>(&mut self, act: impl FnOnce(&mut T) -> R) -> R {
        let house = &*self.0;
        if !house.doors.step_in(|| house.barrier.of_owner()) {
            return house.as_visitor(act);
        }
        let _out = StepOut(&house.doors);
        // SAFETY: there is one owner, whose reference is borrowed mutably, and no visitor: one that knocks from now on waits
        // until the owner is out.
        act(unsafe { &mut *house.value.get() })
    }
}

impl<T> Visitor<T> {
    /// Looks at the value, or changes it. The owner waits meanwhile, and so do other visitors.
    pub fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let house = &*self.0;
        // Given back last: whoever comes next must not find its own knock undone.
        let _visit = house.visit.lock().unwrap_or_else(PoisonError::into_inner);
        house.doors.knock(|| house.barrier.of_visitor());
        let _leave = Leave(&house.doors);
        let mut tries = 0;
        // Without a deadline: what the owner does inside takes nanoseconds, unless it has lost its processor.
        while house.doors.is_inside() {
            wait_a_little(tries);
            tries += 1;
        }
        // SAFETY: the owner is out, and does not step in while there is a knock; other visitors wait for `visit`.
        act(unsafe { &mut *house.value.get() })
    }
}

/// What owner and visitor share.
struct House<T> {
    doors: Doors<AtomicU64>,
    visit: Mutex<()>,
    barrier: Barrier,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only ever reached by one thread at a time, through `Owner::with` and `Visitor::with`; it need not be
// `Sync`, as nobody shares references to it.
unsafe impl<T: Send> Sync for House<T> {}

impl<T> House<T> {
    /// The owner's way in while somebody visits.
    #[cold]
    fn as_visitor<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let _visit = self.visit.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: whoever visits holds `visit`, and the owner is here.
        act(unsafe { &mut *self.value.get() })
    }
}

impl<T> fmt::Debug for Owner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Visitor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").finish_non_exhaustive()
    }
}

/// Where the two say where they are. Each word is written by one side only.
pub(crate) struct Doors<W> {
    pub(crate) inside: W,
    pub(crate) knocked: W,
}

impl<W: Word> Doors<W> {
    /// The owner steps in; `false` when somebody has knocked.
    #[inline]
    pub(crate) fn step_in(&self, barrier: impl FnOnce()) -> bool {
        self.inside.store(1, Ordering::Relaxed);
        barrier();
        // Acquire: what the last visitor has changed is known.
        let free = self.knocked.load(Ordering::Acquire) == 0;
        if !free {
            self.step_out();
        }
        free
    }

    #[inline]
    pub(crate) fn step_out(&self) {
        self.inside.store(0, Ordering::Release);
    }

    /// A visitor says that it is there. Once [`is_inside`](Self::is_inside) says `false`, the owner stays out.
    pub(crate) fn knock(&self, barrier: impl FnOnce()) {
        self.knocked.store(1, Ordering::Relaxed);
        barrier();
    }

    pub(crate) fn is_inside(&self) -> bool {
        self.inside.load(Ordering::Acquire) != 0
    }

    pub(crate) fn leave(&self) {
        self.knocked.store(0, Ordering::Release);
    }
}

struct StepOut<'a>(&'a Doors<AtomicU64>);

impl Drop for StepOut<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.step_out();
    }
}

struct Leave<'a>(&'a Doors<AtomicU64>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Who passes the barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barrier {
    /// The visitor, for both.
    Asymmetric,
    /// Each for itself.
    Symmetric,
}

/// Whether the kernel passes barriers for the owners of this process.
static ASYMMETRIC: PerProcess<bool> = PerProcess::new();

impl Barrier {
    fn of_this_process() -> Self {
        let registered = ASYMMETRIC.get_or(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
        if *registered { Self::Asymmetric } else { Self::Symmetric }
    }

    #[inline]
    fn of_owner(self) {
        match self {
            // The compiler must not exchange the store and the load either.
            Self::Asymmetric => compiler_fence(Ordering::SeqCst),
            Self::Symmetric => fence(Ordering::SeqCst),
        }
    }

    fn of_visitor(self) {
        fence(Ordering::SeqCst);
        if self == Self::Asymmetric && !membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
            // The process has put itself into a sandbox since it registered. Values that are made from now on do without.
            if ASYMMETRIC.get() != Some(&false) {
                ASYMMETRIC.set(false);
            }
            std::thread::sleep(SETTLED);
        }
    }
}

/// What a processor has stored is seen by all others long before so much time has passed: it waits in a buffer of some dozen
/// entries, which empties as fast as the caches take it.
const SETTLED: Duration = Duration::from_millis(1);

fn membarrier(command: libc::membarrier_cmd) -> bool {
    // SAFETY: the call takes plain numbers and touches no memory of the caller.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Waits for somebody who is about to be done.
fn wait_a_little(tries: u32) {
    match tries {
        0..100 => std::hint::spin_loop(),
        100..200 => std::thread::yield_now(),
        // It may have a lower priority than this thread, which has to go away for it.
        _ => std::thread::sleep(Duration::from_micros(50)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is wrong for a moment whenever it is changed.
    fn add_slowly(pair: &mut [u64; 2]) {
        assert_eq!(pair[0], pair[1], "somebody else is at it");
        pair[0] += 1;
        std::hint::black_box(&mut *pair);
        pair[1] += 1;
    }

    /// Has an owner change a value all the time while two threads visit it, each so often.
    fn never_meet(barrier: Barrier, visits: u64) {
        let (mut owner, visitor) = biased_with([0; 2], barrier);
        let changes = std::thread::scope(|scope| {
            let visit = || (0..visits).for_each(|_| visitor.with(add_slowly));
            let visitors = [scope.spawn(visit), scope.spawn(visit)];
            let mut changes = 0;
            while changes < 200_000 || visitors.iter().any(|visitor| !visitor.is_finished()) {
                owner.with(add_slowly);
                changes += 1;
            }
            visitors.into_iter().for_each(|visitor| visitor.join().expect("they never meet"));
            changes + 2 * visits
        });
        assert_eq!(owner.with(|pair| *pair), [changes; 2], "{barrier:?}");
    }

    #[test]
    fn owner_and_visitors_never_meet() {
        never_meet(Barrier::of_this_process(), 2_000);
        never_meet(Barrier::Symmetric, 2_000);
    }

    /// In a process that has not registered the kernel refuses as a sandbox would that came later.
    #[test]
    fn what_the_kernel_refuses_later_is_done_without() {
        const ALONE: &str = "GANGER_TEST_BIASED_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let mut alone = std::process::Command::new(std::env::current_exe().expect("this program"));
            let name = "biased::tests::what_the_kernel_refuses_later_is_done_without";
            let ran = alone.args(["--exact", name]).env(ALONE, "1").output().expect("it starts");
            assert!(ran.status.success(), "{ran:?}");
            return;
        }
        assert!(!membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED), "nobody has registered");
        never_meet(Barrier::Asymmetric, 50);
        assert_eq!(Barrier::of_this_process(), Barrier::Symmetric);
    }

    #[test]
    fn a_panic_inside_locks_nobody_out() {
        let (mut owner, visitor) = biased(0);
        let panics = |act: &mut dyn FnMut()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err();
        assert!(panics(&mut || owner.with(|_| panic!("the owner"))));
        assert!(panics(&mut || visitor.with(|_| panic!("a visitor"))));
        visitor.with(|number| *number += 1);
        assert_eq!(owner.with(|number| *number), 1);
    }
}
