//! The wrapper around values with endpoints in them.

use std::any::Any;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bridge::{pack, unpack};
use crate::wire::codec;
use crate::wire::descriptor::Descriptor;

/// A value that holds endpoints of the `ipc-channel` crate (`IpcSender`, `IpcReceiver`, `IpcSharedMemory`, at any depth), as an argument or a
/// result of a task, as an argument of a process, or through a [pipe](crate::pipe()). Only with the feature `ipc-channel`.
///
/// That crate knows how to pass an endpoint through its own channels, and nothing else. In here an endpoint is a descriptor
/// like any other. An `IpcReceiver` moves, as it does there: what is left here cannot receive any more. At most 64
/// endpoints are in one value.
///
/// What the channels themselves do is that crate's business, with its limits: no timeout on sending; a receiver that has
/// begun to receive a large message waits for all of it; in a process that was forked while it had both ends, nobody notices
/// the end of the other side. [`ganger::pipe`](crate::pipe()) and [`ganger::Queue`](crate::Queue) have none of these.
///
/// ```
/// use ganger::ipc::Ipc;
/// use ipc_channel::ipc::{IpcSender, channel};
///
/// fn square(number: u64, Ipc(answers): Ipc<IpcSender<u64>>) -> Result<(), String> {
///     answers.send(number * number).map_err(|error| error.to_string())
/// }
///
/// let pool = ganger::Pool::new(1)?;
/// let (sender, receiver) = channel::<u64>()?;
/// pool.apply::<_, _, ()>(square, (7, Ipc(sender)))?;
/// assert_eq!(receiver.recv()?, 49);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipc<T>(pub T);

impl<T: Serialize> Serialize for Ipc<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        let mut encode = || codec::encode(&self.0, &mut bytes).map_err(|error| error.to_string());
        let fds = pack(&mut encode).map_err(S::Error::custom)?;
        let fds: Vec<Descriptor> = fds.into_iter().map(Descriptor::from).collect();
        (bytes, fds).serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned + 'static> Deserialize<'de> for Ipc<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (bytes, fds) = <(Vec<u8>, Vec<Descriptor>)>::deserialize(deserializer)?;
        let decode = move || -> Result<Box<dyn Any>, String> {
            codec::decode::<T>(&bytes).map(|value| Box::new(value) as Box<dyn Any>).map_err(|error| error.to_string())
        };
        let value = unpack(&fds, Box::new(decode)).map_err(D::Error::custom)?;
        Ok(Self(*value.downcast::<T>().expect("it was made a few lines above")))
    }
}

#[cfg(test)]
mod tests {
    use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory, channel};

    use super::*;
    use crate::{ErrorKind, one_way};

    #[test]
    fn endpoints_of_all_kinds_travel_together() {
        type Endpoints = (IpcSender<String>, Option<IpcReceiver<u32>>, Vec<IpcSharedMemory>, u8);
        let (receiver, sender) = one_way::<Ipc<Endpoints>>().expect("descriptors");
        for round in 0..3 {
            let (to_us, from_there) = channel::<String>().expect("descriptors");
            let (to_there, from_us) = channel::<u32>().expect("descriptors");
            let memory = vec![IpcSharedMemory::from_bytes(b"one"), IpcSharedMemory::from_bytes(b"other")];
            sender.send(Ipc((to_us, Some(from_us), memory, round))).expect("room");
            let Ipc((back, numbers, memory, number)) = receiver.recv().expect("there");
            back.send("hello".to_owned()).expect("open");
            assert_eq!(from_there.recv().expect("sent"), "hello");
            to_there.send(7).expect("open");
            assert_eq!(numbers.expect("there").recv().expect("sent"), 7);
            assert_eq!((&memory[0][..], &memory[1][..], number), (&b"one"[..], &b"other"[..], round));
        }
    }

    #[test]
    fn it_can_hold_our_own_handles_and_itself() {
        let (receiver, sender) = one_way().expect("descriptors");
        let (there, here) = channel::<u8>().expect("descriptors");
        let queue = crate::Queue::<u8>::new().expect("descriptors");
        sender.send(Ipc((queue.clone(), Ipc(there)))).expect("room");
        let Ipc((other, Ipc(there))): Ipc<(crate::Queue<u8>, Ipc<IpcSender<u8>>)> = receiver.recv().expect("there");
        other.put(&1).expect("room");
        there.send(2).expect("open");
        assert_eq!((queue.try_get().expect("put"), here.recv().expect("sent")), (1, 2));
    }

    #[test]
    fn its_panics_are_errors() {
        let (receiver, sender) = one_way::<Ipc<Vec<IpcSender<u8>>>>().expect("descriptors");
        let (one, kept) = channel::<u8>().expect("descriptors");
        let error = sender.send(Ipc(vec![one.clone(); 65])).expect_err("its assertion fails");
        assert_eq!(error.kind(), ErrorKind::NotSerializable, "{error}");
        assert!(error.to_string().contains("64"), "{error}");
        sender.send(Ipc(vec![one.clone(); 64])).expect("fits");
        assert_eq!(receiver.recv().expect("there").0.len(), 64);
        // Numbers of endpoints that have not come.
        let mut bytes = Vec::new();
        codec::encode(&(9_u64.to_le_bytes().to_vec(), Vec::<Descriptor>::new()), &mut bytes).expect("encodes");
        assert!(codec::decode::<Ipc<IpcReceiver<u8>>>(&bytes).is_err());
        assert!(codec::decode::<Ipc<IpcSharedMemory>>(&bytes).is_err());
        one.send(3).expect("open");
        assert_eq!(kept.recv().expect("sent"), 3);
    }
}
