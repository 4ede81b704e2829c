//! Frames on a link: a header of fixed size, then a body whose length the header claims.
//!
//! The same header serves both directions. Nobody believes a claimed length before the bytes are there: buffers grow
//! with what was *received*.

use ganger_os::huge::advise;
use ganger_os::mutant::{Protection, without};
use ganger_os::socket::Received;

/// The size of a header.
pub(crate) const HEADER: usize = 24;

/// Changes with every change of the bytes.
const VERSION: u8 = 1;

/// The largest single payload; a task's arguments or a result above it are the outcome `TooLarge`.
pub(crate) const MOST_BYTES: usize = (1 << 31) - 1;

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To the worker, first: how to get ready. The body is a [`Setup`](super::message::Setup).
    Setup,
    /// To the worker: what job `job` calls. The body is a [`Definition`](super::message::Definition).
    Define,
    /// To the worker: job `job` is over.
    Forget,
    /// To the worker: tasks `index`, `index + 1`, and so on, at `position`, `position + 1`, and so on. The body is their
    /// arguments, each after its length (4 bytes).
    Tasks,
    /// To the worker: leave.
    Goodbye,
    /// To the supervisor: the worker is ready; the initializer took `job` microseconds.
    Ready,
    /// To the supervisor: the worker could not get ready; the body says why.
    Unready,
    /// To the supervisor: results are in the ring.
    Bell,
    /// To the supervisor: a result that the ring had no room for. `status` and `nanos` are in `job` and `index`.
    Result,
    /// To the supervisor: as `Result`, of a value that is [aside](super::aside), in the last descriptor. The body is what follows
    /// a value in the ring, if anything does.
    LargeResult,
    /// To the supervisor: what the exit hook of a worker that was told to leave has made; with `status` and `nanos` as above.
    Farewell,
    /// Both ways: with this header come descriptors, `job` many, which belong to the next frame of another kind.
    Descriptors,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) length: u32,
    pub(crate) epoch: u16,
    pub(crate) position: u32,
    pub(crate) job: u32,
    pub(crate) index: u64,
}

/// Bytes that are no header of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::Setup,
        Self::Define,
        Self::Forget,
        Self::Tasks,
        Self::Goodbye,
        Self::Ready,
        Self::Unready,
        Self::Bell,
        Self::Result,
        Self::LargeResult,
        Self::Farewell,
        Self::Descriptors,
    ];
}

impl Header {
    /// The header that so many descriptors come with.
    pub(crate) fn of_descriptors(count: usize) -> Self {
        let job = u32::try_from(count).expect("a message has 253 descriptors at the most");
        Self { job, ..Self::plain(Kind::Descriptors, 0) }
    }

    /// A header with nothing but a kind and the length of its body.
    pub(crate) fn plain(kind: Kind, length: usize) -> Self {
        let length = u32::try_from(length).expect("bodies are checked against MOST_BYTES before they are framed");
        Self { kind, length, epoch: 0, position: 0, job: 0, index: 0 }
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4] = VERSION;
        bytes[5] = self.kind as u8;
        bytes[6..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.position.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.job.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.index.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; HEADER]) -> Result<Self, Malformed> {
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte))
        };
        if bytes[4] != VERSION {
            return Err(Malformed);
        }
        Ok(Self {
            kind: *Kind::ALL.get(usize::from(bytes[5])).ok_or(Malformed)?,
            length: number(0..4) as u32,
            epoch: number(6..8) as u16,
            position: number(8..12) as u32,
            job: number(12..16) as u32,
            index: number(16..24),
        })
    }
}

/// Bytes as they arrived, and how far they were used.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// All of it is initialised, so that receiving costs no clearing.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// Inboxes above this size give memory back when they are empty.
const KEEP: usize = 1 << 20;

/// What is received at once, at most.
const PIECE: usize = 256 * 1024;

/// The least room for which receiving is worth a system call.
pub(crate) const ROOM: usize = 64 * 1024;

impl Inbox {
    /// Has `receive` write behind what is there; it tells how many bytes it wrote.
    pub(crate) fn receive<E>(&mut self, receive: impl FnOnce(&mut [u8]) -> Result<Received, E>) -> Result<Received, E> {
        self.make_room();
        let room = &mut self.bytes[self.end..];
        let most = room.len().min(PIECE);
        let received = receive(&mut room[..most])?;
        if let Received::Bytes(count) = received {
            self.end += count;
        }
        Ok(received)
    }

    /// Moves what is left to the front, or grows: by what has been received so far, never by what a header claims.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > KEEP {
                self.bytes.truncate(PIECE);
                self.bytes.shrink_to_fit();
            }
        }
        if self.bytes.len() - self.end >= ROOM {
            return;
        }
        if self.start >= self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < ROOM {
            // Fresh zeros are pages that the kernel provides when they are written to, which most of a new link's never
            // are; `resize` would write all of them: 64 faults a link, and four links are part of a first result.
            let mut larger = vec![0; (self.bytes.len() * 2).max(PIECE)];
            advise(&mut larger);
            larger[..self.end].copy_from_slice(&self.bytes[..self.end]);
            self.bytes = larger;
        }
    }

    /// What is not used yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes `count` bytes off; `None` when they have not all arrived.
    pub(crate) fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.start.checked_add(count).filter(|end| *end <= self.end)?;
        let taken = &self.bytes[self.start..end];
        self.start = end;
        Some(taken)
    }

    /// The header of the next frame, if it has arrived; it stays.
    pub(crate) fn peek_header(&self) -> Result<Option<Header>, Malformed> {
        self.unread().first_chunk::<HEADER>().map(Header::from_bytes).transpose()
    }

    /// The next whole frame, if it has arrived.
    pub(crate) fn next_frame(&mut self) -> Result<Option<(Header, &[u8])>, Malformed> {
        let Some(header) = self.peek_header()? else { return Ok(None) };
        if header.length as usize > MOST_BYTES && !without(Protection::FrameLimit) {
            return Err(Malformed);
        }
        let whole = self.take(HEADER + header.length as usize);
        Ok(whole.map(|bytes| (header, &bytes[HEADER..])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(inbox: &mut Inbox, bytes: &[u8]) {
        let received = inbox.receive(|room| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok::<_, ()>(Received::Bytes(bytes.len()))
        });
        assert_eq!(received, Ok(Received::Bytes(bytes.len())));
    }

    #[test]
    fn bytes_survive_moving_and_growing() {
        let mut inbox = Inbox::default();
        let (mut written, mut read) = (0_u32, 0_u32);
        for round in 0..200_u32 {
            for _ in 0..round % 97 {
                let piece: Vec<u8> = (0..997).flat_map(|place| (written + place).to_le_bytes()).collect();
                put(&mut inbox, &piece);
                written += 997;
            }
            for _ in 0..(round % 89) * 997 {
                let Some(bytes) = inbox.take(4) else { break };
                assert_eq!(u32::from_le_bytes(bytes.try_into().expect("four bytes")), read);
                read += 1;
            }
        }
        assert!(read > 1_000_000 && inbox.unread().len() == (written - read) as usize * 4);
    }

    fn header() -> Header {
        Header { kind: Kind::Tasks, length: 3, epoch: 0x0102, position: 0x0003_0405, job: 6, index: 1 << 40 }
    }

    #[test]
    fn the_bytes_of_version_1_are_fixed() {
        let expected = [3, 0, 0, 0, 1, 3, 2, 1, 5, 4, 3, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(header().to_bytes(), expected);
        assert_eq!(Header::from_bytes(&expected), Ok(header()));
    }

    #[test]
    fn kinds_are_numbered_by_their_place_in_the_table() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }

    #[test]
    fn a_frame_comes_out_only_when_it_is_whole_whatever_the_pieces() {
        let whole = [header().to_bytes().as_slice(), b"abc", &Header::plain(Kind::Bell, 0).to_bytes()].concat();
        for size in 1..whole.len() {
            let (mut inbox, mut frames) = (Inbox::default(), Vec::new());
            for piece in whole.chunks(size) {
                put(&mut inbox, piece);
                while let Some((header, body)) = inbox.next_frame().expect("sound") {
                    frames.push((header.kind, body.to_vec()));
                }
            }
            assert_eq!(frames, [(Kind::Tasks, b"abc".to_vec()), (Kind::Bell, Vec::new())], "pieces of {size}");
        }
    }

    #[test]
    fn foreign_bytes_and_lying_lengths_are_refused() {
        for (place, value) in [(4, 2), (5, 12), (5, 255)] {
            let mut bytes = header().to_bytes();
            bytes[place] = value;
            assert_eq!(Header::from_bytes(&bytes), Err(Malformed), "byte {place} = {value}");
        }
        let mut inbox = Inbox::default();
        put(&mut inbox, &Header { length: u32::MAX, ..header() }.to_bytes());
        assert_eq!(inbox.next_frame(), Err(Malformed));
    }
}
