//! Remembers each record from its reading to its outcome.
//!
//! The reader and the consumer of outcomes run on different threads; what they share is here. The engine bounds how far it
//! reads ahead, and with it how much is remembered.

use crate::bind::{Kept, KeptNames};
use crate::exit::Abort;
use ganger_db::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Is what the output needs to know of a record.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) place: Place,
    /// How many bytes of the input the record took, for the progress bar.
    pub(crate) bytes: u64,
    pub(crate) kept: Kept,
    pub(crate) trouble: Option<Trouble>,
    /// What tells its row apart in a database.
    pub(crate) key: Option<Value>,
}

/// Names the line on which a record starts.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    pub(crate) line: u64,
    /// Says which row of a work list it is: there a number means nothing.
    pub(crate) label: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "{}, {label}", self.file),
            None => write!(f, "{}:{}", self.file, self.line),
        }
    }
}

/// Says why a record has no payload.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The record is wrong.
    Bad(String),
    /// Nothing can be read from here on.
    Fatal(Abort),
}

/// Counts rows that were left out.
#[derive(Debug, Default, Clone)]
pub(crate) struct Skipped {
    pub(crate) count: u64,
    /// The first few.
    pub(crate) places: Vec<Place>,
}

impl Skipped {
    /// So many places are named; more would be no summary.
    const NAMED: usize = 5;

    fn add(&mut self, place: Place) {
        self.count += 1;
        if self.places.len() < Self::NAMED {
            self.places.push(place);
        }
    }
}

/// Counts rows of a work list whose lease was lost before their outcome could be written.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lost {
    pub(crate) count: u64,
    /// The first few, by their keys.
    pub(crate) rows: Vec<String>,
}

/// Is shared by the reader and the consumer of outcomes.
#[derive(Debug, Default)]
pub(crate) struct Flight(Mutex<State>);

/// Counts what became of records.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    /// Read, and not begun when the run was stopped.
    pub(crate) not_run: u64,
    /// Begun, and killed as the run was stopped.
    pub(crate) killed: u64,
    /// Rows that were not run, since their results are in the table.
    pub(crate) present: u64,
    /// Rows of a work list that have failed and are free for another attempt.
    pub(crate) again: u64,
    /// Rows of a work list that others may have run before.
    pub(crate) doubtful: u64,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<u64, Context>,
    tally: Tally,
    /// What ran when the run was killed.
    killed: BTreeSet<u64>,
    skipped: Skipped,
    lost: Lost,
    kept_names: KeptNames,
}

impl Flight {
    /// Remembers the record of payload `index`.
    pub(super) fn depart(&self, index: u64, context: Context) {
        self.state().records.insert(index, context);
    }

    /// Hands back the record of payload `index`.
    pub(super) fn arrive(&self, index: u64) -> Context {
        self.state().records.remove(&index).expect("an outcome comes once for each payload that was read")
    }

    /// Tells whether no record is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.state().records.is_empty()
    }

    /// Returns how many records are on their way.
    pub(super) fn len(&self) -> u64 {
        self.state().records.len() as u64
    }

    /// Returns where the record of payload `index` is from, while it is on its way.
    pub(super) fn place(&self, index: u64) -> Option<Place> {
        self.state().records.get(&index).map(|context| context.place.clone())
    }

    /// Counts a record.
    pub(super) fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.state().tally);
    }

    pub(super) fn tally(&self) -> Tally {
        self.state().tally
    }

    /// Describes the records of a run of which so many run now.
    pub(super) fn state_line(&self, running: u64, elapsed: Duration) -> String {
        let Tally { ok, failed, not_run, .. } = self.tally();
        let waiting = self.len().saturating_sub(running);
        let not_run = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
        format!(
            "state: {ok} ok, {failed} failed{not_run}, {running} running, {waiting} waiting after {:.2} s",
            elapsed.as_secs_f64()
        )
    }

    /// Notes which payloads were begun when the run was killed.
    pub(super) fn kill(&self, indices: impl IntoIterator<Item = u64>) {
        self.state().killed.extend(indices);
    }

    /// Tells whether payload `index` was begun when the run was killed.
    pub(super) fn was_killed(&self, index: u64) -> bool {
        self.state().killed.contains(&index)
    }

    /// Notes a row whose lease was lost.
    pub(super) fn lose(&self, row: String) {
        let lost = &mut self.state().lost;
        lost.count += 1;
        if lost.rows.len() < Skipped::NAMED {
            lost.rows.push(row);
        }
    }

    pub(super) fn lost(&self) -> Lost {
        self.state().lost.clone()
    }

    pub(super) fn skip(&self, place: Place) {
        self.state().skipped.add(place);
    }

    pub(super) fn skipped(&self) -> Skipped {
        self.state().skipped.clone()
    }

    /// Notes the kept columns, for the header of an output without records.
    pub(super) fn set_kept_names(&self, names: KeptNames) {
        self.state().kept_names = names;
    }

    pub(super) fn kept_names(&self) -> KeptNames {
        self.state().kept_names.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
