//! Opens an input and plans how its records become arguments.

use super::feed::Rules;
use crate::bind::{Binder, KeptNames, Plan};
use crate::config::Database;
use crate::exit::{Abort, BAD_RECORD};
use crate::halt::Halt;
use crate::input::{Format, Reader, Record, RecordError, Source, SqlReader};
use ganger_db::Held;
use std::sync::Arc;

/// Is an input that is being read.
pub(super) struct Opened {
    pub(super) reader: Reader,
    pub(super) plan: Plan,
    /// The first row was read to count its cells and is a record itself.
    pub(super) pending: bool,
}

/// Opens `source`; `None` is a CSV file without any row.
pub(super) fn open(source: &Source, binder: &Binder, header: bool, halt: &Arc<Halt>) -> Result<Option<Opened>, Abort> {
    let mut reader = source.open(halt)?;
    let plan = match source.format {
        Format::Lines | Format::Null => binder.lines()?,
        Format::Json => binder.json()?,
        Format::Sql => unreachable!("a query is opened once, by open_rows"),
        Format::Csv(_) => {
            let Some(first) = first_row(source, &mut reader)? else {
                return Ok(None);
            };
            let names = if header { first } else { (1..=first.len()).map(|number| number.to_string()).collect() };
            binder.rows(&source.name, &names)?
        }
    };
    let pending = matches!(source.format, Format::Csv(_)) && !header;
    Ok(Some(Opened { reader, plan, pending }))
}

/// Runs the query or looks at the work list, and plans by the names of its columns.
pub(super) fn open_rows(
    database: &Database,
    held: Option<&Held>,
    binder: &Binder,
    halt: &Arc<Halt>,
) -> Result<(Source, Opened), Abort> {
    let (source, rows) = (Source::of_rows(&database.rows), SqlReader::open(database, held, halt)?);
    let plan = binder.rows(&source.name, rows.columns())?;
    Ok((source, Opened { reader: Reader::Sql(rows), plan, pending: false }))
}

fn first_row(source: &Source, reader: &mut Reader) -> Result<Option<Vec<String>>, Abort> {
    let problem = match reader.next() {
        Ok(Some(Record::Row(row))) => return Ok(Some(row.iter().map(str::to_owned).collect())),
        Ok(_) => return Ok(None),
        Err(RecordError::Unreadable(error)) => return Err(Abort::reading(&source.name, &error)),
        Err(RecordError::Ended(abort)) => return Err(abort),
        Err(RecordError::Bad(problem)) => problem,
    };
    Err(Abort::new(BAD_RECORD, format!("{}:{}: {problem}", source.name, reader.line())))
}

/// Finds what is wrong with the inputs and their columns before a task runs, as far as they can be read twice.
pub(super) fn check(sources: &[Source], binder: &Binder, rules: Rules, halt: &Arc<Halt>) -> Result<(), Abort> {
    let mut names = KeptNames::default();
    for source in sources {
        match source.format {
            Format::Csv(_) if source.regular.is_some() => {
                if let Some(opened) = open(source, binder, rules.header, halt)? {
                    names = rules.next_names(names, &opened.plan, source)?;
                }
            }
            Format::Csv(_) => {}
            Format::Lines | Format::Null => drop(binder.lines()?),
            Format::Json => drop(binder.json()?),
            // Its connection must be opened after the workers were started.
            Format::Sql => {}
        }
    }
    Ok(())
}
