//! Looks at tables of SQLite. Names are compared as SQLite does: without the case of ASCII letters.

use super::open::explain;
use crate::error::Error;
use crate::table::{Destination, no_key, no_table, not_unique};
use crate::value::quoted;
use rusqlite::Connection;

/// Is a table that is there.
pub(super) struct Schema {
    /// Its name as an identifier.
    pub(super) table: String,
    /// The key's column as an identifier.
    pub(super) key: String,
    /// Its columns that can be written.
    pub(super) columns: Vec<String>,
}

/// Finds a table whose key is unique.
pub(super) fn inspect(connection: &Connection, destination: &Destination) -> Result<Schema, Error> {
    let name = unquoted(&destination.table);
    let columns = names(connection, "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0", &[&name])?;
    if columns.is_empty() {
        return Err(no_table(destination));
    }
    let Some(key) = columns.iter().find(|column| column.eq_ignore_ascii_case(&destination.key)) else {
        return Err(no_key(destination, columns.iter().map(String::as_str)));
    };
    let key = key.clone();
    if names(connection, UNIQUE, &[&name, &key])?.is_empty() {
        return Err(not_unique(destination));
    }
    Ok(Schema { table: quoted(&name), key: quoted(&key), columns })
}

/// A column is unique as the whole primary key, or by an index of its own that leaves no row out.
const UNIQUE: &str = "\
SELECT name FROM pragma_table_info(?1) WHERE pk > 0 AND name = ?2 COLLATE NOCASE
    AND (SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0) = 1
UNION ALL
SELECT i.name FROM pragma_index_list(?1) i WHERE i.\"unique\" AND NOT i.partial
    AND (SELECT count(*) FROM pragma_index_info(i.name)) = 1
    AND (SELECT c.name FROM pragma_index_info(i.name) c) = ?2 COLLATE NOCASE";

fn names(connection: &Connection, sql: &str, values: &[&str]) -> Result<Vec<String>, Error> {
    let found = connection.prepare(sql).and_then(|mut statement| {
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
        rows.collect()
    });
    found.map_err(|error| explain(&error))
}

/// Takes the quotes off an identifier.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_unique_by_itself_and_always() {
        let connection = Connection::open_in_memory().unwrap();
        for (table, unique) in [
            ("(id INTEGER PRIMARY KEY, x)", true),
            ("(id TEXT PRIMARY KEY, x) WITHOUT ROWID", true),
            ("(ID UNIQUE, x)", true),
            ("(id, x, UNIQUE (id))", true),
            ("(id, x)", false),
            ("(id, x, PRIMARY KEY (id, x))", false),
            ("(id, x, UNIQUE (x, id))", false),
            ("(id, x UNIQUE)", false),
        ] {
            connection.execute_batch(&format!("CREATE TABLE \"a t\" {table}")).unwrap();
            let destination = Destination { table: "\"a t\"".to_owned(), key: "id".to_owned() };
            let found = inspect(&connection, &destination).map(|schema| schema.table);
            assert_eq!(found.ok(), unique.then(|| "\"a t\"".to_owned()), "{table}");
            connection.execute_batch("DROP TABLE \"a t\"").unwrap();
        }
        connection.execute_batch("CREATE TABLE t (id, x); CREATE UNIQUE INDEX i ON t (id) WHERE x > 0").unwrap();
        let destination = Destination { table: "t".to_owned(), key: "id".to_owned() };
        let problem = inspect(&connection, &destination).err().unwrap().to_string();
        assert!(problem.ends_with("CREATE UNIQUE INDEX ganger_key ON t (\"id\");"), "{problem}");
    }
}
