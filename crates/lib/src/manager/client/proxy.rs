//! What all proxies are: a way to a manager, and the number of an object there.

use std::any::type_name;

use ganger_os::image::{EntryPoint, ImageError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::connection::{exchange, hang_up, post, reach, secret};
use super::route::Route;
use crate::error::{Error, ErrorKind};
use crate::manager::protocol::{Answer, Function, Make, Malformed, Op, append, begin, end, first_answer, seal};
use crate::wire::codec::{decode, encode};

/// One object of one manager.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::manager) struct Proxy {
    route: Route,
    object: u64,
}

impl Proxy {
    /// Makes an object, or finds the one of that name.
    pub(in crate::manager) fn make(route: &Route, make: Make<'_>) -> Result<Self, Error> {
        let maker = Self { route: route.clone(), object: 0 };
        let object = maker.call(&Op::Make(make))?;
        Ok(Self { object, ..maker })
    }

    /// For what belongs to no object.
    pub(in crate::manager) fn none(route: &Route) -> Self {
        Self { route: route.clone(), object: 0 }
    }

    /// Makes sure that this thread has a connection.
    pub(in crate::manager) fn reach(&self) -> Result<(), Error> {
        reach(&self.route)
    }

    /// Closes this thread's connection.
    pub(in crate::manager) fn hang_up(&self) {
        hang_up(&self.route);
    }

    /// Carries out one operation and returns its result.
    pub(in crate::manager) fn call<R: DeserializeOwned>(&self, op: &Op<'_>) -> Result<R, Error> {
        let reply = self.exchange(&self.request(op))?;
        let (answer, _) = first_answer(&reply).map_err(unreadable)?;
        self.read(answer)
    }

    /// Carries out one operation for whose result nobody waits.
    pub(in crate::manager) fn post(&self, op: &Op<'_>) {
        post(&self.route, &self.request(op));
    }

    fn request(&self, op: &Op<'_>) -> Vec<u8> {
        let mut frame = self.frame();
        append(op, &mut frame);
        end(&mut frame);
        frame
    }

    /// The beginning of a request.
    pub(in crate::manager) fn frame(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(128);
        begin(&mut frame);
        frame.extend(self.object.to_le_bytes());
        frame
    }

    /// Sends a whole request and returns the answers.
    pub(in crate::manager) fn exchange(&self, frame: &[u8]) -> Result<Vec<u8>, Error> {
        exchange(&self.route, frame)
    }

    /// The result that an answer holds.
    pub(in crate::manager) fn read<R: DeserializeOwned>(&self, answer: Answer<'_>) -> Result<R, Error> {
        let bytes = answer?;
        self.route.at_home(|| decode(bytes)).map_err(|error| {
            let text = format!("a value from the manager is no {}", type_name::<R>());
            Error::new(ErrorKind::NotDeserializable, text).with_source(error)
        })
    }

    /// The bytes of a value that goes to the manager.
    pub(in crate::manager) fn bytes<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        match self.route.at_home(|| encode(value, &mut bytes)) {
            Ok(()) => Ok(bytes),
            Err(error) => {
                let text = format!("a value for the manager ({}) cannot be serialized", type_name::<T>());
                Err(Error::new(ErrorKind::NotSerializable, text).with_source(error))
            }
        }
    }

    /// A function, as the manager takes it from this process.
    pub(in crate::manager) fn function(&self, entry: Result<EntryPoint, ImageError>) -> Result<Function, Error> {
        let entry = entry.map_err(|error| {
            Error::new(ErrorKind::CannotStart, "the function cannot be run by a manager").with_source(error)
        })?;
        let offset = entry.to_wire();
        Ok(Function { offset, seal: seal(&secret(&self.route)?, offset) })
    }
}

pub(in crate::manager) fn unreadable(_: Malformed) -> Error {
    Error::new(ErrorKind::Disconnected, "the manager's reply cannot be read")
}
