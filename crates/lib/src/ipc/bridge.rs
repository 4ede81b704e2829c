//! Descriptors into and out of the `ipc-channel` crate, by nothing but its public interface.
//!
//! The crate makes endpoints of descriptors only while it receives a message, and descriptors of endpoints only while it sends
//! one. So a process has, once it needs it, a channel of that crate of which one side is a plain socket of ours:
//!
//! 1. An `IpcOneShotServer` gives a receiver, to whose other side we connect ourselves ([`Bridge::new`]).
//! 2. To make endpoints, we write a packet with the descriptors into that socket, in the form that version 0.23.1 has (it is
//!    pinned), and receive it by that crate's means. While it is decoded, we decode our own bytes, with our codec.
//! 3. To get descriptors, we make a sender of one of two sockets in this way, send a message through it, and take the packet out
//!    of the other socket. While it is encoded, we encode with our codec.
//!
//! The packets have no content but the descriptors, so they are small, nobody waits, and whatever the crate does with large
//! messages does not happen. Where it panics (65 descriptors, numbers of endpoints that have not come) the panic is caught,
//! and the bridge thrown away.

use std::any::Any;
use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ganger_os::socket::{Arrivals, Received, Sent, connect_messages, message_pair, receive_message, send_message};
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, OpaqueIpcSender};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::codec;
use crate::wire::descriptor::Descriptor;

/// What is in front of each packet: its length, header included, and that of the whole message.
const HEADER: usize = 2 * size_of::<usize>();

/// The bridge that nobody uses at the moment. Taken out, not locked: what is decoded may hold something that needs one as well.
static IDLE: Mutex<Option<Bridge>> = Mutex::new(None);

type Decode = Box<dyn FnOnce() -> Result<Box<dyn Any>, String>>;

thread_local! {
    /// What is to be done while the crate decodes, and what came of it.
    static DECODE: RefCell<Option<Decode>> = const { RefCell::new(None) };
    static DECODED: RefCell<Option<Result<Box<dyn Any>, String>>> = const { RefCell::new(None) };
}

/// What bridges receive: nothing but an occasion.
struct Occasion;

impl<'de> Deserialize<'de> for Occasion {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        if let Some(decode) = DECODE.take() {
            DECODED.set(Some(decode()));
        }
        Ok(Self)
    }
}

impl Serialize for Occasion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// What senders of a bridge send: the occasion to encode.
struct Encoding<'a>(RefCell<&'a mut dyn FnMut() -> Result<(), String>>);

impl Serialize for Encoding<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.borrow_mut())().map_err(S::Error::custom)?;
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Encoding<'_> {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("nobody receives it"))
    }
}

/// Has `encode` encode a value with our codec; the descriptors of the endpoints in it.
pub(super) fn pack(encode: &mut dyn FnMut() -> Result<(), String>) -> Result<Vec<OwnedFd>, String> {
    with_bridge(|bridge| bridge.pack(encode))
}

/// Has `decode` decode a value with our codec, whose endpoints these descriptors are.
pub(super) fn unpack(fds: &[Descriptor], decode: Decode) -> Result<Box<dyn Any>, String> {
    with_bridge(|bridge| bridge.unpack(fds, decode))
}

fn with_bridge<R>(act: impl FnOnce(&Bridge) -> Result<R, String>) -> Result<R, String> {
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    // A forked process must not use its parent's: they would take each other's packets.
    let found = idle().take().filter(|bridge| bridge.process == std::process::id());
    let done = catch_unwind(AssertUnwindSafe(|| {
        let bridge = found.map_or_else(Bridge::new, Ok)?;
        act(&bridge).map(|done| (done, bridge))
    }));
    DECODE.set(None);
    match done {
        Ok(Ok((done, bridge))) => {
            *idle() = Some(bridge);
            Ok(done)
        }
        // Whatever is left in it is not for the next one.
        Ok(Err(error)) => Err(error),
        Err(_panic) => {
            Err("the ipc-channel crate panicked: it takes 64 endpoints in one value at the most, and each of \
                            them once"
                .to_owned())
        }
    }
}

struct Bridge {
    /// Our side of the channel through which endpoints are made.
    entrance: OwnedFd,
    receiver: IpcReceiver<Occasion>,
    /// A sender, and our side of its channel.
    sender: Option<(OpaqueIpcSender, OwnedFd)>,
    process: u32,
}

impl Bridge {
    fn new() -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no way into the ipc-channel crate: {error}");
        let (server, name) = IpcOneShotServer::<Occasion>::new().map_err(failed)?;
        let entrance = connect_messages(Path::new(&name)).map_err(failed)?;
        // The server takes its first message at once.
        put(&entrance, &[])?;
        let (receiver, _occasion) = server.accept().map_err(|error| error.to_string())?;
        let mut bridge = Self { entrance, receiver, sender: None, process: std::process::id() };
        let (theirs, ours) = message_pair().map_err(failed)?;
        // Endpoint number 0 of the message, as our codec writes it.
        let number = || {
            let sender = codec::decode::<OpaqueIpcSender>(&0_u64.to_le_bytes());
            sender.map(|sender| Box::new(sender) as Box<dyn Any>).map_err(|error| error.to_string())
        };
        let sender = bridge.unpack(&[theirs.into()], Box::new(number))?;
        bridge.sender = sender.downcast().ok().map(|sender| (*sender, ours));
        Ok(bridge)
    }

    fn unpack(&self, fds: &[Descriptor], decode: Decode) -> Result<Box<dyn Any>, String> {
        DECODE.set(Some(decode));
        DECODED.set(None);
        put(&self.entrance, fds)?;
        self.receiver.recv().map_err(|error| error.to_string())?;
        DECODED.take().unwrap_or_else(|| Err("nothing was decoded".to_owned()))
    }

    fn pack(&self, encode: &mut dyn FnMut() -> Result<(), String>) -> Result<Vec<OwnedFd>, String> {
        let (sender, exit) = self.sender.as_ref().ok_or("there is no sender")?;
        let sender = sender.clone().to::<Encoding<'_>>();
        sender.send(Encoding(RefCell::new(encode))).map_err(|error| error.to_string())?;
        let (mut buffer, mut arrivals) = ([0; 4 * HEADER], Arrivals::new());
        match receive_message(exit.as_fd(), &mut buffer, &mut arrivals, false) {
            Ok(Received::Bytes(HEADER)) => Ok(arrivals.pop_front().unwrap_or_default()),
            other => Err(format!("the ipc-channel crate has sent something else than expected: {other:?}")),
        }
    }
}

/// Writes a packet without content.
fn put(entrance: &OwnedFd, fds: &[Descriptor]) -> Result<(), String> {
    let header = [HEADER.to_ne_bytes(), 0_usize.to_ne_bytes()].concat();
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    match send_message(entrance.as_fd(), [&header, &[]], &fds, false) {
        Ok(Sent::Whole) => Ok(()),
        other => Err(format!("cannot hand descriptors to the ipc-channel crate: {other:?}")),
    }
}
