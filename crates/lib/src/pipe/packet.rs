//! A message as one packet: a header of 16 bytes and the message, or, when it is long, a descriptor of memory with it.
//!
//! So a message is sent by one system call and received by one, whole or not at all. Nobody finds half of one, whoever dies
//! when; a send that runs out of time has sent nothing; threads and processes that use the same end do not interleave; and no
//! end has bytes in a buffer that would be lost when it travels on.

use std::os::fd::{AsFd, OwnedFd};

use ganger_os::frozen::Frozen;
use ganger_os::memory::{create, forbid_writing, is_backed, size, write_at};

use crate::wire::descriptor::Descriptor;
use crate::{Error, ErrorKind};

/// The longest message that is a part of its packet. A socket's buffer has room for 200 KiB, as a rule.
pub(super) const LONGEST: usize = 64 << 10;

pub(super) const HEADER: usize = 16;

const MAGIC: u8 = b'g';
const VERSION: u8 = 1;

/// Where the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the header.
    Here = 0,
    /// In the memory whose descriptor is the first that has come.
    Beside = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) place: Place,
    /// How many descriptors belong to the message itself.
    pub(super) descriptors: u32,
    pub(super) length: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [MAGIC, VERSION, self.place as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[4..8].copy_from_slice(&self.descriptors.to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// `None` for what no header looks like.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<4>()?;
        let (descriptors, length) = rest.split_first_chunk()?;
        let place = match *fixed {
            [MAGIC, VERSION, 0, 0] => Place::Here,
            [MAGIC, VERSION, 1, 0] => Place::Beside,
            _ => return None,
        };
        let length = u64::from_le_bytes(*length.first_chunk()?);
        Some(Self { place, descriptors: u32::from_le_bytes(*descriptors), length })
    }
}

/// Puts a long message into memory that nobody can change any more.
pub(super) fn put_beside(bytes: &[u8]) -> Result<Descriptor, Error> {
    let fill = || -> std::io::Result<OwnedFd> {
        let memory = create(c"ganger-message", bytes.len())?;
        write_at(memory.as_fd(), 0, bytes)?;
        forbid_writing(memory.as_fd())?;
        Ok(memory)
    };
    let failed = |error| {
        let text = format!("the system has no memory for a message of {} byte(s): {error}", bytes.len());
        Error::new(ErrorKind::System, text).with_source(error)
    };
    fill().map(Descriptor::from).map_err(failed)
}

/// A message that has come.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) body: Body<'a>,
    pub(super) descriptors: Vec<Descriptor>,
}

#[derive(Debug)]
pub(super) enum Body<'a> {
    Here(&'a [u8]),
    Beside(Frozen, usize),
}

impl Body<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Beside(memory, length) => memory.values(0, *length),
        }
    }
}

/// Makes a message of a packet and of what has come with it. Nothing is believed that the sender says of its length: what is
/// mapped is as large as it claims, takes up as much room, and can be changed by nobody.
pub(super) fn open(packet: &[u8], mut fds: Vec<OwnedFd>, limit: u64) -> Result<Message<'_>, Error> {
    let header = Header::from_bytes(packet).ok_or_else(malformed)?;
    if header.length > limit {
        let text = format!("a message of {} byte(s), where {limit} are the limit: it is dropped", header.length);
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    let body = match header.place {
        Place::Here => {
            Body::Here(packet.get(HEADER..).filter(|body| body.len() as u64 == header.length).ok_or_else(malformed)?)
        }
        Place::Beside if fds.is_empty() => return Err(lost()),
        Place::Beside => look_beside(fds.remove(0), header.length)?,
    };
    fds.truncate(header.descriptors as usize);
    Ok(Message { body, descriptors: fds.into_iter().map(Descriptor::from).collect() })
}

fn look_beside(memory: OwnedFd, length: u64) -> Result<Body<'static>, Error> {
    let length = usize::try_from(length).map_err(|_| malformed())?;
    let exact = size(memory.as_fd(), length).is_ok_and(|size| size == length);
    if !exact || !is_backed(memory.as_fd(), length) {
        return Err(malformed());
    }
    let failed = |error| {
        let text = format!("a message of {length} byte(s) cannot be mapped: {error}");
        Error::new(ErrorKind::System, text).with_source(error)
    };
    Frozen::open(memory.as_fd(), length).map(|memory| Body::Beside(memory, length)).map_err(failed)
}

pub(super) fn malformed() -> Error {
    Error::new(ErrorKind::NotDeserializable, "what has come is no message of a pipe: it is dropped")
}

fn lost() -> Error {
    let text = "the memory of a long message has not come with it, as this process's table of descriptors is full";
    Error::new(ErrorKind::System, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(place: Place, descriptors: u32, length: u64, body: &[u8]) -> Vec<u8> {
        [&Header { place, descriptors, length }.to_bytes()[..], body].concat()
    }

    fn owned(descriptor: Descriptor) -> OwnedFd {
        descriptor.into_owned().expect("the only one")
    }

    #[test]
    fn the_bytes_of_version_1_are_fixed() {
        let header = Header { place: Place::Beside, descriptors: 258, length: 7 << 32 };
        assert_eq!(header.to_bytes(), [b'g', 1, 1, 0, 2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(Header::from_bytes(&header.to_bytes()), Some(header));
    }

    #[test]
    fn lies_are_found_out() {
        for (packet, why) in [
            (vec![], "empty"),
            (packet(Place::Here, 0, 1, &[])[..15].to_vec(), "short"),
            (packet(Place::Here, 0, 2, b"x"), "longer than it is"),
            (packet(Place::Here, 0, 0, b"x"), "shorter than it is"),
            (vec![b'x'; 16], "something else"),
        ] {
            let error = open(&packet, Vec::new(), u64::MAX).expect_err(why);
            assert_eq!(error.kind(), ErrorKind::NotDeserializable, "{why}");
        }
        let error = open(&packet(Place::Beside, 0, 9, &[]), Vec::new(), 9).expect_err("nothing beside it");
        assert_eq!(error.kind(), ErrorKind::System);
        assert_eq!(
            open(&packet(Place::Here, 0, 9, &[0; 9]), Vec::new(), 8).expect_err("long").kind(),
            ErrorKind::TooLarge
        );
    }

    #[test]
    fn memory_that_is_not_what_it_seems_is_refused() {
        let unsealed = create(c"test", 9).expect("memory");
        write_at(unsealed.as_fd(), 0, &[1; 9]).expect("fits");
        let hollow = create(c"test", 1 << 40).expect("it costs nothing");
        forbid_writing(hollow.as_fd()).expect("nobody writes");
        let file = std::fs::File::open("/proc/version").expect("there").into();
        let small = owned(put_beside(&[1; 8]).expect("memory"));
        let large = owned(put_beside(&[1; 10]).expect("memory"));
        for (memory, length) in [(unsealed, 9), (hollow, 1 << 40), (file, 9), (small, 9), (large, 9)] {
            assert!(open(&packet(Place::Beside, 0, length, &[]), vec![memory], u64::MAX).is_err());
        }
    }

    #[test]
    fn long_ones_come_whole_and_descriptors_that_nobody_announced_are_closed() {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").expect("opens"));
        let bytes = vec![7; 100_000];
        let memory = owned(put_beside(&bytes).expect("memory"));
        let packet = packet(Place::Beside, 1, bytes.len() as u64, &[]);
        let message = open(&packet, vec![memory, null(), null()], u64::MAX).expect("sound");
        assert_eq!((message.body.bytes(), message.descriptors.len()), (&bytes[..], 1));
    }
}
