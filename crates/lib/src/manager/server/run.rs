//! The server's loop: one thread, one wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::time::{Duration, Instant};

use ganger_os::fd::Fd;
use ganger_os::poll::{Interest, Poller};
use ganger_os::socket::{Received, receive_now, receive_packet};

use super::call::Caller;
use super::connection::{Connection, Gone, Stage};
use super::gate::{Gate, Listener};
use super::object::Objects;
use super::request::{Carried, carry_out};
use crate::manager::frame::gather;
use crate::manager::handshake::PROOF;
use crate::manager::protocol::Secret;

/// What the loop's descriptors are called; connections count on from here.
const DOOR: u64 = 0;
const LISTENER: u64 = 1;

/// What is received at once, at most.
const PIECE: usize = 256 * 1024;

/// How long a client from the network may take to prove that it has the key.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many clients from the network may be about to prove it. One more, and the oldest is sent away: who has the key
/// needs a moment, who floods the server has none.
const GREETED: usize = 64;

/// How long no connection is taken after the process has run out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How a server is to serve.
#[derive(Debug)]
pub(in crate::manager) struct Setup {
    /// Where the owner's gang comes in.
    pub(in crate::manager) door: Fd,
    /// Where others come in who have the key.
    pub(in crate::manager) gate: Option<Gate>,
    /// The largest body of a message.
    pub(in crate::manager) limit: usize,
}

/// Serves until nobody is left at the door, nor who came through it.
///
/// # Errors
/// When the system refuses what no server can do without.
pub(in crate::manager) fn serve(setup: Setup) -> io::Result<()> {
    let mut server = Server::new(setup)?;
    let mut tokens = Vec::new();
    while server.is_wanted() {
        // Without a limit when no client waits for a time: then only a client, or the end of all, gives it something to do.
        server.poller.wait(server.next_timer(), &mut tokens)?;
        tokens.iter().for_each(|token| server.ready(*token));
        server.fire_timers();
    }
    Ok(())
}

pub(super) struct Server {
    poller: Poller,
    /// Until the last of those who hold its other end is gone.
    door: Option<Fd>,
    listener: Option<Listener>,
    pub(super) limit: usize,
    pub(super) connections: HashMap<u64, Connection>,
    pub(super) objects: Objects,
    /// Of each object: the connections that wait for it, by their tickets.
    pub(super) waiting: HashMap<u64, BTreeMap<u64, u64>>,
    timers: BTreeSet<(Instant, u64)>,
    /// The connections that have not proved anything yet, oldest first.
    greeted: BTreeSet<u64>,
    last_token: u64,
    pub(super) last_ticket: u64,
    buffer: Vec<u8>,
    pub(super) out: Vec<u8>,
}

impl Server {
    fn new(setup: Setup) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&setup.door, DOOR, Interest::Read)?;
        let listener = setup.gate.map(Listener::new);
        if let Some(listener) = &listener {
            poller.add(listener, LISTENER, Interest::Read)?;
        }
        Ok(Self {
            poller,
            door: Some(setup.door),
            listener,
            limit: setup.limit,
            connections: HashMap::new(),
            objects: Objects::default(),
            waiting: HashMap::new(),
            timers: BTreeSet::new(),
            greeted: BTreeSet::new(),
            last_token: LISTENER,
            last_ticket: 0,
            buffer: vec![0; PIECE],
            out: Vec::new(),
        })
    }

    fn is_wanted(&self) -> bool {
        self.door.is_some() || self.connections.values().any(|connection| connection.through_door)
    }

    fn next_timer(&self) -> Option<Duration> {
        Some(self.timers.first()?.0.saturating_duration_since(Instant::now()))
    }

    fn ready(&mut self, token: u64) {
        match token {
            DOOR => self.answer_door(),
            LISTENER => self.take_from_network(),
            token => {
                if self.attend(token).is_err() {
                    self.close(token);
                }
            }
        }
    }

    /// Takes in whoever stands at the door.
    fn answer_door(&mut self) {
        let Some(door) = &self.door else { return };
        match receive_packet(door) {
            Ok(None) => {}
            Ok(Some(packet)) if !packet.bytes.is_empty() => {
                // What is no visit, or has come without its descriptor as there was no room for it, is closed again.
                if let Some((fd, secret)) = super::gate::visit(packet) {
                    self.let_in(fd, secret);
                }
            }
            // The last holder of the other end is gone.
            Ok(Some(_)) | Err(_) => {
                self.poller.remove(door);
                self.door = None;
            }
        }
    }

    fn let_in(&mut self, fd: Fd, secret: Option<Secret>) {
        if let Some(token) = self.enter(Connection::new(fd, Stage::Ready(secret), true)) {
            let welcome = super::gate::welcome(self.limit, secret);
            self.send_or_close(token, &welcome);
        }
    }

    /// Watches a connection; it is closed when that is not possible.
    fn enter(&mut self, connection: Connection) -> Option<u64> {
        self.last_token += 1;
        self.poller.add(&connection.fd, self.last_token, Interest::Read).ok()?;
        self.connections.insert(self.last_token, connection);
        Some(self.last_token)
    }

    fn take_from_network(&mut self) {
        let Some(listener) = &mut self.listener else { return };
        match listener.accept() {
            Ok(Some((fd, nonce, challenge))) => {
                if self.greeted.len() >= GREETED
                    && let Some(oldest) = self.greeted.first().copied()
                {
                    self.close(oldest);
                }
                if let Some(token) = self.enter(Connection::new(fd, Stage::Greeting(nonce), false)) {
                    self.greeted.insert(token);
                    self.set_timer(token, Some(Instant::now() + PATIENCE));
                    self.send_or_close(token, &challenge);
                }
            }
            Ok(None) => {}
            // Out of descriptors: the connection stays where it is, and would wake the loop again and again.
            Err(_) => {
                self.poller.remove(listener);
                self.timers.insert((Instant::now() + PAUSE, LISTENER));
            }
        }
    }

    /// Reads what a client has sent, and sends it what it had no room for.
    fn attend(&mut self, token: u64) -> Result<(), Gone> {
        let Some(connection) = self.connections.get_mut(&token) else { return Ok(()) };
        if connection.parked.is_none() && connection.owes_silence() && connection.flush()? {
            self.poller.change(&connection.fd, token, Interest::Read).map_err(|_| Gone)?;
        }
        let count = match receive_now(&connection.fd, &mut self.buffer) {
            Ok(Received::Nothing) => return Ok(()),
            Ok(Received::Bytes(count)) => count,
            Ok(Received::End) | Err(_) => return Err(Gone),
        };
        if connection.owes_silence() {
            return Err(Gone);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let heard = self.hear(token, &buffer[..count]);
        self.buffer = buffer;
        heard
    }

    fn hear(&mut self, token: u64, bytes: &[u8]) -> Result<(), Gone> {
        let Some(connection) = self.connections.get_mut(&token) else { return Ok(()) };
        match connection.stage {
            Stage::Greeting(nonce) => {
                connection.partial.extend(bytes);
                match <&[u8; PROOF]>::try_from(connection.partial.as_slice()) {
                    Ok(proof) => {
                        let proof = *proof;
                        self.hear_proof(token, nonce, &proof)
                    }
                    Err(_) if connection.partial.len() < PROOF => Ok(()),
                    Err(_) => Err(Gone),
                }
            }
            Stage::Ready(secret) => match gather(&mut connection.partial, bytes, self.limit) {
                Ok(None) => Ok(()),
                Ok(Some(body)) => self.carry_out(&Caller { token, secret }, &body),
                Err(_) => Err(Gone),
            },
            Stage::Refused => Err(Gone),
        }
    }

    fn hear_proof(&mut self, token: u64, nonce: [u8; 32], proof: &[u8; PROOF]) -> Result<(), Gone> {
        let listener = self.listener.as_ref().ok_or(Gone)?;
        let verdict = listener.judge(nonce, proof, self.limit);
        let connection = self.connections.get_mut(&token).ok_or(Gone)?;
        connection.partial = Vec::new();
        connection.stage = verdict.stage;
        self.greeted.remove(&token);
        let welcome = matches!(connection.stage, Stage::Ready(_));
        // Who is refused reads so, and leaves; or is sent away then.
        self.set_timer(token, (!welcome).then(|| Instant::now() + PATIENCE));
        self.send(token, &verdict.bytes)
    }

    pub(super) fn carry_out(&mut self, caller: &Caller, body: &[u8]) -> Result<(), Gone> {
        let mut out = std::mem::take(&mut self.out);
        let carried = carry_out(&mut self.objects, caller, body, self.limit, &mut out);
        let result = match carried {
            Ok(Carried::Out { object, changed }) => {
                let sent = self.send(caller.token, &out);
                if changed {
                    self.let_go_on(object, &mut out);
                }
                sent
            }
            Ok(Carried::Waits(wait)) => {
                self.park(caller.token, wait);
                Ok(())
            }
            Err(_) => Err(Gone),
        };
        self.keep(out);
        result
    }

    /// Keeps the buffer for the next reply, unless it is large.
    pub(super) fn keep(&mut self, out: Vec<u8>) {
        self.out = if out.capacity() <= PIECE { out } else { Vec::new() };
    }

    pub(super) fn set_timer(&mut self, token: u64, at: Option<Instant>) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if let Some(before) = std::mem::replace(&mut connection.timer, at) {
            self.timers.remove(&(before, token));
        }
        self.timers.extend(at.map(|at| (at, token)));
    }

    fn fire_timers(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((at, token)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, token));
            match self.connections.get_mut(&token) {
                None if token == LISTENER => self.listen_again(),
                None => {}
                Some(connection) => {
                    connection.timer = None;
                    if connection.parked.is_some() { self.wake(token, now) } else { self.close(token) }
                }
            }
        }
    }

    fn listen_again(&mut self) {
        if let Some(listener) = &self.listener
            && self.poller.add(listener, LISTENER, Interest::Read).is_err()
        {
            self.timers.insert((Instant::now() + PAUSE, LISTENER));
        }
    }

    pub(super) fn send(&mut self, token: u64, bytes: &[u8]) -> Result<(), Gone> {
        let Some(connection) = self.connections.get_mut(&token) else { return Ok(()) };
        if !connection.send(bytes)? {
            self.poller.change(&connection.fd, token, Interest::ReadWrite).map_err(|_| Gone)?;
        }
        Ok(())
    }

    pub(super) fn send_or_close(&mut self, token: u64, bytes: &[u8]) {
        if self.send(token, bytes).is_err() {
            self.close(token);
        }
    }

    /// Closes a connection, and releases what its client held.
    pub(super) fn close(&mut self, token: u64) {
        self.unpark(token);
        self.set_timer(token, None);
        self.greeted.remove(&token);
        let Some(connection) = self.connections.remove(&token) else { return };
        self.poller.remove(&connection.fd);
        drop(connection);
        let mut out = Vec::new();
        for object in self.objects.bereave(token) {
            self.let_go_on(object, &mut out);
        }
    }
}
