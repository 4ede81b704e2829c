//! What supervisor and guardian say to each other: small packets over an inherited socket pair, with descriptors.

use std::time::Duration;

use super::Method;
use crate::child::{Exit, PidFd, Usage};
use crate::fd::Fd;
use crate::image::EntryPoint;
use crate::socket::Packet;

/// Changes with every change of the packets.
const VERSION: u8 = 2;

/// The first packet that the guardian gets: everything about its pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) method: Method,
    /// The process that the guardian serves and must outlive only to sweep.
    pub(crate) supervisor: i32,
    /// Device and inode of the executable.
    pub(crate) image: (u64, u64),
    pub(crate) stdout_to_stderr: bool,
    /// It starts one process, and leaves when that is dead.
    pub(crate) single: bool,
    pub(crate) preload: Option<(EntryPoint, Vec<u8>)>,
    pub(crate) name: String,
    /// The directory of the control group to join; empty for none.
    pub(crate) group: String,
}

/// What the supervisor asks for afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Start a worker; its link and its page, if it has one, travel with the packet.
    Start { slot: u32, generation: u32 },
    /// Kill everything and leave.
    Shutdown,
}

/// What the guardian reports.
#[derive(Debug)]
pub enum Report {
    /// It is ready to start workers: `preload` has run.
    Ready,
    /// It cannot serve, and leaves.
    Failed(String),
    /// A worker process exists.
    Started {
        /// Its place in the gang.
        slot: u32,
        /// The how-many-th worker of that place it is.
        generation: u32,
        /// Its process id.
        pid: i32,
        /// Readable once it is dead; missing when this process's table of descriptors was full.
        pidfd: Option<PidFd>,
    },
    /// The system refused to make a worker process.
    StartFailed {
        /// The place that stays empty.
        slot: u32,
        /// The how-many-th worker of that place it would have been.
        generation: u32,
        /// The system's error number.
        errno: i32,
    },
    /// A worker is dead and reaped, and what was left of its process group is killed.
    Exited(WorkerExit),
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerExit {
    /// Its place in the gang.
    pub slot: u32,
    /// The how-many-th worker of that place it was.
    pub generation: u32,
    /// Code or signal.
    pub exit: Exit,
    /// What it used.
    pub usage: Usage,
}

/// A packet that does not follow the protocol; between two processes of the same build it means memory corruption.
#[derive(Debug)]
pub(crate) struct Malformed;

const HELLO: u8 = 1;
const START: u8 = 2;
const SHUTDOWN: u8 = 3;
const READY: u8 = 4;
const FAILED: u8 = 5;
const STARTED: u8 = 6;
const START_FAILED: u8 = 7;
const EXITED: u8 = 8;

/// Builds a packet from little-endian numbers.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u8) -> Self {
        Self(vec![kind, VERSION])
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(self, value: &[u8]) -> Self {
        let mut this = self.u32(value.len() as u32);
        this.0.extend(value);
        this
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Malformed)?))
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(self.u32()?.cast_signed())
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Malformed)?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// Splits kind and body, checking the version.
    fn open(packet: &'a [u8]) -> Result<(u8, Self), Malformed> {
        match packet {
            [kind, VERSION, body @ ..] => Ok((*kind, Self(body))),
            _ => Err(Malformed),
        }
    }
}

impl Hello {
    pub(crate) fn to_packet(&self) -> Vec<u8> {
        let (present, entry, arguments) = match &self.preload {
            Some((entry, arguments)) => (1, entry.to_wire(), arguments.as_slice()),
            None => (0, 0, [].as_slice()),
        };
        Writer::new(HELLO)
            .u32(self.method.to_wire().into())
            .u32(self.supervisor.cast_unsigned())
            .u64(self.image.0)
            .u64(self.image.1)
            .u32(self.stdout_to_stderr.into())
            .u32(self.single.into())
            .u32(present)
            .u64(entry)
            .bytes(arguments)
            .bytes(self.name.as_bytes())
            .bytes(self.group.as_bytes())
            .0
    }

    pub(crate) fn from_packet(packet: &[u8]) -> Result<Self, Malformed> {
        let (HELLO, mut body) = Reader::open(packet)? else { return Err(Malformed) };
        let method = u8::try_from(body.u32()?).ok().and_then(Method::from_wire).ok_or(Malformed)?;
        let supervisor = body.i32()?;
        let image = (body.u64()?, body.u64()?);
        let stdout_to_stderr = body.u32()? != 0;
        let single = body.u32()? != 0;
        let present = body.u32()? != 0;
        let entry = EntryPoint::from_wire(body.u64()?);
        let arguments = body.bytes()?.to_vec();
        let preload = present.then_some((entry, arguments));
        let (name, group) = (body.text()?, body.text()?);
        Ok(Self { method, supervisor, image, stdout_to_stderr, single, preload, name, group })
    }
}

impl Request {
    pub(crate) fn to_packet(self) -> Vec<u8> {
        match self {
            Self::Start { slot, generation } => Writer::new(START).u32(slot).u32(generation).0,
            Self::Shutdown => Writer::new(SHUTDOWN).0,
        }
    }

    pub(crate) fn from_packet(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, mut body) = Reader::open(packet)?;
        match kind {
            START => Ok(Self::Start { slot: body.u32()?, generation: body.u32()? }),
            SHUTDOWN => Ok(Self::Shutdown),
            _ => Err(Malformed),
        }
    }
}

/// The packets that the guardian sends.
pub(crate) mod reports {
    use super::*;

    pub(crate) fn ready() -> Vec<u8> {
        Writer::new(READY).0
    }

    pub(crate) fn failed(text: &str) -> Vec<u8> {
        // A panic message may be long; a packet is not.
        let end = text.floor_char_boundary(8 * 1024);
        Writer::new(FAILED).bytes(&text.as_bytes()[..end]).0
    }

    pub(crate) fn started(slot: u32, generation: u32, pid: i32) -> Vec<u8> {
        Writer::new(STARTED).u32(slot).u32(generation).u32(pid.cast_unsigned()).0
    }

    pub(crate) fn start_failed(slot: u32, generation: u32, errno: i32) -> Vec<u8> {
        Writer::new(START_FAILED).u32(slot).u32(generation).u32(errno.cast_unsigned()).0
    }

    pub(crate) fn exited(exit: &WorkerExit) -> Vec<u8> {
        let (signalled, number) = match exit.exit {
            Exit::Code(code) => (0, code),
            Exit::Signal(signal) => (1, signal),
        };
        Writer::new(EXITED)
            .u32(exit.slot)
            .u32(exit.generation)
            .u32(signalled)
            .u32(number.cast_unsigned())
            .u64(exit.usage.peak_memory)
            .u64(exit.usage.processor_time.as_nanos() as u64)
            .0
    }
}

impl Report {
    pub(crate) fn from_packet(packet: Packet) -> Result<Self, Malformed> {
        let (kind, mut body) = Reader::open(&packet.bytes)?;
        match kind {
            READY => Ok(Self::Ready),
            FAILED => Ok(Self::Failed(body.text()?)),
            STARTED => {
                let (slot, generation, pid) = (body.u32()?, body.u32()?, body.i32()?);
                let pidfd = packet.fds.into_iter().next().map(|fd: Fd| PidFd::from(fd));
                Ok(Self::Started { slot, generation, pid, pidfd })
            }
            START_FAILED => Ok(Self::StartFailed { slot: body.u32()?, generation: body.u32()?, errno: body.i32()? }),
            EXITED => {
                let (slot, generation) = (body.u32()?, body.u32()?);
                let signalled = body.u32()? != 0;
                let number = body.i32()?;
                let exit = if signalled { Exit::Signal(number) } else { Exit::Code(number) };
                let usage = Usage { peak_memory: body.u64()?, processor_time: Duration::from_nanos(body.u64()?) };
                Ok(Self::Exited(WorkerExit { slot, generation, exit, usage }))
            }
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_survives_the_journey() {
        let hello = Hello {
            method: Method::Spawn,
            supervisor: 4711,
            image: (1, u64::MAX),
            stdout_to_stderr: true,
            single: true,
            preload: Some((EntryPoint::from_wire(77), vec![1, 2, 3])),
            name: "größe".to_owned(),
            group: "/sys/fs/cgroup/x".to_owned(),
        };
        assert_eq!(Hello::from_packet(&hello.to_packet()).expect("sound"), hello);
    }

    #[test]
    fn cut_and_foreign_packets_are_refused() {
        let whole = Request::Start { slot: 3, generation: 9 }.to_packet();
        for end in 0..whole.len() {
            assert!(Request::from_packet(&whole[..end]).is_err(), "cut at {end}");
        }
        let mut foreign = whole.clone();
        foreign[1] = VERSION + 1;
        assert!(Request::from_packet(&foreign).is_err());
    }

    #[test]
    fn the_bytes_of_version_2_are_fixed() {
        let exit = WorkerExit {
            slot: 1,
            generation: 2,
            exit: Exit::Signal(9),
            usage: Usage { peak_memory: 3, processor_time: Duration::from_nanos(4) },
        };
        let expected =
            [8, 2, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(reports::exited(&exit), expected);
    }
}
