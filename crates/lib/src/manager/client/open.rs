//! Making a connection: through the door, or over the network.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ganger_os::fd::Fd;
use ganger_os::socket::{keep_alive, send_packet_waiting, stream_pair};

use super::connection::{Connection, gone};
use super::route::{Key, Route, Way};
use crate::error::{Error, ErrorKind};
use crate::manager::address::Address;
use crate::manager::handshake::{CHALLENGE, VERDICT, accept, fresh_nonce, own_image, prove};

/// How long each step may take in which both sides prove that they have the key, and the connecting before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a connection.
pub(super) fn open(route: &Route) -> Result<Connection, Error> {
    match route.way() {
        Way::Door(_, door) => through(door.as_fd()),
        Way::Network(_, address, key) => over_network(address, key),
        Way::Inside => unreachable!("a route inside has no number, and is refused before"),
    }
}

fn through(door: impl AsFd) -> Result<Connection, Error> {
    let (ours, theirs) = stream_pair().map_err(|error| {
        Error::new(ErrorKind::System, "no connection to the manager can be made").with_source(error)
    })?;
    send_packet_waiting(door, &own_image(), &theirs).map_err(gone)?;
    drop(theirs);
    Connection::greeted(ours)
}

fn over_network(address: &Address, key: &Key) -> Result<Connection, Error> {
    let unreachable = |error| unreachable_at(address, error);
    match address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).map_err(unreachable)?;
            let limit = |limit| stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit));
            be_let_in(&stream, limit, address, key)
        }
        Address::Tcp(place) => {
            let stream = TcpStream::connect_timeout(place, PATIENCE).map_err(unreachable)?;
            let limit = |limit| stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit));
            // Without the first a request waits for an acknowledgement, without the second for a machine that is gone.
            stream.set_nodelay(true).and_then(|()| keep_alive(&stream)).map_err(unreachable)?;
            be_let_in(&stream, limit, address, key)
        }
    }
}

/// Proves the key and waits to be welcomed, each step within the limit that `limit` sets.
fn be_let_in<S: AsFd>(
    stream: &S,
    limit: impl Fn(Option<Duration>) -> io::Result<()>,
    address: &Address,
    key: &Key,
) -> Result<Connection, Error>
where
    for<'a> &'a S: Read + Write,
{
    let unreachable = |error| unreachable_at(address, error);
    limit(Some(PATIENCE)).map_err(unreachable)?;
    prove_each_other(stream, address, key)?;
    let own = stream.as_fd().try_clone_to_owned().map_err(unreachable)?;
    let connection = Connection::greeted(Fd::from(own))?;
    // Requests may wait for long: see there.
    limit(None).map_err(unreachable)?;
    Ok(connection)
}

fn unreachable_at(address: &Address, error: io::Error) -> Error {
    Error::new(ErrorKind::Disconnected, format!("no manager can be reached at {address}")).with_source(error)
}

fn prove_each_other(mut stream: impl Read + Write, address: &Address, key: &Key) -> Result<(), Error> {
    let broken = |error| {
        let text = format!("the manager at {address} did not go through with the proof of the key");
        Error::new(ErrorKind::Disconnected, text).with_source(error)
    };
    let mut challenge = [0; CHALLENGE];
    stream.read_exact(&mut challenge).map_err(broken)?;
    let (exchange, proof) = prove(&key.0, &challenge, fresh_nonce()?, own_image())?;
    stream.write_all(&proof).map_err(broken)?;
    let mut verdict = [0; VERDICT];
    stream.read_exact(&mut verdict).map_err(broken)?;
    accept(&key.0, &exchange, &verdict)
}
