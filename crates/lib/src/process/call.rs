//! What a process is to do: a function and its arguments, as bytes and descriptors.

use std::sync::Arc;

use crate::task::{Prepared, Task, Unfit};
use crate::wire::descriptor::{Descriptor, Part, sending};
use crate::wire::frame::MOST_BYTES;
use crate::wire::message;
use crate::{Error, ErrorKind};

/// A call, ready to travel.
#[derive(Debug)]
pub(super) struct Call {
    /// The shim's offset in the executable.
    pub(super) entry: u64,
    pub(super) name: Arc<str>,
    /// The function's bound arguments, then those of the call.
    pub(super) payload: Vec<u8>,
    /// How many of these bytes the first are.
    pub(super) bound: usize,
    /// Those within the payload, in the same order.
    pub(super) descriptors: Vec<Descriptor>,
    /// How many of these the first are.
    pub(super) bound_descriptors: usize,
}

impl Call {
    /// Makes the arguments bytes at once, so that whoever gives a handle away has given it away.
    pub(super) fn new<F, Args, R>(function: &F, arguments: &Args) -> Result<Self, Error>
    where
        F: Task<Args, R>,
    {
        let prepared = function.prepare(0).map_err(|unfit| unfit_error(&unfit))?;
        let Prepared { call: message::Call { entry, bound: mut payload, .. }, mut descriptors, name, .. } = prepared;
        let (bound, bound_descriptors) = (payload.len(), descriptors.len());
        let (encoded, own) = sending(Part::Own, || F::encode(arguments, &mut payload));
        encoded.map_err(|error| {
            let text = format!("the arguments of {name} cannot be serialized: {error}");
            Error::new(ErrorKind::NotSerializable, text).with_source(error)
        })?;
        descriptors.extend(own);
        if payload.len() > MOST_BYTES {
            let text = format!("the arguments of {name} are {} bytes; the limit is {MOST_BYTES}", payload.len());
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        Ok(Self { entry, name, payload, bound, descriptors, bound_descriptors })
    }

    /// Of a closure that the process has.
    pub(super) fn captured(prepared: Prepared) -> Self {
        let Prepared { call, name, .. } = prepared;
        let entry = call.entry;
        Self { entry, name, payload: Vec::new(), bound: 0, descriptors: Vec::new(), bound_descriptors: 0 }
    }
}

pub(super) fn unfit_error(unfit: &Unfit) -> Error {
    let kind = match unfit {
        Unfit::Image(_) => ErrorKind::CannotStart,
        Unfit::Bound(_) | Unfit::Shared(_) => ErrorKind::NotSerializable,
        Unfit::ForeignPool => ErrorKind::InvalidSetting,
    };
    Error::new(kind, format!("the function {unfit}"))
}
