//! Requests that wait, without a thread for each: they are put aside, and tried again when their object has changed.

use std::time::{Duration, Instant};

use super::call::Caller;
use super::connection::{Parked, Stage};
use super::request::{Carried, Wait, carry_out, give_up};
use super::run::Server;

impl Server {
    pub(super) fn park(&mut self, token: u64, wait: Wait<'_>) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        self.last_ticket += 1;
        // What ends after more time than a clock can tell has no end.
        let end = wait.patience.and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos)));
        let ticket = self.last_ticket;
        connection.parked = Some(Parked { ticket, object: wait.object, op: wait.op.to_vec(), end });
        self.waiting.entry(wait.object).or_default().insert(ticket, token);
        self.set_timer(token, end.into_iter().chain(wait.again).min());
    }

    /// Takes a connection's request out of the line.
    pub(super) fn unpark(&mut self, token: u64) -> Option<Parked> {
        let parked = self.connections.get_mut(&token)?.parked.take()?;
        self.set_timer(token, None);
        if let Some(line) = self.waiting.get_mut(&parked.object) {
            line.remove(&parked.ticket);
            if line.is_empty() {
                self.waiting.remove(&parked.object);
            }
        }
        Some(parked)
    }

    /// Tries the requests again that wait for an object, in the order in which they came, up to the first that still waits:
    /// those behind it wait for the same.
    pub(super) fn let_go_on(&mut self, object: u64, out: &mut Vec<u8>) {
        while let Some((_, token)) = self.waiting.get(&object).and_then(|line| line.first_key_value()) {
            let token = *token;
            if !self.try_again(token, out) {
                return;
            }
        }
    }

    /// Tries a request again that waits; whether it waits no longer.
    fn try_again(&mut self, token: u64, out: &mut Vec<u8>) -> bool {
        let Some(connection) = self.connections.get(&token) else { return false };
        let (Some(parked), Stage::Ready(secret)) = (&connection.parked, &connection.stage) else { return false };
        let body = [&parked.object.to_le_bytes()[..], &parked.op].concat();
        let (end, caller) = (parked.end, Caller { token, secret: *secret });
        match carry_out(&mut self.objects, &caller, &body, self.limit, out) {
            Ok(Carried::Waits(wait)) => {
                self.set_timer(token, end.into_iter().chain(wait.again).min());
                return false;
            }
            Ok(Carried::Out { .. }) => {
                self.unpark(token);
                self.send_or_close(token, out);
            }
            // It was read before.
            Err(_) => self.close(token),
        }
        true
    }

    /// A request has waited long enough, or what it waits for may have been taken back.
    pub(super) fn wake(&mut self, token: u64, now: Instant) {
        let mut out = std::mem::take(&mut self.out);
        let Some(object) = self.connections.get(&token).and_then(|connection| Some(connection.parked.as_ref()?.object))
        else {
            return;
        };
        self.let_go_on(object, &mut out);
        let late = |parked: &Parked| parked.end.is_some_and(|end| end <= now);
        let parked = self.connections.get(&token).and_then(|connection| connection.parked.as_ref());
        if parked.is_some_and(late)
            && let Some(parked) = self.unpark(token)
        {
            match give_up(&self.objects, object, &parked.op, self.limit, &mut out) {
                Ok(()) => self.send_or_close(token, &out),
                Err(_) => self.close(token),
            }
        }
        self.keep(out);
    }
}
