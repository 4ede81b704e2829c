//! What a gang holds of a work list.
//!
//! Three threads share it: one claims rows and hands them out, one settles them, and the heart extends their leases.

use super::Claim;
use crate::error::Error;
use crate::query::Stop;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Is what a gang holds of a work list. A clone is the same.
#[derive(Debug, Clone)]
pub struct Held(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    claim: Claim,
    holder: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By the text of their keys.
    rows: HashMap<String, Hold>,
    /// Some of them are to be given back.
    returning: bool,
    news: News,
    /// Rows that were handed out, and that somebody else may have run before.
    doubtful: u64,
    /// Nothing can be handed out before something is settled.
    urgent: bool,
    /// No row is handed out any more.
    closed: bool,
    /// The run is over.
    ended: bool,
    /// Why leases cannot be extended.
    broken: Option<Error>,
}

/// Counts what whoever waits may wait for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    pub(super) outcomes: u64,
    pub(super) settled: u64,
}

/// Is one row that is held.
#[derive(Debug)]
struct Hold {
    attempt: i32,
    doubtful: bool,
    /// It is held from here on for as long as the lease is.
    since: Instant,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Claimed,
    HandedOut,
    /// Its outcome is here, and is to be written.
    Finished,
    /// It was not begun, and is to be given back.
    Returning,
}

/// Is a row that is given back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) key: String,
    pub(crate) attempt: i32,
    pub(crate) doubtful: bool,
}

/// So often whoever waits asks whether to go on.
const LOOK: Duration = Duration::from_millis(100);

impl Held {
    /// Holds nothing yet. The name of the holder is this host's, the process's number, and something that no other process has.
    pub fn new(claim: &Claim) -> Self {
        // Without a name it is still a holder that nobody else is.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let random = RandomState::new().build_hasher().finish();
        let holder = format!("{}:{}:{random:016x}", host.trim(), std::process::id());
        Self(Arc::new(Shared { claim: claim.clone(), holder, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Tells whether the attempt that this row is held for is the last it has. A row that is not held has none.
    pub fn is_last_attempt(&self, key: &str) -> bool {
        let most = i32::try_from(self.claim().attempts).unwrap_or(i32::MAX);
        self.attempt(key).is_none_or(|attempt| attempt >= most)
    }

    /// Returns which attempt this row is held for.
    pub(crate) fn attempt(&self, key: &str) -> Option<i32> {
        self.state().rows.get(key).map(|hold| hold.attempt)
    }

    /// Returns how many rows were handed out whose lease had run out at somebody else, who may have run them.
    pub fn doubtful(&self) -> u64 {
        self.state().doubtful
    }

    /// Waits until no row is claimed any more, at most so long.
    pub(crate) fn wait_until_closed(&self, limit: Duration) {
        let state = self.state();
        drop(self.0.changed.wait_timeout_while(state, limit, |state| !state.closed));
    }

    /// Fails when leases cannot be extended any more.
    ///
    /// # Errors
    /// With what the heart has met.
    pub fn check(&self) -> Result<(), Error> {
        self.state().broken.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn claim(&self) -> &Claim {
        &self.0.claim
    }

    pub(crate) fn holder(&self) -> &str {
        &self.0.holder
    }

    /// Adds a row that was claimed by a statement that began at `since`.
    pub(super) fn add(&self, key: &str, attempt: i32, doubtful: bool, since: Instant) {
        let hold = Hold { attempt, doubtful, since, stage: Stage::Claimed };
        self.state().rows.insert(key.to_owned(), hold);
    }

    /// Hands out a row; `false` if its lease may have run out meanwhile, so that it goes back instead.
    pub(super) fn hand_out(&self, key: &str, now: Instant) -> bool {
        let lease = self.claim().lease;
        let mut state = self.state();
        let Some(hold) = state.rows.get_mut(key) else { return false };
        let fresh = now.saturating_duration_since(hold.since) < lease;
        hold.stage = if fresh { Stage::HandedOut } else { Stage::Returning };
        let doubtful = fresh && hold.doubtful;
        state.returning |= !fresh;
        state.doubtful += u64::from(doubtful);
        state.urgent = false;
        fresh
    }

    /// Notes that a row's outcome is here.
    pub(crate) fn finish(&self, key: &str) {
        let mut state = self.state();
        state.news.outcomes += 1;
        if let Some(hold) = state.rows.get_mut(key) {
            hold.stage = Stage::Finished;
        }
        self.0.changed.notify_all();
    }

    /// Has a row that was handed out given back: it was not begun, or was ended by the end of the run.
    pub(crate) fn put_back(&self, key: &str, begun: bool) {
        let mut state = self.state();
        if let Some(hold) = state.rows.get_mut(key) {
            hold.stage = Stage::Returning;
            let certain = hold.doubtful && !begun;
            hold.doubtful |= begun;
            state.doubtful -= u64::from(certain);
            state.returning = true;
        }
    }

    /// Has everything given back that has no outcome, or one that could not be written: nobody runs it any more, and some of it
    /// was begun.
    pub(crate) fn put_back_all(&self) {
        let mut state = self.state();
        state.returning = true;
        for hold in state.rows.values_mut().filter(|hold| hold.stage != Stage::Returning) {
            (hold.stage, hold.doubtful) = (Stage::Returning, true);
        }
    }

    /// Forgets rows that are settled. One that is free again may have been claimed anew meanwhile: that attempt stays.
    pub(crate) fn settle(&self, keys: &[String], attempts: &[i32]) {
        let mut state = self.state();
        state.news.settled += 1;
        for (key, attempt) in keys.iter().zip(attempts) {
            if state.rows.get(key).is_some_and(|hold| hold.attempt == *attempt) {
                state.rows.remove(key);
            }
        }
        self.0.changed.notify_all();
    }

    /// Takes the rows that are to be given back.
    pub(crate) fn take_returned(&self) -> Vec<Returned> {
        let returning = |_: &String, hold: &mut Hold| hold.stage == Stage::Returning;
        let mut state = self.state();
        if !std::mem::take(&mut state.returning) {
            return Vec::new();
        }
        let taken = state.rows.extract_if(returning).collect::<Vec<_>>();
        taken.into_iter().map(|(key, Hold { attempt, doubtful, .. })| Returned { key, attempt, doubtful }).collect()
    }

    pub(crate) fn has_returned(&self) -> bool {
        self.state().returning
    }

    /// Returns the rows whose leases are to be extended, and their attempts.
    pub(super) fn beating(&self) -> (Vec<String>, Vec<i32>) {
        let state = self.state();
        let held = state.rows.iter().filter(|(_, hold)| hold.stage != Stage::Returning);
        held.map(|(key, hold)| (key.clone(), hold.attempt)).unzip()
    }

    /// Notes that these leases were extended by a statement that began at `since`.
    pub(super) fn extend(&self, keys: &[String], since: Instant) {
        let mut state = self.state();
        for key in keys {
            if let Some(hold) = state.rows.get_mut(key) {
                hold.since = hold.since.max(since);
            }
        }
    }

    /// Returns how many rows are claimed, or run.
    pub(super) fn in_work(&self) -> usize {
        let in_work = |hold: &&Hold| matches!(hold.stage, Stage::Claimed | Stage::HandedOut);
        self.state().rows.values().filter(in_work).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().rows.is_empty()
    }

    pub(super) fn news(&self) -> News {
        self.state().news
    }

    /// Waits for an outcome after those that `seen` counts, for a moment at most.
    pub(super) fn wait_for_outcome(&self, seen: News) {
        let state = self.state();
        let old = |state: &mut State| state.news.outcomes == seen.outcomes;
        drop(self.0.changed.wait_timeout_while(state, LOOK, old));
    }

    /// Waits until a row is settled after those that `seen` counts, until `limit` is over or the caller is stopped. Until
    /// something is handed out again, results are written without delay.
    pub(super) fn wait_for_settlement(&self, seen: News, limit: Duration, stop: &Stop) {
        let end = Instant::now() + limit;
        let mut state = self.state();
        state.urgent = true;
        while state.news.settled == seen.settled && !stop() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.changed.wait_timeout(state, left.min(LOOK));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells whether what is finished is to be written without delay.
    pub(crate) fn is_urgent(&self) -> bool {
        self.claim().at_once || self.state().urgent
    }

    /// Hands out nothing any more; what is left goes back.
    pub(super) fn close(&self) {
        let mut state = self.state();
        (state.closed, state.returning) = (true, true);
        state.rows.values_mut().filter(|hold| hold.stage == Stage::Claimed).for_each(|hold| {
            hold.stage = Stage::Returning;
        });
        self.0.changed.notify_all();
    }

    pub(super) fn break_off(&self, error: Error) {
        self.state().broken = Some(error);
        self.0.changed.notify_all();
    }

    pub(super) fn end(&self) {
        self.state().ended = true;
        self.0.changed.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Waits until then; `true` if the run ends before.
    pub(super) fn ends_before(&self, due: Instant) -> bool {
        let state = self.state();
        let left = due.saturating_duration_since(Instant::now());
        let waited = self.0.changed.wait_timeout_while(state, left, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(lease: Duration) -> Held {
        let (table, key) = ("t".to_owned(), "id".to_owned());
        let held = Held::new(&Claim { table, key, lease, attempts: 2, workers: 1, at_once: false });
        let now = Instant::now();
        held.add("a", 1, false, now);
        held.add("b", 2, true, now);
        held
    }

    fn returned(held: &Held) -> Vec<(String, i32, bool)> {
        let mut rows: Vec<_> =
            held.take_returned().into_iter().map(|row| (row.key, row.attempt, row.doubtful)).collect();
        rows.sort();
        rows
    }

    #[test]
    fn what_was_not_begun_goes_back_and_is_in_doubt_no_more() {
        let (held, now) = (held(Duration::from_secs(60)), Instant::now());
        assert!(held.hand_out("b", now) && !held.hand_out("c", now));
        assert_eq!((held.doubtful(), held.in_work()), (1, 2));
        held.put_back("b", false);
        held.close();
        assert_eq!((held.doubtful(), held.in_work()), (0, 0));
        assert_eq!(returned(&held), [("a".to_owned(), 1, false), ("b".to_owned(), 2, true)]);
        assert!(held.is_empty() && !held.has_returned());
    }

    #[test]
    fn what_was_begun_and_not_ended_is_in_doubt_from_then_on() {
        let (held, now) = (held(Duration::from_secs(60)), Instant::now());
        assert!(held.hand_out("a", now) && held.hand_out("b", now));
        held.put_back("a", true);
        held.put_back_all();
        assert_eq!(held.doubtful(), 1);
        assert_eq!(returned(&held), [("a".to_owned(), 1, true), ("b".to_owned(), 2, true)]);
    }

    #[test]
    fn what_runs_or_is_to_be_written_is_held_until_it_is_settled() {
        let (held, now) = (held(Duration::from_secs(60)), Instant::now());
        assert!(held.hand_out("a", now) && held.hand_out("b", now));
        held.finish("b");
        held.close();
        assert_eq!((held.in_work(), held.beating().0.len(), held.news().outcomes), (1, 2, 1));
        assert!(!held.is_last_attempt("a") && held.is_last_attempt("b") && held.is_last_attempt("c"));
        held.settle(&["b".to_owned()], &[2]);
        assert_eq!((held.attempt("a"), held.attempt("b"), returned(&held)), (Some(1), None, Vec::new()));
        // It has failed, is free, and was claimed again before that is noted here.
        held.add("a", 2, false, now);
        held.settle(&["a".to_owned()], &[1]);
        assert!(held.attempt("a") == Some(2) && held.hand_out("a", now));
    }

    #[test]
    fn a_lease_that_may_have_run_out_is_handed_out_after_a_beat_only() {
        let held = held(Duration::from_secs(60));
        let beat = Instant::now() + Duration::from_secs(50);
        let later = beat + Duration::from_secs(50);
        assert!(!held.hand_out("a", later));
        assert_eq!(held.beating(), (vec!["b".to_owned()], vec![2]));
        held.extend(&["b".to_owned()], beat);
        assert!(held.hand_out("b", later));
    }
}
