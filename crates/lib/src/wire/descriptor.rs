//! Descriptors beside a message: how queues, locks, pipes and shared arrays travel.
//!
//! A handle holds its descriptors as [`Descriptor`]s and derives serde's traits. While a message is encoded within
//! [`sending`], each descriptor in it is put aside and its number takes its place among the bytes; the transport passes
//! them on beside the bytes, and the message is decoded within [`receiving`]. Anywhere else a handle cannot be serialized:
//! what an open file means only a process knows that has it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::gap::Gap;

/// The most that travel with one message; the kernel's own limit (`SCM_MAX_FD`).
pub(crate) const MOST: usize = ganger_os::socket::MOST_DESCRIPTORS;

/// An open file, socket or pipe that can be passed on: as an argument or a result of a task, as an argument of a process,
/// through a pipe. The other process gets a descriptor of its own for the same open file, as with `SCM_RIGHTS` and Python's
/// `multiprocessing.reduction.DupFd`.
///
/// Clones share one descriptor, which is closed with the last of them; a message carries it once, however often it is named
/// there, and at most 253 different ones. Nowhere else can it be serialized: what an open file means only a process knows
/// that has it.
///
/// ```
/// use std::fs::File;
/// use std::io::Read;
/// use ganger::Descriptor;
///
/// fn first_word(file: Descriptor) -> std::io::Result<String> {
///     let mut text = String::new();
///     File::from(file.into_owned()?).read_to_string(&mut text)?;
///     Ok(text.split(' ').next().unwrap_or_default().to_owned())
/// }
///
/// let pool = ganger::Pool::new(1)?;
/// let word: String = pool.apply(first_word, (Descriptor::new(File::open("/proc/version")?),))?;
/// assert_eq!(word, "Linux");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Descriptor(Arc<Open>);

#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    /// What was made of it: a mapping, most likely. Bound arguments are decoded for every task, and mapped once.
    made: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(Open { fd, made: Mutex::new(None) }))
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl Descriptor {
    /// Takes over an open file, socket or pipe.
    #[must_use]
    pub fn new(open: impl Into<OwnedFd>) -> Self {
        Self::from(open.into())
    }

    /// Gives the descriptor back, to make a `File` or a socket of it.
    ///
    /// # Errors
    /// When there are clones, it has to be duplicated, which fails when the process's table of descriptors is full.
    pub fn into_owned(self) -> std::io::Result<OwnedFd> {
        match Arc::try_unwrap(self.0) {
            Ok(open) => Ok(open.fd),
            Err(shared) => shared.fd.try_clone(),
        }
    }

    /// Whether there are no clones of it in this process.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// What `make` makes of it, once for all clones: it lives as long as they do.
    pub(crate) fn made<T, E>(&self, make: impl FnOnce(BorrowedFd<'_>) -> Result<T, E>) -> Result<Arc<T>, E>
    where
        T: Any + Send + Sync,
    {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.as_ref().and_then(|known| known.clone().downcast::<T>().ok()) {
            return Ok(known);
        }
        let new = Arc::new(make(self.as_fd())?);
        *made = Some(new.clone());
        Ok(new)
    }
}

/// Which part of a call a message is. Bound arguments and those of the single task are encoded at different times and
/// decoded together, so their descriptors are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What a message has that stands for itself, and the arguments of one task.
    Own,
    /// Arguments that are the same for all tasks of a job.
    Bound,
}

/// Set in the numbers of descriptors of bound arguments.
const BOUND: u32 = 1 << 31;

/// What the message may put aside that this thread is encoding, if any is. It is looked at for every task: so it is one word,
/// and has no destructor (of what has one a thread must ask each time whether it is still there).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outgoing(usize);

impl Outgoing {
    /// No message that can carry descriptors.
    const NONE: Self = Self(0);
    const OWN: usize = 1;
    const BOUND: usize = 2;
    /// It has something in `BESIDE`.
    const LADEN: usize = 4;
    /// What is above is one more than where the message begins in its buffer, if a part of it may be put aside.
    const START: u32 = 3;

    #[inline]
    fn new(part: Part, start: Option<usize>) -> Self {
        let part = if part == Part::Bound { Self::BOUND } else { Self::OWN };
        Self(part | start.map_or(0, |start| (start + 1) << Self::START))
    }

    fn part(self) -> Option<Part> {
        match self.0 & (Self::OWN | Self::BOUND) {
            0 => None,
            Self::BOUND => Some(Part::Bound),
            _ => Some(Part::Own),
        }
    }

    fn start(self) -> Option<usize> {
        (self.0 >> Self::START).checked_sub(1)
    }

    #[inline]
    fn is_laden(self) -> bool {
        self.0 & Self::LADEN != 0
    }

    fn laden(self) -> Self {
        Self(self.0 | Self::LADEN)
    }

    fn unladen(self) -> Self {
        Self(self.0 & !Self::LADEN)
    }
}

/// What travels beside the bytes of a message. Nearly nothing has it, so it is passed on in a box: what a tiny task costs is
/// the words that are moved for it.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) descriptors: Vec<Descriptor>,
    /// Where bytes are missing that are aside already.
    pub(crate) gap: Option<Box<Gap>>,
}

/// What has come with the message that is being decoded.
#[derive(Debug)]
struct Incoming {
    own: Vec<Descriptor>,
    bound: Vec<Descriptor>,
}

thread_local! {
    static OUTGOING: Cell<Outgoing> = const { Cell::new(Outgoing::NONE) };
    /// What the message that is being encoded has put aside.
    static BESIDE: RefCell<Beside> = const { RefCell::new(Beside { descriptors: Vec::new(), gap: None }) };
    static INCOMING: RefCell<Option<Incoming>> = const { RefCell::new(None) };
    /// Whether there is something in `INCOMING`, and in `RESULT`: as of `Outgoing`, looking there would take longer.
    static HAS_COME: Cell<bool> = const { Cell::new(false) };
    static RESULT_IS_LADEN: Cell<bool> = const { Cell::new(false) };
    static RESULT: RefCell<Option<Box<Beside>>> = const { RefCell::new(None) };
    static GAPS: Cell<bool> = const { Cell::new(false) };
}

/// A message, and what travels beside it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<Descriptor>,
}

/// The message around one that is encoded: it goes on when this is dropped, also when code of others has panicked meanwhile.
struct Around {
    outgoing: Outgoing,
    beside: Option<Box<Beside>>,
}

impl Around {
    #[inline]
    fn begin(outgoing: Outgoing) -> Self {
        let around = OUTGOING.replace(outgoing);
        Self { outgoing: around, beside: around.is_laden().then(|| Box::new(BESIDE.take())) }
    }
}

impl Drop for Around {
    #[inline]
    fn drop(&mut self) {
        if OUTGOING.replace(self.outgoing).is_laden() {
            BESIDE.take();
        }
        if let Some(beside) = self.beside.take() {
            BESIDE.set(*beside);
        }
    }
}

/// Has `encode` encode a message; returns what it returns, and the descriptors that are to travel with the bytes.
pub(crate) fn sending<R>(part: Part, encode: impl FnOnce() -> R) -> (R, Vec<Descriptor>) {
    let (encoded, beside) = encoding(Outgoing::new(part, None), encode);
    (encoded, beside.map_or_else(Vec::new, |beside| beside.descriptors))
}

/// As [`sending`], for a message that can be put aside if it has a `start`, which is where it begins in its buffer: a large
/// vector of bytes leaves a gap there.
#[inline]
pub(crate) fn sending_large<R>(start: Option<usize>, encode: impl FnOnce() -> R) -> (R, Option<Box<Beside>>) {
    encoding(Outgoing::new(Part::Own, start), encode)
}

#[inline]
fn encoding<R>(outgoing: Outgoing, encode: impl FnOnce() -> R) -> (R, Option<Box<Beside>>) {
    let _around = Around::begin(outgoing);
    let encoded = encode();
    (encoded, OUTGOING.get().is_laden().then(unload))
}

#[cold]
fn unload() -> Box<Beside> {
    OUTGOING.set(OUTGOING.get().unladen());
    Box::new(BESIDE.take())
}

/// Gives `put` the company of the message that is being encoded.
fn load<R>(put: impl FnOnce(&mut Beside) -> R) -> R {
    OUTGOING.set(OUTGOING.get().laden());
    BESIDE.with_borrow_mut(put)
}

/// Puts the bytes aside that would come next in the message's buffer, where they can be put and none are yet; says whether.
#[cold]
pub(crate) fn leave_gap(end: usize, bytes: &[u8]) -> bool {
    let Some(start) = OUTGOING.get().start() else { return false };
    load(|beside| {
        if beside.gap.is_some() {
            return false;
        }
        beside.gap = Gap::open(end - start, bytes);
        beside.gap.is_some()
    })
}

/// Has [`encode_result`] leave gaps on this thread, or no longer: its caller knows what to do with them.
pub(crate) fn let_results_have_gaps(have: bool) {
    GAPS.set(have);
}

/// Has `encode` encode a task's result at the end of a buffer of `start` bytes, and keeps what travels beside it for
/// [`take_result`]: a shim's signature has no room for that.
#[inline]
pub(crate) fn encode_result<E>(start: usize, encode: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    let (encoded, beside) = sending_large(GAPS.get().then_some(start), encode);
    encoded?;
    if beside.is_some() {
        RESULT_IS_LADEN.set(true);
        RESULT.set(beside);
    }
    Ok(())
}

/// What [`encode_result`] has kept since this was last asked; `None` nearly always.
#[inline]
pub(crate) fn take_result() -> Option<Box<Beside>> {
    if RESULT_IS_LADEN.take() { RESULT.take() } else { None }
}

/// Whether this thread encodes a message that can carry descriptors: that of a private channel to a process of ours.
pub(crate) fn is_sending() -> bool {
    OUTGOING.get().part().is_some()
}

/// Has `decode` decode a message with which `descriptors` have come: those of another, within which this one is decoded, are
/// not taken for its own.
pub(crate) fn receiving<R>(descriptors: Vec<Descriptor>, decode: impl FnOnce() -> R) -> R {
    receiving_call(descriptors, Vec::new(), decode)
}

/// Says that the arguments of the call are decoded: from here on their descriptors are open for as long as the task holds
/// on to them. A connection that it lets go of is closed then, and not when the task ends.
#[inline]
pub(crate) fn arrived() {
    if HAS_COME.get() {
        INCOMING.with_borrow_mut(|incoming| incoming.iter_mut().for_each(|incoming| incoming.own.clear()));
    }
}

/// The same of a call: the descriptors of its own arguments, and of bound ones.
pub(crate) fn receiving_call<R>(own: Vec<Descriptor>, bound: Vec<Descriptor>, decode: impl FnOnce() -> R) -> R {
    /// Puts back what is around this message.
    struct Before(Option<Incoming>);
    impl Drop for Before {
        fn drop(&mut self) {
            HAS_COME.set(self.0.is_some());
            INCOMING.set(self.0.take());
        }
    }
    HAS_COME.set(true);
    let _before = Before(INCOMING.replace(Some(Incoming { own, bound })));
    decode()
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = OUTGOING.get().part().map_or(
            Err("it holds an open descriptor, which can travel as an argument or a result of a task, as an argument of a \
                 process, and through a pipe, and nowhere else"),
            |part| load(|beside| number(&mut beside.descriptors, part, self)),
        );
        number.map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// The number that stands for `descriptor` among the bytes.
fn number(descriptors: &mut Vec<Descriptor>, part: Part, descriptor: &Descriptor) -> Result<u32, &'static str> {
    let flag = if part == Part::Bound { BOUND } else { 0 };
    if let Some(known) = descriptors.iter().position(|known| Arc::ptr_eq(&known.0, &descriptor.0)) {
        return Ok(known as u32 | flag);
    }
    if descriptors.len() >= MOST {
        return Err("it would be the 254th open descriptor of one message, and the kernel passes on 253");
    }
    descriptors.push(descriptor.clone());
    Ok((descriptors.len() as u32 - 1) | flag)
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        let place = (number & !BOUND) as usize;
        let found = INCOMING.with_borrow(|incoming| {
            let incoming = incoming.as_ref()?;
            let list = if number & BOUND == 0 { &incoming.own } else { &incoming.bound };
            list.get(place).cloned()
        });
        found.ok_or_else(|| {
            D::Error::custom(format!(
                "open descriptor {place} has not come with the message (is this process's table of descriptors full?)"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{decode, encode};

    fn null() -> Descriptor {
        OwnedFd::from(std::fs::File::open("/dev/null").expect("opens")).into()
    }

    #[test]
    fn a_descriptor_travels_once_however_often_it_is_named() {
        let (one, other) = (null(), null());
        let mut bytes = Vec::new();
        let (encoded, descriptors) = sending(Part::Own, || encode(&(&one, 7_u8, &other, &one), &mut bytes));
        encoded.expect("encodes");
        assert_eq!(descriptors.len(), 2);
        let back = receiving(descriptors, || decode::<(Descriptor, u8, Descriptor, Descriptor)>(&bytes));
        let (first, seven, second, third) = back.expect("decodes");
        assert!(Arc::ptr_eq(&first.0, &one.0) && Arc::ptr_eq(&second.0, &other.0) && Arc::ptr_eq(&third.0, &one.0));
        assert_eq!(seven, 7);
    }

    #[test]
    fn without_company_it_does_not_travel() {
        let mut bytes = Vec::new();
        let alone = encode(&null(), &mut bytes).expect_err("nowhere to put it").to_string();
        assert!(alone.contains("can travel as an argument"), "{alone}");
        encode(&0_u32, &mut bytes).expect("encodes");
        let missing = decode::<Descriptor>(&bytes).expect_err("none came").to_string();
        assert!(missing.contains("has not come"), "{missing}");
    }

    #[test]
    fn bound_arguments_keep_their_own_descriptors() {
        let (bound, own) = (null(), null());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let (encoded, with_bound) = sending(Part::Bound, || encode(&bound, &mut first));
        encoded.expect("encodes");
        let (encoded, with_own) = sending(Part::Own, || encode(&own, &mut second));
        encoded.expect("encodes");
        let read = |bytes: &[u8]| decode::<Descriptor>(bytes).expect("decodes");
        let (one, other) = receiving_call(with_own, with_bound, || (read(&first), read(&second)));
        assert!(Arc::ptr_eq(&one.0, &bound.0) && Arc::ptr_eq(&other.0, &own.0));
    }

    #[test]
    fn a_message_within_another_has_none_of_its_descriptors() {
        let outer = null();
        let mut bytes = Vec::new();
        let (encoded, descriptors) = sending(Part::Own, || encode(&outer, &mut bytes));
        encoded.expect("encodes");
        let (inner, back) = receiving(descriptors, || {
            (receiving(Vec::new(), || decode::<Descriptor>(&bytes)), decode::<Descriptor>(&bytes))
        });
        assert!(inner.expect_err("none came with it").to_string().contains("has not come"));
        assert!(Arc::ptr_eq(&back.expect("the outer one goes on").0, &outer.0));
    }

    #[test]
    fn what_is_made_of_a_descriptor_is_made_once() {
        let descriptor = null();
        let made = descriptor.made(|_| Ok::<_, ()>(7_u8)).expect("made");
        let again = descriptor.clone().made(|_| Err::<u8, _>("made twice")).expect("known");
        assert!(Arc::ptr_eq(&made, &again));
        assert_eq!(descriptor.made(|_| Err::<u16, _>("cannot")), Err("cannot"), "of another type");
    }

    #[test]
    fn no_message_carries_more_than_the_kernel_passes_on() {
        let many: Vec<Descriptor> = (0..=MOST).map(|_| null()).collect();
        let mut bytes = Vec::new();
        let (encoded, descriptors) = sending(Part::Own, || encode(&many, &mut bytes));
        assert!(encoded.expect_err("too many").to_string().contains("254th"));
        assert_eq!(descriptors.len(), MOST);
        let (encoded, none) = sending(Part::Own, || encode(&1_u8, &mut bytes));
        assert!(encoded.is_ok() && none.is_empty(), "the next message starts afresh");
    }
}
