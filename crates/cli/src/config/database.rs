//! What a run has to do with a database.

use super::options::{number, read};
use super::quantity::{Zero, parse_duration};
use super::settings::Settings;
use crate::exit::Abort;
use ganger_db::{Destination, Url};
use std::time::Duration;

/// Says where records come from, and perhaps where results go.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: Url,
    pub(crate) rows: RowsOf,
    pub(crate) destination: Option<Destination>,
}

/// Says where records come from.
#[derive(Debug, Clone)]
pub(crate) enum RowsOf {
    Query(String),
    List(WorkList),
}

/// Says which table is a work list, and how its rows are claimed. Its key is that of the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkList {
    pub(crate) table: String,
    pub(crate) lease: Duration,
    pub(crate) attempts: u32,
}

/// Beats are so far apart as a third of a lease: in less than a third of a second a busy machine might not come to it.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
/// More attempts than that never end.
const MOST_ATTEMPTS: u64 = 1_000_000;

/// These say something about files, which a query has no use for,
const OF_INPUT: [&str; 6] = ["input", "format", "no-header", "delimiter", "null", "short-rows"];
/// and these about results on the way to one.
const OF_OUTPUT: [&str; 3] = ["output", "output-format", "keep"];

impl Database {
    /// Reads the settings; `None` is a run without a database.
    pub(super) fn parse(settings: &Settings) -> Result<Option<Self>, Abort> {
        const NAMES: [&str; 4] = ["input-sql", "claim", "output-sql", "key"];
        if let Some(empty) = NAMES.into_iter().find(|name| settings.text(name) == Some("")) {
            return Err(settings.wrong(empty, "is empty"));
        }
        let parsed = settings.text("db").map(Url::parse).transpose();
        let url = parsed.map_err(|error| settings.wrong("db", error))?;
        let list = work_list(settings)?;
        match (url, settings.text("input-sql"), list) {
            (Some(_), Some(_), Some(_)) => {
                Err(settings.wrong("claim", "--input-sql is there too: records come from either"))
            }
            (Some(url), Some(query), None) => {
                refuse(settings, &OF_INPUT, "is about files, and --input-sql is none")?;
                let destination = destination(settings)?;
                Ok(Some(Self { url, rows: RowsOf::Query(query.to_owned()), destination }))
            }
            (Some(url), None, Some(list)) => {
                refuse(settings, &OF_INPUT, "is about files, and the rows of --claim are in none")?;
                let destination = Some(destination_of_claim(settings, &url)?);
                Ok(Some(Self { url, rows: RowsOf::List(list), destination }))
            }
            (url, _, _) => without_query(settings, url.is_some()).map(|()| None),
        }
    }
}

/// Reads what is said of a work list, also where there is none: a wrong value is wrong.
fn work_list(settings: &Settings) -> Result<Option<WorkList>, Abort> {
    let lease = read(settings, "lease", |text| match parse_duration(text, Zero::Refused)? {
        short if short < SHORTEST_LEASE => {
            Err(format!("{text:?} is too short: a lease is {SHORTEST_LEASE:?} at least"))
        }
        lease => Ok(lease),
    })?;
    let attempts = number(settings, "attempts", 1..=MOST_ATTEMPTS)?;
    match (settings.text("claim"), lease, attempts) {
        (Some(table), Some(lease), Some(attempts)) => {
            Ok(Some(WorkList { table: table.to_owned(), lease, attempts: attempts as u32 }))
        }
        _ => match ["lease", "attempts"].into_iter().find(|name| settings.is_flag(name)) {
            Some(name) => Err(settings.wrong(name, "means nothing without --claim")),
            None => Ok(None),
        },
    }
}

/// A result and the mark of its row are one transaction, or one of them could be lost: so results are rows, too.
fn destination_of_claim(settings: &Settings, url: &Url) -> Result<Destination, Abort> {
    if url.file().is_some() {
        return Err(settings.wrong(
            "claim",
            "SQLite is for one machine: --input-sql and --output-sql do what is left there, and need no leases",
        ));
    }
    if settings.text("key").is_none() {
        return Err(settings.wrong("claim", "needs --key COLUMN, which tells its rows apart"));
    }
    if settings.text("output-sql").is_none() {
        return Err(settings.wrong(
            "claim",
            "needs --output-sql TABLE: a row is marked as done in the transaction that writes its result, so that none is lost or there twice",
        ));
    }
    Ok(destination(settings)?.expect("both the table and the key are given"))
}

/// Refuses what is left without a query to read. A variable that is not the whole of it may be set for other runs.
fn without_query(settings: &Settings, has_url: bool) -> Result<(), Abort> {
    let needs_url = ["input-sql", "claim", "output-sql"].into_iter().find(|name| settings.is_flag(name));
    match needs_url {
        Some(name) if !has_url => Err(settings.wrong(name, "needs --db, which names the database")),
        Some(name) => Err(settings.wrong(name, "needs --input-sql or --claim: the key of a result is that of its row")),
        None => {
            let idle = ["db", "key"].into_iter().find(|name| settings.is_flag(name));
            idle.map_or(Ok(()), |name| Err(settings.wrong(name, "means nothing without --input-sql or --claim")))
        }
    }
}

fn destination(settings: &Settings) -> Result<Option<Destination>, Abort> {
    match (settings.text("output-sql"), settings.text("key")) {
        (Some(table), Some(key)) => {
            refuse(settings, &OF_OUTPUT, "is about results that are written to a file, and --output-sql writes rows")?;
            Ok(Some(Destination { table: table.to_owned(), key: key.to_owned() }))
        }
        (Some(_), None) => Err(settings.wrong("output-sql", "needs --key COLUMN, which tells its rows apart")),
        (None, Some(_)) if settings.is_flag("key") => Err(settings.wrong("key", "means nothing without --output-sql")),
        (None, _) => Ok(None),
    }
}

/// Refuses flags of this command line that have no effect.
fn refuse(settings: &Settings, names: &[&str], problem: &str) -> Result<(), Abort> {
    match names.iter().find(|name| settings.is_flag(name)) {
        Some(name) => Err(settings.wrong(name, problem)),
        None => Ok(()),
    }
}
