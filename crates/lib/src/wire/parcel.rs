//! A parcel: one message of any size with descriptors, as it travels to a process that makes a single call, and back.
//!
//! 1. What is large travels in memory of its own, and its descriptor in the parcel. So neither side waits for the other: a
//!    process that returns 100 MB leaves at once, whether somebody reads or not.
//! 2. Where such memory is not to be had, the bytes go through the socket, and whoever sends waits for whoever reads.
//! 3. The parts come in this order: prelude, head, payload (if it is not in memory), a zero. What belongs to the
//!    transport (its own descriptors, and the memory) comes with the prelude; descriptors within the payload come with what follows
//!    the head, as one packet of the kernel carries no more than 253.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ganger_os::fd::Fd;
use ganger_os::memory;
use ganger_os::socket::{self, Received};

use super::descriptor::Descriptor;
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

/// A parcel to be sent.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    /// What it says in one byte.
    pub(crate) status: u8,
    pub(crate) head: &'a [u8],
    /// Descriptors of the transport's own, at most 250.
    pub(crate) beside: &'a [BorrowedFd<'a>],
    pub(crate) payload: &'a [u8],
    /// Those within the payload.
    pub(crate) descriptors: &'a [Descriptor],
}

impl Parcel<'_> {
    /// Sends it; with a limit, waits no longer than that for room each time.
    ///
    /// # Errors
    /// When nobody will read it.
    pub(crate) fn send(&self, link: &Fd, limit: Option<Duration>) -> io::Result<()> {
        let large = self.payload.len() > INLINE;
        let memory = if large { memory::holding(c"ganger-parcel", self.payload).ok() } else { None };
        let mut first = self.prelude(memory.is_some()).to_vec();
        first.extend_from_slice(self.head);
        let beside: Vec<BorrowedFd<'_>> = self.beside.iter().copied().chain(memory.iter().map(AsFd::as_fd)).collect();
        socket::send_all_with(link, &first, &beside, limit)?;
        let within: Vec<BorrowedFd<'_>> = self.descriptors.iter().map(AsFd::as_fd).collect();
        match &memory {
            Some(_) => socket::send_all_with(link, &[0], &within, limit),
            None if large => {
                socket::send_all_with(link, self.payload, &within, limit)?;
                socket::send_all_with(link, &[0], &[], limit)
            }
            None => socket::send_all_with(link, &[self.payload, &[0]].concat(), &within, limit),
        }
    }

    fn prelude(&self, in_memory: bool) -> [u8; PRELUDE] {
        let mut bytes = [0; PRELUDE];
        bytes[..4].copy_from_slice(&[VERSION, self.status, in_memory.into(), self.beside.len() as u8]);
        bytes[4..8].copy_from_slice(&(self.descriptors.len() as u32).to_le_bytes());
        bytes[8..12].copy_from_slice(&(self.head.len() as u32).to_le_bytes());
        bytes[12..].copy_from_slice(&(self.payload.len() as u64).to_le_bytes());
        bytes
    }
}

/// A parcel that has arrived.
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
    Bytes(Vec<u8>),
    Memory(File, usize),
}

impl Arrived {
    /// The payload; what is in memory is copied, as its sender may have left it to somebody who writes to it.
    ///
    /// # Errors
    /// When the memory holds less than was said.
    pub(crate) fn payload(&self) -> io::Result<Cow<'_, [u8]>> {
        match &self.payload {
            Payload::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Payload::Memory(file, length) => {
                let there = file.metadata()?.len();
                if there < *length as u64 {
                    let text = format!("{there} bytes of memory came where {length} were announced");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                let mut bytes = vec![0; *length];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

/// What a prelude says.
#[derive(Clone, Copy, Debug)]
struct Prelude {
    status: u8,
    in_memory: bool,
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
            in_memory: bytes[2] == 1,
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
        PRELUDE + self.head + if self.in_memory { 0 } else { self.payload } + 1
    }
}

/// How far the reading of a parcel is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More is to come.
    Unfinished,
    Whole(Box<Arrived>),
    /// The other end closed before the parcel was whole, or before it began.
    End,
    /// Not a parcel, or not all of it can be received here; the text says what is wrong.
    Broken(String),
}

/// Reads one parcel, in as many pieces as it comes in. Its buffer grows with what was received, never by what is claimed.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    fds: Vec<Fd>,
}

impl Reader {
    /// Reads without waiting what has come.
    pub(crate) fn read_now(&mut self, link: &Fd) -> Progress {
        self.read(|room| socket::receive_now_with(link, room))
    }

    /// Reads until the parcel is whole, waiting for it.
    pub(crate) fn read_waiting(&mut self, link: &Fd) -> Progress {
        self.read(|room| socket::receive_with(link, room))
    }

    fn read(&mut self, mut receive: impl FnMut(&mut [u8]) -> io::Result<(Received, Vec<Fd>)>) -> Progress {
        let mut room = vec![0; PIECE];
        loop {
            match receive(&mut room) {
                Ok((Received::Bytes(count), fds)) => {
                    self.bytes.extend_from_slice(&room[..count]);
                    self.fds.extend(fds);
                }
                Ok((Received::Nothing, _)) => return Progress::Unfinished,
                Ok((Received::End, _)) | Err(_) => return Progress::End,
            }
            let Some(first) = self.bytes.first_chunk() else { continue };
            let Some(prelude) = Prelude::from_bytes(first) else {
                return Progress::Broken("bytes came that are no parcel of this version".to_owned());
            };
            if self.bytes.len() >= prelude.length() {
                return self.unpack(prelude);
            }
        }
    }

    fn unpack(&mut self, prelude: Prelude) -> Progress {
        let Self { bytes, fds } = std::mem::take(self);
        let expected = prelude.beside + usize::from(prelude.in_memory) + prelude.descriptors;
        if bytes.len() > prelude.length() {
            return Progress::Broken("more bytes came than belong to the parcel".to_owned());
        }
        if fds.len() != expected {
            return Progress::Broken(format!(
                "{} of {expected} descriptors came (is this process's table of descriptors full?)",
                fds.len()
            ));
        }
        let mut fds = fds.into_iter().map(OwnedFd::from);
        let beside = fds.by_ref().take(prelude.beside).collect();
        let memory = if prelude.in_memory { fds.next() } else { None };
        let (head, rest) = bytes[PRELUDE..].split_at(prelude.head);
        let payload = match memory {
            Some(memory) => Payload::Memory(File::from(memory), prelude.payload),
            None => Payload::Bytes(rest[..prelude.payload].to_vec()),
        };
        let descriptors = fds.map(Descriptor::from).collect();
        Progress::Whole(Box::new(Arrived { status: prelude.status, head: head.to_vec(), beside, payload, descriptors }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganger_os::socket::stream_pair;

    fn journey(head: &[u8], payload: &[u8], beside: usize, within: usize) -> Arrived {
        let (ours, theirs) = stream_pair().expect("there are descriptors");
        let null = File::open("/dev/null").expect("opens");
        let descriptors: Vec<Descriptor> =
            (0..within).map(|_| OwnedFd::from(null.try_clone().expect("there are descriptors")).into()).collect();
        let parcel =
            Parcel { status: 7, head, beside: &vec![null.as_fd(); beside], payload, descriptors: &descriptors };
        parcel.send(&ours, Some(Duration::from_secs(5))).expect("there is room");
        match Reader::default().read_waiting(&theirs) {
            Progress::Whole(arrived) => *arrived,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parcels_of_all_sizes_arrive_whole() {
        for size in [0, 1, INLINE, INLINE + 1, 3 << 20] {
            for (beside, within) in [(0, 0), (4, 0), (0, 1), (5, 253)] {
                let payload: Vec<u8> = (0..size).map(|place| place as u8).collect();
                let arrived = journey(b"head", &payload, beside, within);
                assert_eq!((arrived.status, arrived.head.as_slice()), (7, &b"head"[..]));
                assert_eq!((arrived.beside.len(), arrived.descriptors.len()), (beside, within), "{size} bytes");
                assert!(*arrived.payload().expect("it is there") == payload[..], "{size} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_parcel_or_cut_short_is_told_apart() {
        let told = |bytes: &[u8]| {
            let (ours, theirs) = stream_pair().expect("there are descriptors");
            socket::send_all(&ours, bytes).expect("there is room");
            drop(ours);
            Reader::default().read_waiting(&theirs)
        };
        let whole = Parcel { status: 0, head: b"h", beside: &[], payload: b"p", descriptors: &[] };
        let sound = [&whole.prelude(false)[..], b"hp\0"].concat();
        assert!(matches!(told(&sound), Progress::Whole(_)));
        for end in 0..sound.len() {
            assert!(matches!(told(&sound[..end]), Progress::End), "cut at {end}");
        }
        for (place, value) in [(0, 9), (2, 2), (11, 255), (19, 255), (4, 1), (3, 1), (2, 1)] {
            let mut bytes = sound.clone();
            bytes[place] = value;
            assert!(matches!(told(&bytes), Progress::Broken(_)), "byte {place} = {value}");
        }
        assert!(matches!(told(&[&sound[..], b"more"].concat()), Progress::Broken(_)));
    }

    #[test]
    fn memory_that_is_too_small_is_an_error() {
        let short = File::from(memory::holding(c"test", b"abc").expect("there is memory"));
        let arrived = Arrived {
            status: 0,
            head: Vec::new(),
            beside: Vec::new(),
            payload: Payload::Memory(short, 4),
            descriptors: Vec::new(),
        };
        assert!(arrived.payload().expect_err("three are not four").to_string().contains("3 bytes"));
    }
}
