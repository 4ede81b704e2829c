//! Looks at a table that is to be a work list.

use super::super::schema::{Column, find, is_unique};
use super::super::session::Session;
use crate::claim::{BOOKKEEPING, Bookkeeping, Claim};
use crate::error::Error;
use crate::table::{Destination, no_key, not_unique};
use crate::value::{listed, quoted};

/// Is a table that can be a work list.
pub(super) struct List {
    /// Its name, ready for a statement.
    pub(super) table: String,
    pub(super) key: Column,
    /// Its columns, the key among them, without those that ganger keeps.
    pub(super) columns: Vec<Column>,
}

/// All columns: what is only read may be generated.
const COLUMNS: &str = "\
SELECT attname::text, format_type(atttypid, -1), attnotnull FROM pg_attribute
WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// Finds the table, and that it has all it needs. Nothing is changed: the message has the statement that does it.
pub(super) fn inspect(session: &Session, claim: &Claim) -> Result<List, Error> {
    let Claim { table, key, .. } = claim;
    let destination = Destination { table: table.clone(), key: key.clone() };
    let Some((name, id)) = find(session, table)? else { return Err(no_list(claim)) };
    let rows = session.run(session.client().query(COLUMNS, &[&id]))?;
    let all: Vec<(Column, bool)> =
        rows.iter().map(|row| (Column { name: row.get(0), kind: row.get(1) }, row.get(2))).collect();
    let Some((key, is_set)) = all.iter().find(|(column, _)| column.name == *key).cloned() else {
        return Err(no_key(&destination, all.iter().map(|(column, _)| column.name.as_str())));
    };
    if !is_unique(session, id, &key.name)? {
        return Err(not_unique(&destination));
    }
    if !is_set {
        let column = quoted(&key.name);
        return Err(Error::refused(format!(
            "the key {:?} of table {table} may be NULL: ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;",
            key.name
        )));
    }
    check(claim, &all)?;
    let is_ours = |column: &Column| BOOKKEEPING.iter().any(|kept| kept.name == column.name);
    let columns = all.into_iter().map(|(column, _)| column).filter(|column| !is_ours(column)).collect();
    Ok(List { table: name, key, columns })
}

/// What is counted is never missing.
const ATTEMPTS: &str = "attempts";

/// Checks the columns that ganger keeps.
fn check(claim: &Claim, all: &[(Column, bool)]) -> Result<(), Error> {
    let Claim { table, key, .. } = claim;
    let found = |kept: &Bookkeeping| all.iter().find(|(column, _)| column.name == kept.name);
    let missing: Vec<&Bookkeeping> = BOOKKEEPING.iter().filter(|kept| found(kept).is_none()).collect();
    if !missing.is_empty() {
        let key = quoted(key);
        return Err(Error::refused(format!(
            "table {table} lacks columns of a work list: ALTER TABLE {table} {}; and, if it is large, CREATE INDEX ON {table} ({key}) \
             WHERE done_at IS NULL AND dead IS NULL;",
            additions(&missing)
        )));
    }
    for kept in &BOOKKEEPING {
        if let Some((column, _)) = found(kept).filter(|(column, _)| column.kind != kept.kind) {
            return Err(Error::refused(format!(
                "column {:?} of table {table} is of the type {}, and that of a work list is of the type {}",
                kept.name, column.kind, kept.kind
            )));
        }
    }
    if all.iter().any(|(column, is_set)| column.name == ATTEMPTS && !is_set) {
        return Err(Error::refused(format!(
            "column \"{ATTEMPTS}\" of table {table} may be NULL: UPDATE {table} SET {ATTEMPTS} = 0 WHERE {ATTEMPTS} IS NULL; \
             ALTER TABLE {table} ALTER COLUMN {ATTEMPTS} SET DEFAULT 0, ALTER COLUMN {ATTEMPTS} SET NOT NULL;"
        )));
    }
    Ok(())
}

fn additions(columns: &[&Bookkeeping]) -> String {
    let additions: Vec<String> =
        columns.iter().map(|column| format!("ADD COLUMN {} {}", column.name, column.definition)).collect();
    listed(additions.iter().map(String::as_str))
}

fn no_list(claim: &Claim) -> Error {
    let Claim { table, key, .. } = claim;
    let ours: Vec<String> = BOOKKEEPING.iter().map(|column| format!("{} {}", column.name, column.definition)).collect();
    Error::refused(format!(
        "there is no table {table}: CREATE TABLE {table} ({} bigint PRIMARY KEY, {}); with a column for each argument as well",
        quoted(key),
        listed(ours.iter().map(String::as_str))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn problem(columns: &[(&str, &str)]) -> Option<String> {
        let (lease, key) = (Duration::from_secs(1), "id".to_owned());
        let claim = Claim { table: "jobs".to_owned(), key, lease, attempts: 3, workers: 1, at_once: false };
        // Those of a list may be NULL, but for one.
        let column = |(name, kind): &(&str, &str)| {
            (Column { name: (*name).to_owned(), kind: (*kind).to_owned() }, *name != "nullable" && *kind == "integer")
        };
        let all: Vec<(Column, bool)> = columns.iter().map(column).collect();
        check(&claim, &all).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_missing_can_be_pasted() {
        let some =
            [("id", "bigint"), ("claimed_by", "text"), ("done_at", "timestamp with time zone"), ("dead", "text")];
        let told = problem(&some).unwrap();
        let statement =
            "ALTER TABLE jobs ADD COLUMN claimed_until timestamptz, ADD COLUMN attempts int NOT NULL DEFAULT 0;";
        assert!(told.contains(statement), "{told}");
        let rest = [("claimed_until", "timestamp with time zone"), ("attempts", "integer")];
        assert_eq!(problem(&[&some[..], &rest].concat()), None);
    }

    #[test]
    fn a_wrong_type_is_named() {
        let kept = BOOKKEEPING.iter().map(|kept| (kept.name, if kept.name == "dead" { "boolean" } else { kept.kind }));
        let told = problem(&kept.collect::<Vec<_>>()).unwrap();
        assert_eq!(
            told,
            "column \"dead\" of table jobs is of the type boolean, and that of a work list is of the type text"
        );
    }
}
