//! Connections of this process, one for each of its threads and managers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::mem::{forget, take};

use ganger_os::fd::Fd;
use ganger_os::socket::{Received, has_ended, receive_waiting, send_all};

use super::open::open;
use super::route::Route;
use crate::error::{Error, ErrorKind};
use crate::manager::frame::gather;
use crate::manager::protocol::{PREFIX, Secret, Welcome};
use crate::wire::codec::decode;

/// What is received at once, at most.
const PIECE: usize = 64 * 1024;

/// A connection to a server that has let it in.
#[derive(Debug)]
pub(super) struct Connection {
    fd: Fd,
    welcome: Welcome,
    buffer: Vec<u8>,
    /// A reply for which nobody waits is on its way.
    owed: bool,
}

impl Connection {
    /// Waits for the welcome on a new connection.
    pub(super) fn greeted(fd: Fd) -> Result<Self, Error> {
        let welcome = Welcome { limit: PIECE as u64, secret: None };
        let mut connection = Self { fd, welcome, buffer: vec![0; PIECE], owed: false };
        let frame = connection.receive().map_err(gone)?;
        connection.welcome = decode(&frame).map_err(|error| {
            Error::new(ErrorKind::Disconnected, "the manager's welcome cannot be read").with_source(error)
        })?;
        Ok(connection)
    }

    /// Sends a request and waits for its reply, without a limit: the server answers everything, and its end ends the wait.
    /// What may take long there has its limit there.
    fn exchange(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        self.settle()?;
        send_all(&self.fd, frame)?;
        self.receive()
    }

    /// Takes in the reply for which nobody has waited.
    fn settle(&mut self) -> io::Result<()> {
        if take(&mut self.owed) {
            self.receive()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        // A batch's last answers may be no more than that they did not fit, and stand behind the limit.
        let most = usize::try_from(self.welcome.limit).unwrap_or(usize::MAX).saturating_mul(2).saturating_add(PIECE);
        let mut partial = Vec::new();
        loop {
            let count = match receive_waiting(&self.fd, &mut self.buffer)? {
                Received::Bytes(count) => count,
                Received::End | Received::Nothing => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
            let body = gather(&mut partial, &self.buffer[..count], most);
            if let Some(body) = body.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))? {
                return Ok(body.into_owned());
            }
        }
    }
}

/// The connections of one thread.
struct Open {
    /// Of the process that has made them: a forked child has copies, which it must not use, nor close, as their numbers may
    /// be those of others by now.
    process: u32,
    connections: HashMap<u128, Connection>,
}

thread_local! {
    static OPEN: RefCell<Open> = RefCell::new(Open { process: std::process::id(), connections: HashMap::new() });
}

impl Open {
    fn of_this_process(&mut self) -> &mut HashMap<u128, Connection> {
        let own = std::process::id();
        if self.process != own {
            forget(take(&mut self.connections));
            self.process = own;
        }
        &mut self.connections
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.of_this_process();
    }
}

/// Sends a request to a manager and returns the body of its reply.
pub(super) fn exchange(route: &Route, frame: &[u8]) -> Result<Vec<u8>, Error> {
    with_connection(route, |connection| {
        let size = frame.len() - PREFIX;
        let limit = connection.welcome.limit;
        if size as u64 > limit {
            let text =
                format!("a request of {size} bytes, where the manager's message limit is {limit}: send less at once");
            return Ok(Err(Error::new(ErrorKind::TooLarge, text)));
        }
        connection.exchange(frame).map(Ok)
    })?
}

/// Sends a request for whose reply nobody waits, if this thread has a connection.
pub(super) fn post(route: &Route, frame: &[u8]) {
    let Some(number) = route.number() else { return };
    // Without a connection, or without this thread's connections as it ends, there is nothing that has to be told.
    let _ = OPEN.try_with(|open| {
        let Ok(mut open) = open.try_borrow_mut() else { return };
        let connections = open.of_this_process();
        let Some(connection) = connections.get_mut(&number) else { return };
        let posted = connection.settle().and_then(|()| send_all(&connection.fd, frame));
        connection.owed = true;
        if posted.is_err() {
            connections.remove(&number);
        }
    });
}

/// Makes sure that this thread has a connection.
pub(super) fn reach(route: &Route) -> Result<(), Error> {
    with_connection(route, |_| Ok(()))
}

/// Closes this thread's connection, if it has one.
pub(super) fn hang_up(route: &Route) {
    let Some(number) = route.number() else { return };
    // Without this thread's connections, as it ends, there is none.
    let _ = OPEN.try_with(|all| all.try_borrow_mut().map(|mut all| all.of_this_process().remove(&number)));
}

/// What seals functions for a manager.
pub(super) fn secret(route: &Route) -> Result<Secret, Error> {
    let secret = with_connection(route, |connection| Ok(connection.welcome.secret))?;
    secret.ok_or_else(|| {
        let text = "functions run in a manager only for clients that are the same executable: use operations that need none, \
                    as `add` and `compare_and_swap`";
        Error::new(ErrorKind::Mismatch, text)
    })
}

/// Uses this thread's connection, which is made when there is none, and closed when it fails.
fn with_connection<R>(route: &Route, action: impl FnOnce(&mut Connection) -> io::Result<R>) -> Result<R, Error> {
    let number = route.number().ok_or_else(|| {
        let text = "a function that runs in a manager cannot use that manager: it would wait for itself";
        Error::new(ErrorKind::WouldDeadlock, text)
    })?;
    let used = OPEN.try_with(|all| {
        let mut all = all.borrow_mut();
        let connections = all.of_this_process();
        if !connections.contains_key(&number) {
            // Of managers that are gone: a thread that uses many of them, one after the other, would keep them all.
            connections.retain(|_, connection| !has_ended(&connection.fd));
        }
        let connection = match connections.entry(number) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => place.insert(open(route)?),
        };
        action(connection).map_err(|error| {
            connections.remove(&number);
            gone(error)
        })
    });
    used.map_err(|_| Error::new(ErrorKind::Closed, "the thread is ending, and its connections to managers are closed"))?
}

pub(super) fn gone(error: io::Error) -> Error {
    Error::new(ErrorKind::Disconnected, "the manager is gone, or has closed the connection").with_source(error)
}
