//! What a pool, and the pools that its tasks build, may run together.
//!
//! The outermost pool has as many tokens as it has workers, or as it was given; a pool in a worker has the token of the task
//! that built it, and asks the worker's supervisor for more. Each supervisor keeps the account of its own workers alone: what a
//! worker's pools hold it has lent to that worker, and with the worker's death that is back, however deep it had gone.
//!
//! 1. Tasks of the pool itself come first; what is left is lent to workers whose pools want it.
//! 2. `busy workers + lent <= tokens`, always: what is lent is taken off the number of workers that may have tasks.
//! 3. A pool that shares asks for as many as it has use for now, for itself and for the pools in its workers, and gives back what it has no
//!    use for in the same moment. Its first worker stays; others leave when they had no token for a second.
//! 4. Who waits for a token looks every few milliseconds: a page can be looked at, and does not ring. Who gives one back rings.

use std::time::{Duration, Instant};

use super::allowance::Allowance;
use super::core::Core;
use super::event::Event;
use super::link::Link;
use super::state::Phase;
use crate::wire::tokens::{self, Tokens};
use crate::worker::purse::{Member, Standing};

/// Where a pool has its tokens from.
#[derive(Debug)]
pub(crate) enum Source {
    /// It is the outermost: as many as it has workers.
    Workers,
    /// It was given so many for all.
    Given(u32),
    /// The pool of the worker in which it was built.
    Shared(Member),
}

/// A pool's account.
#[derive(Debug)]
pub(super) struct Budget {
    source: Source,
    allowance: Allowance,
    /// When workers that have had no token since are to leave.
    shrinks_at: Option<Instant>,
    /// It waits for tokens.
    looks: bool,
}

/// How often somebody who waits for a token looks for one.
const LOOK: Duration = Duration::from_millis(5);

/// How long a worker stays for which there is no token: starting another costs about a thousandth of that.
const LINGER: Duration = Duration::from_secs(1);

impl Budget {
    pub(super) fn new(source: Source) -> Self {
        let allowance = match source {
            Source::Workers | Source::Given(_) => Allowance::ALL,
            // It has the token of its task as soon as it has a task.
            Source::Shared(_) => Allowance { busy: 0, staff: 1 },
        };
        Self { source, allowance, shrinks_at: None, looks: false }
    }

    /// What is allowed now.
    pub(super) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// When it has to be looked at again.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let look = self.looks.then(|| Instant::now() + LOOK);
        look.into_iter().chain(self.shrinks_at).min()
    }

    /// How many workers there may be if so many may have tasks.
    fn staff(&mut self, busy: u32) -> u32 {
        if !matches!(self.source, Source::Shared(_)) {
            return u32::MAX;
        }
        let (now, wanted) = (Instant::now(), busy.max(1));
        let before = self.allowance.staff;
        if wanted >= before {
            self.shrinks_at = None;
            return wanted;
        }
        let at = *self.shrinks_at.get_or_insert(now + LINGER);
        if now < at {
            return before;
        }
        self.shrinks_at = None;
        wanted
    }
}

impl Link {
    /// What the pools in this worker hold, and what they want.
    fn tokens(&mut self) -> Tokens {
        let Tokens { wanted, held } = tokens::read(self.results.page().tokens());
        self.lent = self.lent.min(held);
        Tokens { wanted, held: self.lent }
    }

    fn lend(&mut self) -> bool {
        let lent = tokens::lend(self.results.page().tokens(), self.lent);
        self.lent += u32::from(lent);
        lent
    }
}

impl Core {
    /// Brings the account up to date, after whatever has happened; whether workers may have more tasks than before.
    pub(crate) fn share_out(&mut self) -> bool {
        let before = self.budget.allowance.busy;
        let (lent, wanted) = self.in_workers();
        if lent == 0 && wanted == 0 && matches!(self.budget.source, Source::Workers) && before == u32::MAX {
            return false;
        }
        let tokens = self.tokens(wanted);
        self.allow(tokens.saturating_sub(lent));
        let free = tokens.saturating_sub(lent).saturating_sub(self.state.busy() + self.state.demand());
        if wanted > lent && free > 0 {
            let more = self.lend(free);
            self.allow(tokens.saturating_sub(lent + more));
        }
        self.budget.allowance.busy > before
    }

    /// What the pools in all workers hold, and what they want.
    fn in_workers(&mut self) -> (u32, u32) {
        let each = self.links.values_mut().filter(|link| link.ready).map(Link::tokens);
        each.fold((0, 0), |(held, wanted), it| (held + it.held, u32::saturating_add(wanted, it.wanted)))
    }

    /// How many tokens the pool has now, if the pools in its workers have a use for `nested`.
    fn tokens(&mut self, nested: u32) -> u32 {
        let over = matches!(self.state.phase(), Phase::Finished | Phase::Broken);
        let wanted =
            if over { 0 } else { self.state.busy().saturating_add(self.state.demand()).saturating_add(nested) };
        match &self.budget.source {
            Source::Workers => self.state.places(),
            Source::Given(tokens) => *tokens,
            Source::Shared(member) => {
                let Standing { held, settled } = member.update(wanted);
                self.budget.looks = !settled;
                held
            }
        }
    }

    fn allow(&mut self, busy: u32) {
        // As long as nobody shares it, a pool's budget is the number of its workers, however many these are.
        let all = matches!(self.budget.source, Source::Workers) && busy >= self.state.places();
        let busy = if all { u32::MAX } else { busy };
        let allowance = Allowance { busy, staff: self.budget.staff(busy) };
        if allowance != self.budget.allowance {
            self.budget.allowance = allowance;
            self.handle(Event::Allowed(allowance));
        }
    }

    /// Lends up to `free` tokens, in turn to each worker whose pools want one; how many were lent.
    fn lend(&mut self, free: u32) -> u32 {
        let mut lent = 0;
        loop {
            let round = lent;
            for link in self.links.values_mut().filter(|link| link.ready && link.dead_since.is_none()) {
                if lent == free {
                    return lent;
                }
                lent += u32::from(link.lend());
            }
            if lent == round {
                return lent;
            }
        }
    }
}
