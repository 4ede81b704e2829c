//! Claims rows, some at a time, as long as the list has any.

use super::appetite::Appetite;
use super::{Claim, Held};
use crate::error::{Error, ErrorKind};
use crate::postgres::{Claimer, Taken, Which};
use crate::query::{Row, Stop};
use crate::url::{Target, Url};
use crate::value::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reads the rows of a work list, each of which is held from then on.
///
/// The end is that all rows are done or given up, by whomever: as long as others hold some, it waits for what becomes of them.
pub struct Claims {
    claimer: Claimer,
    held: Held,
    stop: Stop,
    appetite: Appetite,
    ready: VecDeque<Taken>,
    columns: Vec<String>,
    key: usize,
    /// The greatest key of the last portion: the next begins behind it, so that what is done is not looked at again each time.
    after: Option<String>,
    /// The row that is held is to be the only one.
    alone: bool,
    pause: Duration,
    number: u64,
}

/// Is a row that was claimed.
#[derive(Debug, PartialEq)]
pub enum Claimed {
    /// It is to be run.
    Row(Row),
    /// It has had all of its attempts, and is dead now, for this reason.
    GivenUp(Row, String),
}

/// While others hold all that is left, it looks again after so long, and each time after twice as long,
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A run that is stopped waits so long for a statement that claims rows: if it were given up, nobody would know which.
const PATIENCE: Duration = Duration::from_secs(3);

impl Claims {
    /// Connects and looks at the table; nothing is claimed yet.
    ///
    /// # Errors
    /// [`Refused`](ErrorKind::Refused) when there is no such table, its key is not unique, or a column is missing: the message has
    /// the statement that mends it.
    pub fn open(url: &Url, held: &Held, stop: Stop) -> Result<Self, Error> {
        let Target::Postgres(config, tls) = &url.target else { return Err(one_machine()) };
        let (claimer, columns) = Claimer::open(config, tls, url, held, patient(stop.clone()))?;
        let Claim { key, workers, .. } = held.claim();
        let place = columns.iter().position(|column| column == key).expect("its key is a column of the list");
        let appetite = Appetite::new(*workers, Instant::now());
        Ok(Self {
            claimer,
            held: held.clone(),
            stop,
            appetite,
            ready: VecDeque::new(),
            columns,
            key: place,
            after: None,
            alone: false,
            pause: FIRST_PAUSE,
            number: 0,
        })
    }

    /// Returns the names of the columns, without those that ganger keeps.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the place of the key among the columns.
    pub fn key(&self) -> usize {
        self.key
    }

    /// Returns the next row; `None` is the end, and stays it.
    ///
    /// # Errors
    /// When the connection is lost, or that of the heart.
    #[expect(clippy::should_implement_trait, reason = "an iterator of results would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Claimed>, Error> {
        while !(self.stop)() {
            self.held.check()?;
            match self.ready.pop_front() {
                Some(taken) if taken.dead.is_some() || self.held.hand_out(&taken.key, Instant::now()) => {
                    return Ok(Some(self.claimed(taken)));
                }
                // Its lease may have run out while it waited here: it goes back.
                Some(_) => {}
                None if self.replenish()? => {}
                None => break,
            }
        }
        self.held.close();
        Ok(None)
    }

    fn claimed(&mut self, taken: Taken) -> Claimed {
        self.number += 1;
        let row = Row { number: self.number, values: taken.values };
        match taken.dead {
            Some(reason) => Claimed::GivenUp(row, reason),
            None => Claimed::Row(row),
        }
    }

    /// Claims rows, or waits until there may be some; `false` when none will ever come.
    fn replenish(&mut self) -> Result<bool, Error> {
        self.claimer.give_back(&self.held)?;
        let news = self.held.news();
        if self.alone && !self.held.is_empty() {
            self.held.wait_for_settlement(news, LONGEST_PAUSE, &self.stop);
            return Ok(true);
        }
        self.alone = false;
        let portion = self.appetite.portion(self.held.in_work(), news.outcomes, Instant::now());
        if portion == 0 {
            self.held.wait_for_outcome(news);
            return Ok(true);
        }
        let from_the_start = self.after.is_none();
        if self.take(portion, Which::Usual)? || !from_the_start {
            return Ok(true);
        }
        self.alone = self.held.is_empty() && self.take(1, Which::Suspect)?;
        if !self.alone {
            if !self.claimer.has_open_rows()? {
                return Ok(false);
            }
            self.held.wait_for_settlement(news, self.pause, &self.stop);
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        }
        Ok(true)
    }

    /// Claims at most so many rows; `false` if there were none.
    fn take(&mut self, count: usize, which: Which) -> Result<bool, Error> {
        let since = Instant::now();
        let taken = self.claimer.claim(self.after.as_deref(), count, which)?;
        let bytes = taken.iter().flat_map(|row| &row.values).map(Value::size).sum();
        self.appetite.learn(taken.len(), bytes);
        // Whether more follows is found out by asking; behind the last, the list begins again.
        self.after = taken.last().map(|row| row.key.clone()).filter(|_| taken.len() == count);
        for row in taken.iter().filter(|row| row.dead.is_none()) {
            self.held.add(&row.key, row.attempt, row.doubtful, since);
        }
        if !taken.is_empty() {
            self.pause = FIRST_PAUSE;
        }
        self.ready.extend(taken);
        Ok(!self.ready.is_empty())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // What is left here is given back by whoever settles rows.
        self.held.close();
    }
}

/// Refuses SQLite.
pub(crate) fn one_machine() -> Error {
    Error::new(ErrorKind::Refused, "a file of SQLite is no work list for several machines")
}

/// Wants no more only when the caller has wanted no more for a while.
fn patient(stop: Stop) -> Stop {
    let since = Mutex::new(None);
    Arc::new(move || {
        stop()
            && since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now).elapsed()
                >= PATIENCE
    })
}
