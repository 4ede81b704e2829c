//! Extends the leases of what is held, on a thread and a connection of its own.

use super::{Held, one_machine};
use crate::error::{Error, ErrorKind};
use crate::postgres::Beater;
use crate::url::{Target, Url};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Beats as long as it is there.
///
/// When it cannot, [`Held::check`] says why, and the leases run out.
#[derive(Debug)]
pub struct Heart {
    held: Held,
    thread: Option<JoinHandle<()>>,
}

/// So many beats are in a lease: two of them may be late.
const BEATS: u32 = 3;

impl Heart {
    /// Connects, and starts to beat.
    ///
    /// # Errors
    /// When there is no connection to be had, or no thread.
    pub fn start(url: &Url, held: &Held) -> Result<Self, Error> {
        let Target::Postgres(config, tls) = &url.target else { return Err(one_machine()) };
        let theirs = held.clone();
        let beater = Beater::open(config, tls, url, held, Arc::new(move || theirs.has_ended()))?;
        let theirs = held.clone();
        let thread = std::thread::Builder::new().name("ganger-lease".to_owned()).spawn(move || beat(&theirs, &beater));
        let thread =
            thread.map_err(|error| Error::new(ErrorKind::Unreachable, format!("cannot start a thread: {error}")))?;
        Ok(Self { held: held.clone(), thread: Some(thread) })
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.held.end();
        if let Some(thread) = self.thread.take() {
            // It does nothing that panics, and a panic would have been reported on standard error.
            let _ = thread.join();
        }
    }
}

fn beat(held: &Held, beater: &Beater) {
    let mut last = Instant::now();
    while !held.ends_before(next_beat(last, held.claim().lease)) {
        last = Instant::now();
        let (keys, attempts) = held.beating();
        if keys.is_empty() {
            continue;
        }
        match beater.beat(&keys, &attempts) {
            Ok(extended) => held.extend(&extended, last),
            Err(error) if error.kind() == ErrorKind::Stopped => return,
            Err(error) => {
                let what = format!("the leases of table {} cannot be extended", held.claim().table);
                return held.break_off(error.during(what));
            }
        }
    }
}

/// Returns when the beat after the one at `last` is due.
fn next_beat(last: Instant, lease: Duration) -> Instant {
    last + lease / BEATS
}
