//! What the supervisor reads from one worker: its results, from the ring and from the socket, and what else it says.

use std::time::{Duration, Instant};

use ganger_os::huge::make_room;
use ganger_os::socket::{self, Received};

use super::farewells::Farewell;
use super::haul::Haul;
use super::link::Link;
use crate::wire::aside::Aside;
use crate::wire::bell;
use crate::wire::descriptor::Descriptor;
use crate::wire::frame::{Header, Kind, MOST_BYTES, ROOM};
use crate::wire::message::{MARKS, untag};

impl Link {
    /// Reads every result that is there, in order of position: from the ring, and from the socket what the ring had no
    /// room for. The error says how the worker broke the protocol.
    pub(super) fn collect(&mut self, haul: &mut Haul) -> Result<(), String> {
        let before = haul.len();
        // Before the results: they are what both are compared with.
        self.heard = bell::count(self.results.page().bell());
        self.check_word();
        loop {
            let next = self.collect_ring(haul)?;
            // The next result is not in the ring but a later one is: the worker had written it to the socket before.
            self.readable |= next.is_some();
            if self.collect_frame(haul)? || self.receive()? {
                continue;
            }
            match next {
                Some(position) => {
                    return Err(format!("a result for position {position} came instead of {}", self.expected));
                }
                None => break,
            }
        }
        if haul.len() > before {
            self.moved = Instant::now();
            self.answered(self.moved);
        }
        Ok(())
    }

    /// Takes results from the ring as long as they are the next ones; the position of the first that is not.
    fn collect_ring(&mut self, haul: &mut Haul) -> Result<Option<u32>, String> {
        let mut taken = false;
        let mut later = None;
        while let Some(record) = self.results.peek().map_err(|_| "the ring of results is corrupt")? {
            let (status, position) = untag(record.tag);
            if position > self.expected && position < self.limit {
                later = Some(position);
                break;
            }
            expect(&mut self.expected, self.limit, position)?;
            haul.push(status, record.extra, |bytes| self.results.take(record, bytes));
            taken = true;
        }
        if taken {
            self.results.free();
        }
        Ok(later)
    }

    /// Takes one frame from the inbox; `false` when none is whole.
    fn collect_frame(&mut self, haul: &mut Haul) -> Result<bool, String> {
        let malformed = |_| "a frame is malformed".to_owned();
        let Some(header) = self.inbox.peek_header().map_err(malformed)? else { return Ok(false) };
        check_header(&header)?;
        if matches!(header.kind, Kind::Result | Kind::LargeResult) && header.position > self.expected {
            // Results before it are in the ring: the worker had put them there before it wrote the frame.
            self.collect_ring(haul)?;
        }
        let Some((header, body)) = self.inbox.next_frame().map_err(malformed)? else { return Ok(false) };
        match header.kind {
            Kind::Bell => {}
            Kind::Ready => {
                self.ready = true;
                self.base = header.index;
                self.init = Duration::from_micros(header.job.into());
            }
            Kind::Unready => self.unready = Some(String::from_utf8_lossy(body).into_owned()),
            Kind::Result => {
                // First the question whether it is the one that is due: what has been hauled counts as an outcome.
                expect(&mut self.expected, self.limit, header.position)?;
                haul.push(header.job as u8, header.index, |bytes| {
                    make_room(bytes, body.len());
                    bytes.extend_from_slice(body);
                });
                haul.attach(std::mem::take(&mut self.descriptors));
            }
            Kind::LargeResult => {
                expect(&mut self.expected, self.limit, header.position)?;
                let memory = self.descriptors.pop().ok_or("a large result came without its memory")?;
                let aside =
                    Aside::open(&memory).map_err(|error| format!("a large result cannot be opened: {error}"))?;
                haul.push_aside(header.job as u8, header.index, body, aside);
                haul.attach(std::mem::take(&mut self.descriptors));
            }
            Kind::Descriptors => {
                // Fewer than were sent, when this process's table is full: whatever needs them cannot be decoded.
                let arrived = self.arrivals.pop_front().unwrap_or_default();
                self.descriptors = arrived.into_iter().map(Descriptor::from).collect();
            }
            Kind::Farewell if self.told.is_some() && self.farewell.is_none() => {
                let (status, nanos, bytes) = (header.job as u8, header.index, body.to_vec());
                self.farewell = Some(Farewell { status, nanos, bytes });
            }
            Kind::Farewell => return Err("it said farewell, and was not told to leave".to_owned()),
            Kind::Setup | Kind::Define | Kind::Forget | Kind::Tasks | Kind::Goodbye => {
                unreachable!("check_header refuses them")
            }
        }
        Ok(haul.size() < MOST_BYTES)
    }

    /// Reads from the socket what is there; `false` when nothing is.
    fn receive(&mut self) -> Result<bool, String> {
        if !self.readable {
            return Ok(false);
        }
        let Self { inbox, socket, arrivals, .. } = self;
        let before = arrivals.len();
        let received = inbox.receive(|room| socket::receive_now_with(&*socket, room, arrivals));
        let brought = arrivals.len() > before;
        if arrivals.len() > 1 {
            // All whole frames were used up before, so at most one batch can belong to a frame that is not whole.
            return Err("it sends descriptors that belong to nothing".to_owned());
        }
        match received {
            Ok(Received::Bytes(count)) => {
                // A read that did not fill the least room there is has emptied the socket, unless it ended behind descriptors; of
                // the dead, it is made sure.
                self.readable = count >= ROOM || brought || self.dead_since.is_some();
                Ok(true)
            }
            Ok(Received::Nothing) => {
                self.readable = false;
                Ok(false)
            }
            Ok(Received::End) | Err(_) => {
                self.readable = false;
                self.ended_since.get_or_insert_with(Instant::now);
                Ok(false)
            }
        }
    }
}

/// Counts a result that is the next one, and refuses any other.
fn expect(expected: &mut u32, limit: u32, position: u32) -> Result<(), String> {
    if position != *expected || position >= limit {
        return Err(format!("a result for position {position} came instead of {expected}"));
    }
    *expected += 1;
    Ok(())
}

/// Refuses what no worker sends as soon as its header is there: the body that a stray header claims may never come, and
/// its task would seem to run for ever.
fn check_header(header: &Header) -> Result<(), String> {
    match header.kind {
        Kind::Unready | Kind::Result | Kind::Farewell => Ok(()),
        Kind::LargeResult if header.length as usize <= MARKS => Ok(()),
        Kind::Bell | Kind::Ready | Kind::Descriptors if header.length == 0 => Ok(()),
        kind => Err(format!("a worker must not send {kind:?} with {} byte(s)", header.length)),
    }
}
