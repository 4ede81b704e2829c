//! Rows of PostgreSQL as records, and results as rows, on a server of the test's own.

use crate::harness::{METHODS, Place, finish};
use crate::processes::{marked, targets, wait_until};
use crate::running::{Finished, Running};
use ganger_tests::{LOCKED, Postgres};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

fn mapping(place: &Place, url: &str, arguments: &[&str]) -> Command {
    let mut command = place.command();
    command.arg("map").args(arguments).env("GANGER_DB", url);
    command
}

fn map(place: &Place, url: &str, arguments: &[&str]) -> Finished {
    finish(mapping(place, url, arguments), "")
}

#[test]
fn a_run_that_is_killed_three_times_ends_with_each_row_once() {
    let Some(server) = Postgres::start() else { return };
    let place = Place::new("pg-killed");
    server.sql("CREATE TABLE n AS SELECT i AS id, i * 2 AS x FROM generate_series(1, 100000) i");
    server.sql("CREATE TABLE r (id BIGINT PRIMARY KEY, result BIGINT)");
    let run = ["square", "--input-sql", "SELECT id, x FROM n", "--columns", "x", "--output-sql", "r", "--key", "id"];
    let written = || server.sql("SELECT count(*) FROM r").parse::<u32>().unwrap();
    for least in [1, 15_000, 40_000] {
        let running = Running::start(mapping(&place, &server.url(), &run));
        wait_until(LIMIT, || match written() {
            count if count >= least => Ok(()),
            count => Err(format!("{count} rows are there; {}", running.err())),
        });
        running.signal(Signal::SIGKILL);
        assert_eq!(running.finish(LIMIT).signal, Some(Signal::SIGKILL));
        place.audit();
        assert!(written() < 100_000, "it was killed too late to show anything");
    }
    map(&place, &server.url(), &run).gives(0, "", &[" ok, 0 failed, ", " there already in "]);
    let found =
        server.sql("SELECT count(*), count(DISTINCT id), sum(result) = (SELECT sum(x::bigint * x) FROM n) FROM r");
    assert_eq!(found, "100000|100000|t");
}

#[test]
fn values_of_all_types_come_and_go() {
    let Some(server) = Postgres::start() else { return };
    let place = Place::new("pg-types");
    server.sql(
        "CREATE TABLE a (faa TEXT, lat FLOAT8, lon NUMERIC); INSERT INTO a VALUES ('ABC', 1.5, 20), ('D|E', -0.1, 7)",
    );
    server.sql("CREATE TABLE o (key TEXT UNIQUE, faa VARCHAR(4), lat REAL, lon JSONB, at TIMESTAMPTZ DEFAULT now())");
    let mut command = place.program();
    command.args(["map", "antipode", "--db", &server.url(), "--key", "key", "--output-sql", "public.o"]);
    command.args(["--input-sql", "SELECT faa AS key, lat, lon, faa FROM a;", "--columns", "faa,lat,lon"]);
    finish(command, "").gives(0, "", &["2 ok, 0 failed in"]);
    assert_eq!(server.sql("SELECT key, faa, lat, lon FROM o ORDER BY 1"), "ABC|abc|-1.5|-160.0\nD|E|d|e|0.1|-173.0");

    let query = "SELECT * FROM (VALUES (1, NULL::int, 3), (2, 5, 6)) AS v (id, temp, dewp) ORDER BY id";
    let columns = ["--columns", "temp,dewp", "--arg", "min=3", "--arg", "max=9"];
    let run = [&["count-in-range", "--input-sql", query][..], &columns].concat();
    map(&place, &server.url(), &run).gives(0, "1\n2\n", &[]);
    let json = ["sum", "--input-sql", "SELECT '[1, 2, 3.5]'::jsonb AS numbers"];
    map(&place, &server.url(), &json).gives(0, "6.5\n", &[]);
    map(&place, &server.url(), &["square", "--input-sql", "SELECT 7 AS x UNION ALL SELECT NULL", "--serial"]).gives(
        65,
        "49\n",
        &["--input-sql:2: column \"x\": "],
    );
}

#[test]
fn troubles_are_named_and_passwords_are_not() {
    let Some(server) = Postgres::start() else { return };
    let place = Place::new("pg-troubles");
    server.sql("CREATE TABLE r (id INT PRIMARY KEY, result INT CONSTRAINT no_nine CHECK (result <> 9)); CREATE TABLE t (id INT, result INT)");
    let one = ["square", "--input-sql", "SELECT 1 AS id"];
    let to = |table: &'static str| [&one[..], &["--output-sql", table, "--key", "id"]].concat();
    for (url, arguments, code, text) in [
        (
            "postgres://u:secret@/d?host=/nonexistent".to_owned(),
            one.to_vec(),
            66,
            "cannot connect to postgres://u:***@/d?host=/nonexistent: No such file",
        ),
        (
            server.url_of(&format!("{LOCKED}:secret")),
            one.to_vec(),
            66,
            "password authentication failed for user \"locked\" (SQLSTATE 28P01)",
        ),
        (
            server.url_of(&format!("{LOCKED}:secret")),
            to("r"),
            74,
            "--output-sql: cannot connect to postgres://locked:***@",
        ),
        (server.url_of(&format!("{LOCKED}:right")), one.to_vec(), 0, "1 ok"),
        (
            server.url(),
            vec!["square", "--input-sql", "SELECT x FROM absent"],
            66,
            "relation \"absent\" does not exist, at character 15 of the statement (SQLSTATE 42P01)",
        ),
        (server.url(), vec!["square", "--input-sql", "SELECT $1::int"], 2, "the query has a parameter"),
        (server.url(), vec!["square", "--input-sql", "SELECT 1; SELECT 2"], 66, "(SQLSTATE 42601)"),
        (server.url(), to("absent"), 2, "there is no table absent: CREATE TABLE absent (\"id\""),
        (server.url(), to("t"), 2, "CREATE UNIQUE INDEX ganger_key ON t (\"id\");"),
    ] {
        let finished = map(&place, &url, &arguments);
        assert!(!finished.err.contains("secret"), "{}", finished.err);
        finished.gives(code, if code == 0 { "1\n" } else { "" }, &[text]);
    }
    let query = "SELECT generate_series(1, 5) AS id";
    let refused = ["square", "--input-sql", query, "--output-sql", "r", "--key", "id", "--on-error", "report"];
    let named = "table r refuses the row with id = 3: new row for relation \"r\" violates check constraint \"no_nine\"";
    map(&place, &server.url(), &refused).gives(
        1,
        "",
        &[named, "(SQLSTATE 23514, constraint \"no_nine\")", "4 ok, 1 failed in"],
    );
    map(&place, &server.url(), &refused[..7]).gives(3, "", &[named]);
    assert_eq!(server.sql("SELECT count(*) FROM r"), "4");
}

#[test]
fn a_connection_that_is_lost_ends_the_run_and_the_next_does_the_rest() {
    let Some(server) = Postgres::start() else { return };
    let place = Place::new("pg-lost");
    server.sql("CREATE TABLE r (id INT PRIMARY KEY, result INT)");
    let query = "SELECT generate_series(1, 4000) AS id";
    let fast = ["square", "--input-sql", query, "--output-sql", "r", "--key", "id"];
    let slow = ["sleep-square", "--arg", "ms=2", "--input-sql", query, "--output-sql", "r", "--key", "id"];
    let running = Running::start(mapping(&place, &server.url(), &slow));
    wait_until(LIMIT, || match server.sql("SELECT count(*) FROM r").as_str() {
        "0" => Err(running.err()),
        _ => Ok(()),
    });
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ganger'");
    let finished = running.finish(LIMIT);
    let lost = "terminating connection due to administrator command (SQLSTATE 57P01)";
    assert!(finished.err.contains(lost) && matches!(finished.code, Some(66 | 74)), "{finished:?}");
    let written: u32 = server.sql("SELECT count(*) FROM r").parse().unwrap();
    assert!((1..4000).contains(&written), "{written}");
    map(&place, &server.url(), &fast).gives(
        0,
        "",
        &[&format!("{} ok, 0 failed, {written} there already in", 4000 - written)],
    );
    assert_eq!(server.sql("SELECT count(*), sum(result) FROM r"), "4000|21341334000");
}

#[test]
fn no_process_of_a_gang_has_a_connection() {
    let Some(server) = Postgres::start() else { return };
    server.sql("CREATE TABLE r (id INT PRIMARY KEY, result INT)");
    let query = "SELECT generate_series(1, 100000) AS id";
    for method in METHODS {
        let place = Place::new("pg-descriptors");
        let arguments = ["sleep-square", "--arg", "ms=5", "--input-sql", query, "--output-sql", "r", "--key", "id"];
        // Workers that come later are as innocent as the first.
        let more = ["--start-method", method, "--max-tasks-per-worker", "20", "-j", "2"];
        server.sql("TRUNCATE r");
        let running = Running::start(mapping(&place, &server.url(), &[&arguments[..], &more].concat()));
        wait_until(LIMIT, || match server.sql("SELECT count(*) > 100 FROM r").as_str() {
            "t" => Ok(()),
            _ => Err(running.err()),
        });
        let ours = targets(running.pid());
        let sockets = |targets: &BTreeSet<String>| {
            targets.iter().filter(|name| name.starts_with("socket:")).cloned().collect::<BTreeSet<_>>()
        };
        // Workers come and go.
        let others = wait_until(LIMIT, || {
            let all = marked(&place.mark()).into_iter();
            let others: Vec<(i32, String)> = all.filter(|(pid, _)| *pid != running.pid()).collect();
            if others.len() >= 2 { Ok(others) } else { Err(format!("{others:?}")) }
        });
        let connections = server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ganger'");
        assert_eq!(connections, "2");
        let shared: BTreeSet<String> = others.iter().flat_map(|(pid, _)| sockets(&targets(*pid))).collect();
        let own = sockets(&ours).difference(&shared).count();
        assert!(own >= 2, "{method}: of {ours:?} others have {shared:?}");
        running.signal(Signal::SIGKILL);
        running.finish(LIMIT);
        place.audit();
    }
}
