//! Rows of SQLite as records, and results as rows.

use crate::harness::{METHODS, Place, finish};
use crate::processes::{marked, targets, wait_until};
use crate::running::{Finished, Running};
use nix::sys::signal::Signal;
use rusqlite::Connection;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Makes a database of 2,000 rows, some without a value, and a table for results.
fn database(place: &Place) -> Connection {
    let connection = Connection::open(place.path("a.db")).expect("the directory is writable");
    let rows = "\
        CREATE TABLE n (id INTEGER PRIMARY KEY, temp REAL, dewp REAL, word TEXT);
        WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000)
        INSERT INTO n SELECT i, i / 2.0, CASE WHEN i % 7 THEN i END, 'word ' || i FROM c;
        CREATE TABLE r (id INTEGER PRIMARY KEY, result INTEGER CHECK (result <> 9));";
    connection.execute_batch(rows).expect("the statements are right");
    connection
}

fn mapping(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command();
    command.args(["map", "--db", "sqlite:a.db"]).args(arguments);
    command
}

fn map(place: &Place, arguments: &[&str]) -> Finished {
    finish(mapping(place, arguments), "")
}

/// Starts a run over all 2,000 rows that takes seconds, and waits until results are there.
fn started(place: &Place, connection: &Connection, more: &[&str]) -> Running {
    let run = ["sleep-square", "--arg", "ms=5", "--input-sql", "SELECT id FROM n", "--output-sql", "r", "--key", "id"];
    let running = Running::start(mapping(place, &[&run[..], &["-j", "2"], more].concat()));
    wait_until(LIMIT, || match count(connection, "SELECT count(*) FROM r") {
        0 => Err(running.err()),
        _ => Ok(()),
    });
    running
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).expect("the statement is right")
}

#[test]
fn columns_are_bound_by_name_and_null_is_missing() {
    let place = Place::new("sqlite-bind");
    database(&place);
    let query = "SELECT dewp, temp, id FROM n WHERE id <= 7 ORDER BY id";
    let columns = ["--columns", "temp,dewp", "--arg", "min=1", "--arg", "max=5"];
    for method in METHODS {
        let run = [&["count-in-range", "--input-sql", query, "--start-method", method][..], &columns].concat();
        map(&place, &run).gives(0, EXPECTED, &[]);
    }
    map(&place, &["square", "--input-sql", "SELECT id FROM n LIMIT 2", "--keep", "all", "--output-format", "csv"])
        .gives(0, "id,value\n1,1\n2,4\n", &[]);
}

/// How many of i / 2 and i lie within 1 and 5, without the seventh i.
const EXPECTED: &str = "1\n2\n2\n2\n2\n1\n1\n";

#[test]
fn results_are_written_once_and_a_second_run_does_the_rest() {
    let place = Place::new("sqlite-once");
    let connection = database(&place);
    for log in ["delete", "wal"] {
        connection.pragma_update(None, "journal_mode", log).unwrap();
        connection.execute_batch("DELETE FROM r").unwrap();
        let run = |limit: &str| {
            let query = format!("SELECT id FROM n WHERE id > 3 ORDER BY id LIMIT {limit}");
            map(&place, &["square", "--input-sql", &query, "--output-sql", "r", "--key", "id"])
        };
        run("700").gives(0, "", &["700 ok, 0 failed in"]);
        assert_eq!(count(&connection, "SELECT count(*) FROM r WHERE result = id * id"), 700);
        run("1500").gives(0, "", &["800 ok, 0 failed, 700 there already in"]);
        assert_eq!(count(&connection, "SELECT count(*) FROM r WHERE result = id * id"), 1500);
    }
}

#[test]
fn a_run_that_is_killed_and_repeated_ends_with_each_row_once() {
    let place = Place::new("sqlite-killed");
    let connection = database(&place);
    connection.execute_batch("DROP TABLE r; CREATE TABLE r (id INTEGER PRIMARY KEY, result INTEGER)").unwrap();
    for log in ["delete", "wal"] {
        connection.pragma_update(None, "journal_mode", log).unwrap();
        connection.execute_batch("DELETE FROM r").unwrap();
        let running = started(&place, &connection, &[]);
        running.signal(Signal::SIGKILL);
        assert_eq!(running.finish(LIMIT).signal, Some(Signal::SIGKILL));
        place.audit();
        let written = count(&connection, "SELECT count(*) FROM r");
        assert!((1..2000).contains(&written), "{written}");
        map(&place, &["square", "--input-sql", "SELECT id FROM n", "--output-sql", "r", "--key", "id"]).gives(
            0,
            "",
            &[&format!("{} ok, 0 failed, {written} there already in", 2000 - written)],
        );
        assert_eq!(count(&connection, "SELECT count(*) FROM r WHERE result = id * id"), 2000);
    }
}

#[test]
fn no_process_of_a_gang_has_the_database_open() {
    for method in METHODS {
        let place = Place::new("sqlite-descriptors");
        let connection = database(&place);
        connection.execute_batch("DROP TABLE r; CREATE TABLE r (id INTEGER PRIMARY KEY, result INTEGER)").unwrap();
        // Workers that come later are as innocent as the first.
        let running = started(&place, &connection, &["--start-method", method, "--max-tasks-per-worker", "20"]);
        let of_database = |pid: i32| targets(pid).into_iter().filter(|target| target.contains("/a.db")).count();
        assert!(of_database(running.pid()) > 0, "it has it open itself");
        // Workers come and go.
        let others = wait_until(LIMIT, || {
            let pids = marked(&place.mark()).into_iter().map(|(pid, _)| pid);
            let others: Vec<i32> = pids.filter(|pid| *pid != running.pid()).collect();
            if others.len() >= 2 { Ok(others) } else { Err(format!("{others:?}")) }
        });
        for pid in others {
            assert_eq!(of_database(pid), 0, "{method}: {:?}", targets(pid));
        }
        running.signal(Signal::SIGKILL);
        running.finish(LIMIT);
        place.audit();
    }
}

#[test]
fn a_result_that_violates_a_constraint_is_named_and_the_others_are_there() {
    let place = Place::new("sqlite-violation");
    let connection = database(&place);
    let run = ["square", "--input-sql", "SELECT id FROM n WHERE id < 6", "--output-sql", "r", "--key", "id"];
    let named = "table r refuses the row with id = 3: CHECK constraint failed: result <> 9 (SQLite code 275)";
    map(&place, &run).gives(3, "", &[named]);
    assert_eq!(count(&connection, "SELECT count(*) FROM r"), 4);
    let report = [&run[..], &["--on-error", "report"]].concat();
    map(&place, &report).gives(1, "", &[named, "0 ok, 1 failed, 4 there already in"]);
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let place = Place::new("sqlite-refused");
    let connection = database(&place);
    connection
        .execute_batch("CREATE TABLE twice (id INTEGER, result); CREATE TABLE bare (id INTEGER PRIMARY KEY)")
        .unwrap();
    place.file("text.db", "this is no database, but it is long enough to be read as the first page of one");
    let to = |table: &'static str| vec!["--input-sql", "SELECT id FROM n", "--output-sql", table, "--key", "id"];
    for (arguments, code, text) in [
        (vec!["--input-sql", "SELECT id FROM absent"], 66, "--input-sql: no such table: absent (SQLite code 1)"),
        (vec!["--input-sql", "DELETE FROM n"], 2, "the query does not read rows"),
        (vec!["--input-sql", "SELECT 1; SELECT 2"], 2, "the query is more than one statement"),
        (vec!["--input-sql", "SELECT ?"], 2, "the query has a parameter"),
        (vec!["--input-sql", "SELECT id, word FROM n"], 2, "--input-sql offers 2 columns: choose one with --columns"),
        (
            vec!["--input-sql", "SELECT word FROM n"],
            65,
            "--input-sql:1: column \"word\": \"word 1\" is not a whole number",
        ),
        (vec!["--input-sql", "SELECT x'00' AS b"], 65, "--input-sql:1: column \"b\": 1 bytes that are no text"),
        (to("absent"), 2, "there is no table absent: CREATE TABLE absent (\"id\" BIGINT PRIMARY KEY, result TEXT);"),
        (to("twice"), 2, "CREATE UNIQUE INDEX ganger_key ON twice (\"id\");"),
        (to("bare"), 2, "ALTER TABLE bare ADD COLUMN \"result\" TEXT;"),
        (vec!["--input-sql", "SELECT NULL AS id", "--output-sql", "r", "--key", "id"], 65, "the key is NULL"),
        (
            vec!["--input-sql", "SELECT word FROM n", "--output-sql", "r", "--key", "id"],
            2,
            "the query has no column \"id\"",
        ),
    ] {
        map(&place, &[&["square"][..], &arguments].concat()).gives(code, "", &[text]);
    }
    for (url, text) in [
        ("sqlite:absent.db", "cannot open sqlite:absent.db: No such file or directory"),
        ("sqlite:text.db", "cannot open sqlite:text.db: file is not a database (SQLite code 26)"),
    ] {
        place.run(&["map", "square", "--db", url, "--input-sql", "SELECT 1"], "").gives(66, "", &[text]);
    }
    assert_eq!(count(&connection, "SELECT count(*) FROM n"), 2000);
}
