//! Descriptors beside a message: how queues, locks, pipes and shared arrays travel.
//!
//! A handle holds its descriptors as [`Descriptor`]s and derives serde's traits. While a message is encoded within
//! [`sending`], each descriptor in it is put aside and its number takes its place among the bytes; the transport passes
//! them on beside the bytes, and the message is decoded within [`receiving`]. Anywhere else a handle cannot be serialized:
//! what an open file means only a process knows that has it.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most that travel with one message; the kernel's own limit (`SCM_MAX_FD`).
pub(crate) const MOST: usize = 253;

/// An open descriptor that can be a part of a message. Clones share it, and one message carries it once.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor(Arc<OwnedFd>);

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

thread_local! {
    /// What the message that this thread encodes has put aside; `None` outside of [`sending`].
    static OUTGOING: RefCell<Option<Vec<Descriptor>>> = const { RefCell::new(None) };
    /// What has come with the message that this thread decodes.
    static INCOMING: RefCell<Option<Vec<Descriptor>>> = const { RefCell::new(None) };
}

/// Puts the slot's content back, also when the code of others that ran meanwhile has panicked.
struct Restored(&'static std::thread::LocalKey<RefCell<Option<Vec<Descriptor>>>>, Option<Vec<Descriptor>>);

impl Drop for Restored {
    fn drop(&mut self) {
        self.0.set(self.1.take());
    }
}

/// Has `encode` encode a message; returns what it returns, and the descriptors that are to travel with the bytes.
pub(crate) fn sending<R>(encode: impl FnOnce() -> R) -> (R, Vec<Descriptor>) {
    let before = Restored(&OUTGOING, OUTGOING.replace(Some(Vec::new())));
    let encoded = encode();
    let descriptors = OUTGOING.take().unwrap_or_default();
    drop(before);
    (encoded, descriptors)
}

/// Has `decode` decode a message with which `descriptors` have come.
pub(crate) fn receiving<R>(descriptors: Vec<Descriptor>, decode: impl FnOnce() -> R) -> R {
    let _before = Restored(&INCOMING, INCOMING.replace(Some(descriptors)));
    decode()
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = OUTGOING.with_borrow_mut(|outgoing| {
            let Some(outgoing) = outgoing else {
                return Err(
                    "it holds an open descriptor, which can travel as an argument or a result of a task, as an \
                            argument of a process, and through a pipe, and nowhere else",
                );
            };
            if let Some(known) = outgoing.iter().position(|known| Arc::ptr_eq(&known.0, &self.0)) {
                return Ok(known as u32);
            }
            if outgoing.len() >= MOST {
                return Err("it would be the 254th open descriptor of one message, and the kernel passes on 253");
            }
            outgoing.push(self.clone());
            Ok(outgoing.len() as u32 - 1)
        });
        number.map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        let found = INCOMING.with_borrow(|incoming| incoming.as_ref()?.get(number as usize).cloned());
        found.ok_or_else(|| {
            D::Error::custom(format!(
                "open descriptor {number} has not come with the message (is this process's table of descriptors full?)"
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
        let (encoded, descriptors) = sending(|| encode(&(&one, 7_u8, &other, &one), &mut bytes));
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
    fn no_message_carries_more_than_the_kernel_passes_on() {
        let many: Vec<Descriptor> = (0..=MOST).map(|_| null()).collect();
        let mut bytes = Vec::new();
        let (encoded, descriptors) = sending(|| encode(&many, &mut bytes));
        assert!(encoded.expect_err("too many").to_string().contains("254th"));
        assert_eq!(descriptors.len(), MOST);
        let (encoded, none) = sending(|| encode(&1_u8, &mut bytes));
        assert!(encoded.is_ok() && none.is_empty(), "the next message starts afresh");
    }
}
