//! Waiting awake. What short tasks make comes sooner than a thread can go to sleep and be woken, above all where an idle processor is a
//! virtual one: so a [guest](super::guest) looks for it, for [`SOON`], and workers that know of it ring their [bell](crate::wire::bell) instead of
//! writing a frame.

use std::io;
use std::time::{Duration, Instant};

use super::core::Core;
use super::dispatch::SOON;
use super::driver::Supervisor;
use super::link::Link;
use crate::wire::bell;

/// So long may results lie in a ring while somebody is awake, though nobody rings: in that time many tiny tasks end, and reading them
/// early leaves less to do when the last has ended. Looking costs their worker a cache line.
const GATHERING: Duration = Duration::from_micros(20);

impl Supervisor {
    /// Waits until something has happened or has to be done, awake if that is soon; what is not in `tokens` is found by taking a turn.
    pub(super) fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        let mut core = self.lock();
        let (awake, look) = (core.stay_awake(), core.next_look());
        drop(core);
        let left = || look.map(|look| look.saturating_duration_since(Instant::now()));
        if awake {
            let mut gathered = Instant::now();
            let has_news = || {
                let gathering = gathered.elapsed() < GATHERING;
                if !gathering {
                    gathered = Instant::now();
                }
                self.lock().has_news(!gathering)
            };
            if self.poller.look(SOON, left(), tokens, has_news)? {
                return Ok(());
            }
        }
        tokens.clear();
        if self.lock().may_sleep() { self.poller.wait(left(), tokens) } else { Ok(()) }
    }
}

impl Core {
    /// Whether what workers have in flight ends soon. If so, they ring from now on.
    fn stay_awake(&mut self) -> bool {
        let soon = self.state.ends_soon(self.started.elapsed());
        if soon {
            self.awake = true;
            self.links.values_mut().filter(|link| link.busy() && !link.watched).for_each(Link::watch);
        }
        soon
    }

    /// Whether a worker has rung, or, if nobody has to, whether there are results.
    fn has_news(&self, unannounced: bool) -> bool {
        self.links.values().any(|link| link.has_rung() || (unannounced && link.has_results()))
    }

    /// Whether whoever drives may go to sleep, as nobody has rung whom it has not heard. From now on workers write frames.
    pub(super) fn may_sleep(&mut self) -> bool {
        if !std::mem::take(&mut self.awake) {
            return true;
        }
        let watched = self.links.values_mut().filter(|link| link.watched);
        watched.map(Link::unwatch).filter(|quiet| !quiet).count() == 0
    }
}

impl Link {
    fn watch(&mut self) {
        self.watched = true;
        bell::watch(self.results.page().watched());
    }

    /// Whether it has not rung since it was last heard.
    fn unwatch(&mut self) -> bool {
        self.watched = false;
        let page = self.results.page();
        bell::unwatch(page.bell(), page.watched(), self.heard, bell::barrier)
    }

    fn has_rung(&self) -> bool {
        self.watched && bell::count(self.results.page().bell()) != self.heard
    }

    fn has_results(&self) -> bool {
        self.watched && self.results.peek() != Ok(None)
    }
}
