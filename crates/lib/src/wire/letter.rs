//! A letter: one message of any size with descriptors, as it travels to a process that makes a single call, and back.
//!
//! 1. What is large travels in memory of its own ([`Aside`]), of which the letter has the descriptor. So neither side waits for the
//!    other: a process that returns 100 MB leaves at once, whether somebody reads or not.
//! 2. Where such memory is not to be had, the bytes go through the socket, and whoever sends waits for whoever reads.
//! 3. The parts come in this order: prelude, head, payload (if it is not aside), and a zero for each 253 descriptors within the
//!    payload, which come with it: the kernel has a message carry no more. The transport's own descriptors, and the memory, come
//!    with the prelude.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ganger_os::fd::Fd;
use ganger_os::socket::{self, Arrivals, Received};

use super::aside::Aside;
use super::descriptor::{Descriptor, MOST};
use super::frame::MOST_BYTES;

/// Changes with every change of the bytes.
const VERSION: u8 = 1;

const PRELUDE: usize = 20;

/// What is not larger goes through the socket, which has room for it.
const INLINE: usize = 32 << 10;

/// The largest head.
const MOST_HEAD: usize = 1 << 20;

/// How much is received at once.
const PIECE: usize = 64 << 10;

/// A letter to be sent.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    /// What it says in one byte.
    pub(crate) status: u8,
    pub(crate) head: &'a [u8],
    /// Descriptors of the transport's own, at most 250.
    pub(crate) beside: &'a [BorrowedFd<'a>],
    pub(crate) payload: &'a [u8],
    /// Those within the payload.
    pub(crate) descriptors: &'a [Descriptor],
}

impl Letter<'_> {
    /// Sends it; with a limit, waits no longer than that for room each time.
    ///
    /// # Errors
    /// When nobody will read it.
    pub(crate) fn send(&self, link: &Fd, limit: Option<Duration>) -> io::Result<()> {
        let send = |bytes: &[u8], fds: &[BorrowedFd<'_>]| match limit {
            Some(limit) => socket::send_within(link, bytes, fds, limit),
            None => socket::send_all_with(link, bytes, fds),
        };
        let aside = if self.payload.len() > INLINE { Aside::put(self.payload).ok() } else { None };
        let beside: Vec<BorrowedFd<'_>> = self.beside.iter().copied().chain(aside.iter().map(AsFd::as_fd)).collect();
        let mut first = [&self.prelude(aside.is_some()), self.head].concat();
        if aside.is_some() {
            send(&first, &beside)?;
        } else if self.payload.len() > INLINE {
            send(&first, &beside)?;
            send(self.payload, &[])?;
        } else {
            first.extend_from_slice(self.payload);
            send(&first, &beside)?;
        }
        for some in self.descriptors.chunks(MOST) {
            let fds: Vec<BorrowedFd<'_>> = some.iter().map(AsFd::as_fd).collect();
            send(&[0], &fds)?;
        }
        Ok(())
    }

    fn prelude(&self, aside: bool) -> [u8; PRELUDE] {
        let mut bytes = [0; PRELUDE];
        bytes[..4].copy_from_slice(&[VERSION, self.status, aside.into(), self.beside.len() as u8]);
        bytes[4..8].copy_from_slice(&(self.descriptors.len() as u32).to_le_bytes());
        bytes[8..12].copy_from_slice(&(self.head.len() as u32).to_le_bytes());
        bytes[12..].copy_from_slice(&(self.payload.len() as u64).to_le_bytes());
        bytes
    }
}

/// A letter that has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) status: u8,
    pub(crate) head: Vec<u8>,
    pub(crate) beside: Vec<OwnedFd>,
    payload: Payload,
    pub(crate) descriptors: Vec<Descriptor>,
}

#[derive(Debug)]
enum Payload {
    Here(Vec<u8>),
    Aside(Descriptor, usize),
}

/// A payload to be looked at.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    Here(&'a [u8]),
    Aside(Aside),
}

impl Opened<'_> {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Aside(aside) => aside.bytes(),
        }
    }
}

impl Arrived {
    /// The payload.
    ///
    /// # Errors
    /// When what was put aside is not what was said, or cannot be mapped.
    pub(crate) fn payload(&self) -> io::Result<Opened<'_>> {
        match &self.payload {
            Payload::Here(bytes) => Ok(Opened::Here(bytes)),
            Payload::Aside(memory, length) => {
                let aside = Aside::open(memory)?;
                let there = aside.bytes().len();
                if there != *length {
                    let text = format!("{there} bytes of memory came where {length} were announced");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                Ok(Opened::Aside(aside))
            }
        }
    }
}

/// What a prelude says.
#[derive(Clone, Copy, Debug)]
struct Prelude {
    status: u8,
    aside: bool,
    beside: usize,
    descriptors: usize,
    head: usize,
    payload: usize,
}

impl Prelude {
    /// `None` when the bytes make no sense.
    fn from_bytes(bytes: &[u8; PRELUDE]) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| {
            let number = bytes[range].iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
            usize::try_from(number).ok()
        };
        let prelude = Self {
            status: bytes[1],
            aside: bytes[2] == 1,
            beside: bytes[3].into(),
            descriptors: number(4..8)?,
            head: number(8..12)?,
            payload: number(12..PRELUDE)?,
        };
        let sound = bytes[0] == VERSION && bytes[2] < 2 && prelude.head <= MOST_HEAD && prelude.payload <= MOST_BYTES;
        sound.then_some(prelude)
    }

    /// How many bytes come through the socket.
    fn length(&self) -> usize {
        PRELUDE + self.head + if self.aside { 0 } else { self.payload } + self.descriptors.div_ceil(MOST)
    }
}

/// How far the reading of a letter is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More is to come.
    Unfinished,
    Whole(Box<Arrived>),
    /// The other end closed before the letter was whole, or before it began.
    End,
    /// Not a letter, or not all of it can be received here; the text says what is wrong.
    Broken(String),
}

/// Reads one letter, in as many pieces as it comes in. Its buffer grows with what was received, never by what is claimed.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    arrivals: Arrivals,
}

impl Reader {
    /// Reads without waiting what has come.
    pub(crate) fn read_now(&mut self, link: &Fd) -> Progress {
        self.read(|room, arrivals| socket::receive_now_with(link, room, arrivals))
    }

    /// Reads until the letter is whole, waiting for it.
    pub(crate) fn read_waiting(&mut self, link: &Fd) -> Progress {
        self.read(|room, arrivals| socket::receive_waiting_with(link, room, arrivals))
    }

    fn read(&mut self, mut receive: impl FnMut(&mut [u8], &mut Arrivals) -> io::Result<Received>) -> Progress {
        let mut room = vec![0; PIECE];
        loop {
            match receive(&mut room, &mut self.arrivals) {
                Ok(Received::Bytes(count)) => self.bytes.extend_from_slice(&room[..count]),
                Ok(Received::Nothing) => return Progress::Unfinished,
                Ok(Received::End) | Err(_) => return Progress::End,
            }
            let Some(first) = self.bytes.first_chunk() else { continue };
            let Some(prelude) = Prelude::from_bytes(first) else {
                return Progress::Broken("bytes came that are no letter of this version".to_owned());
            };
            if self.bytes.len() >= prelude.length() {
                return self.unpack(prelude);
            }
        }
    }

    fn unpack(&mut self, prelude: Prelude) -> Progress {
        let Self { bytes, arrivals } = std::mem::take(self);
        if bytes.len() > prelude.length() {
            return Progress::Broken("more bytes came than belong to the letter".to_owned());
        }
        let fds: Vec<OwnedFd> = arrivals.into_iter().flatten().collect();
        let expected = prelude.beside + usize::from(prelude.aside) + prelude.descriptors;
        if fds.len() != expected {
            return Progress::Broken(format!(
                "{} of {expected} descriptors came (is this process's table of descriptors full?)",
                fds.len()
            ));
        }
        let mut fds = fds.into_iter();
        let beside = fds.by_ref().take(prelude.beside).collect();
        let aside = if prelude.aside { fds.next() } else { None };
        let (head, rest) = bytes[PRELUDE..].split_at(prelude.head);
        let payload = match aside {
            Some(memory) => Payload::Aside(memory.into(), prelude.payload),
            None => Payload::Here(rest[..prelude.payload].to_vec()),
        };
        let descriptors = fds.map(Descriptor::from).collect();
        Progress::Whole(Box::new(Arrived { status: prelude.status, head: head.to_vec(), beside, payload, descriptors }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use ganger_os::socket::stream_pair;

    use super::*;

    fn journey(head: &[u8], payload: &[u8], beside: usize, within: usize) -> Arrived {
        let (ours, theirs) = stream_pair().expect("there are descriptors");
        let null = File::open("/dev/null").expect("opens");
        let descriptors: Vec<Descriptor> =
            (0..within).map(|_| OwnedFd::from(null.try_clone().expect("there are descriptors")).into()).collect();
        let letter =
            Letter { status: 7, head, beside: &vec![null.as_fd(); beside], payload, descriptors: &descriptors };
        letter.send(&ours, Some(Duration::from_secs(5))).expect("there is room");
        match Reader::default().read_waiting(&theirs) {
            Progress::Whole(arrived) => *arrived,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn letters_of_all_sizes_arrive_whole() {
        for size in [0, 1, INLINE, INLINE + 1, 3 << 20] {
            for (beside, within) in [(0, 0), (4, 0), (0, 1), (5, 300)] {
                let payload: Vec<u8> = (0..size).map(|place| place as u8).collect();
                let arrived = journey(b"head", &payload, beside, within);
                assert_eq!((arrived.status, arrived.head.as_slice()), (7, &b"head"[..]));
                assert_eq!((arrived.beside.len(), arrived.descriptors.len()), (beside, within), "{size} bytes");
                assert!(*arrived.payload().expect("it is there").bytes() == payload, "{size} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_letter_or_cut_short_is_told_apart() {
        let told = |bytes: &[u8]| {
            let (ours, theirs) = stream_pair().expect("there are descriptors");
            socket::send_all(&ours, bytes).expect("there is room");
            drop(ours);
            Reader::default().read_waiting(&theirs)
        };
        let whole = Letter { status: 0, head: b"h", beside: &[], payload: b"p", descriptors: &[] };
        let sound = [&whole.prelude(false)[..], b"hp"].concat();
        assert!(matches!(told(&sound), Progress::Whole(_)));
        for end in 0..sound.len() {
            assert!(matches!(told(&sound[..end]), Progress::End), "cut at {end}");
        }
        for (place, value) in [(0, 9), (2, 2), (11, 255), (19, 255), (3, 1), (2, 1)] {
            let mut bytes = sound.clone();
            bytes[place] = value;
            assert!(matches!(told(&bytes), Progress::Broken(_)), "byte {place} = {value}");
        }
        assert!(matches!(told(&[&sound[..], b"more"].concat()), Progress::Broken(_)));
        let mut with_descriptor = sound;
        with_descriptor[4] = 1;
        assert!(matches!(told(&with_descriptor), Progress::End), "the byte that brings it is missing");
        with_descriptor.push(0);
        assert!(matches!(told(&with_descriptor), Progress::Broken(_)), "it brings none");
    }

    #[test]
    fn memory_of_another_size_is_an_error() {
        let memory = Aside::put(b"abc").expect("there is memory").into();
        let payload = Payload::Aside(memory, 4);
        let arrived = Arrived { status: 0, head: Vec::new(), beside: Vec::new(), payload, descriptors: Vec::new() };
        assert!(arrived.payload().expect_err("three are not four").to_string().contains("3 bytes"));
    }
}
