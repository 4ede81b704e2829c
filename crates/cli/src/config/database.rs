//! What a run has to do with a database.

use super::settings::Settings;
use crate::exit::Abort;
use ganger_db::{Destination, Url};

/// Says where records come from, and perhaps where results go.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: Url,
    pub(crate) query: String,
    pub(crate) destination: Option<Destination>,
}

/// These say something about files, which a query has no use for,
const OF_INPUT: [&str; 6] = ["input", "format", "no-header", "delimiter", "null", "short-rows"];
/// and these about results on the way to one.
const OF_OUTPUT: [&str; 3] = ["output", "output-format", "keep"];

impl Database {
    /// Reads the settings; `None` is a run without a database.
    pub(super) fn parse(settings: &Settings) -> Result<Option<Self>, Abort> {
        if let Some(empty) = ["input-sql", "output-sql", "key"].into_iter().find(|name| settings.text(name) == Some(""))
        {
            return Err(settings.wrong(empty, "is empty"));
        }
        let parsed = settings.text("db").map(Url::parse).transpose();
        let url = parsed.map_err(|error| settings.wrong("db", error))?;
        match (url, settings.text("input-sql")) {
            (Some(url), Some(query)) => {
                refuse(settings, &OF_INPUT, "is about files, and --input-sql is none")?;
                let destination = destination(settings)?;
                Ok(Some(Self { url, query: query.to_owned(), destination }))
            }
            (url, _) => without_query(settings, url.is_some()).map(|()| None),
        }
    }
}

/// Refuses what is left without a query to read. A variable that is not the whole of it may be set for other runs.
fn without_query(settings: &Settings, has_url: bool) -> Result<(), Abort> {
    let needs_url = ["input-sql", "output-sql"].into_iter().find(|name| settings.is_flag(name));
    match needs_url {
        Some(name) if !has_url => Err(settings.wrong(name, "needs --db, which names the database")),
        Some(name) => Err(settings.wrong(name, "needs --input-sql: the key of a result is that of its row")),
        None => {
            let idle = ["db", "key"].into_iter().find(|name| settings.is_flag(name));
            idle.map_or(Ok(()), |name| Err(settings.wrong(name, "means nothing without --input-sql")))
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
