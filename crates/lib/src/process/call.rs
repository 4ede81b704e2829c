//! What a process is to do: a function and its arguments, as bytes and descriptors.

use std::sync::Arc;

use crate::task::{Prepared, Task, Unfit};
use crate::wire::codec::CodecError;
use crate::wire::descriptor::{Descriptor, sending};
use crate::wire::frame::MOST_BYTES;
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
    pub(super) descriptors: Vec<Descriptor>,
}

impl Call {
    /// Makes the arguments bytes at once, so that whoever gives a handle away has given it away.
    pub(super) fn new<F, Args, R>(function: &F, arguments: &Args) -> Result<Self, Error>
    where
        F: Task<Args, R>,
    {
        let (made, descriptors) = sending(|| {
            let Prepared { call, name, .. } = function.prepare(0)?;
            let mut payload = call.bound;
            let bound = payload.len();
            F::encode(arguments, &mut payload).map_err(Unencoded::Arguments)?;
            Ok::<_, Unencoded>((call.entry, name, payload, bound))
        });
        let (entry, name, payload, bound) = made.map_err(Unencoded::error)?;
        if payload.len() > MOST_BYTES {
            let text = format!("the arguments of {name} are {} bytes; the limit is {MOST_BYTES}", payload.len());
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        Ok(Self { entry, name, payload, bound, descriptors })
    }

    /// Of a closure that the process has.
    pub(super) fn captured(prepared: Prepared) -> Self {
        let Prepared { call, name, .. } = prepared;
        Self { entry: call.entry, name, payload: Vec::new(), bound: 0, descriptors: Vec::new() }
    }
}

/// Why there is no call.
enum Unencoded {
    Unfit(Unfit),
    Arguments(CodecError),
}

impl From<Unfit> for Unencoded {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl Unencoded {
    fn error(self) -> Error {
        match self {
            Self::Unfit(unfit) => unfit_error(&unfit),
            Self::Arguments(error) => {
                Error::new(ErrorKind::NotSerializable, format!("the arguments cannot be serialized: {error}"))
                    .with_source(error)
            }
        }
    }
}

pub(super) fn unfit_error(unfit: &Unfit) -> Error {
    let kind = match unfit {
        Unfit::Image(_) => ErrorKind::CannotStart,
        Unfit::Bound(_) => ErrorKind::NotSerializable,
        Unfit::ForeignPool => ErrorKind::InvalidSetting,
    };
    Error::new(kind, format!("the function {unfit}"))
}
