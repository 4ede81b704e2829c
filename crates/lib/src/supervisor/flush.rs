//! Writing to workers what the actions have queued for them.

use std::io;

use ganger_os::poll::Interest;

use super::core::Core;
use super::event::WorkerId;
use super::token::Token;

impl Core {
    /// Writes what the actions have queued.
    pub(crate) fn flush(&mut self) {
        let mut workers = std::mem::take(&mut self.unflushed);
        let mut again = Vec::new();
        for worker in workers.drain(..) {
            // One that is not read any more is dead or about to be killed, and nobody would say when it has room.
            let Some(link) = self.links.get_mut(&worker).filter(|link| link.is_read()) else { continue };
            if link.watched_for_room && !std::mem::take(&mut link.stirred) {
                // It was full, and the poller has not said otherwise.
                continue;
            }
            let more = match link.flush() {
                Ok(more) => more,
                // The worker is dead or dying, which its pidfd reports.
                Err(error) if is_gone(&error) => false,
                Err(_) => {
                    // The kernel is short of memory: it is tried again at the next look.
                    again.push(worker);
                    continue;
                }
            };
            if more != link.watched_for_room {
                let interest = if more { Interest::ReadWrite } else { Interest::Read };
                if self.poller.change(&link.socket, Token::Link(link.id).to_u64(), interest).is_ok() {
                    link.watched_for_room = more;
                } else {
                    // Nobody would say when there is room: it is tried again at the next look.
                    again.push(worker);
                }
            }
        }
        self.unflushed = workers;
        self.unflushed.append(&mut again);
    }

    pub(super) fn flush_later(&mut self, worker: WorkerId) {
        self.unflushed.push(worker);
    }
}

/// Whether an error of a link says that nobody is at its other end.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}
