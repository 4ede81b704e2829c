//! What it starts with: a database that is there, or none; and what it cannot start with.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use ganger::StartMethod;
use ganger_tests::{signal, wait_until};
use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::client::LIMIT;
use crate::server::{Place, Server};

#[test]
fn a_database_that_is_there_is_used() {
    let place = Place::new();
    let rows = "CREATE TABLE sale (account INTEGER, cents INTEGER); INSERT INTO sale VALUES (5, -3), (5, 10), (9, 1)";
    Connection::open(place.path("sales.db")).unwrap().execute_batch(rows).unwrap();
    let server = Server::start_in(place, "--workers 1 --rows 500");
    assert_eq!(server.get("/report").body, r#"[{"account":5,"sales":2,"cents":7},{"account":9,"sales":1,"cents":1}]"#);
    // It may change meanwhile.
    Connection::open(server.path("sales.db")).unwrap().execute("INSERT INTO sale VALUES (6, 6)", []).unwrap();
    assert_eq!(server.total(6)["cents"], 6);
}

#[test]
fn values_that_cannot_be_added_up_cost_their_own_request() {
    let place = Place::new();
    let rows = "CREATE TABLE sale (account INTEGER, cents); INSERT INTO sale VALUES (1, 'much'), (2, NULL), (3, 3),
        (4, 9223372036854775807), (4, 1)";
    Connection::open(place.path("sales.db")).unwrap().execute_batch(rows).unwrap();
    let server = Server::start_in(place, "--workers 1");
    for (account, told) in
        [(1, "Invalid column type Text"), (2, "Invalid column type Null"), (4, "the total of account 4 overflows")]
    {
        let failure = server.get(&format!("/total?account={account}")).json(500);
        assert_eq!(failure["outcome"], "failed");
        assert!(failure["error"].as_str().unwrap().contains(told), "{failure}");
    }
    assert_eq!(server.total(3)["cents"], 3);
}

#[test]
fn what_cannot_be_used_is_named() {
    let place = Place::new();
    std::fs::write(place.path("text.db"), "this is a text, and no database".repeat(100)).unwrap();
    let other = Connection::open(place.path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE sale (account INTEGER, euros REAL)").unwrap();
    for (switches, told) in [
        ("--database text.db", "cannot use the database text.db: file is not a database"),
        ("--database other.db", "cannot use the database other.db: no such column: cents"),
        ("--database no/such.db", "cannot use the database no/such.db: unable to open"),
        ("--database new.db --rows 10 --address nowhere", "cannot listen on nowhere: "),
    ] {
        let said = place.refusal(switches, 1);
        assert!(said.contains(told), "{switches}: {said}");
    }
    for (switches, told) in [
        ("--start-method thread", "no start method"),
        ("--workers 0", "0 is not in 1..=1024"),
        ("--rows many", "invalid digit"),
        ("--deadline 0", "0 is not in 1..=3600"),
        ("--port 80", "unexpected argument '--port'"),
    ] {
        let said = place.refusal(switches, 2);
        assert!(said.contains(told), "{switches}: {said}");
    }
}

#[test]
fn an_address_that_is_in_use_is_named_and_no_worker_is_left() {
    let server = Server::start(StartMethod::Forkserver, "");
    for method in StartMethod::ALL {
        let switches = format!("--database new.db --rows 10 --start-method {method} --address {}", server.address());
        let said = Place::new().refusal(&switches, 1);
        assert!(said.contains(&format!("cannot listen on {}: Address already in use", server.address())), "{said}");
    }
}

#[test]
fn a_start_that_was_killed_leaves_no_half_of_a_database() {
    let place = Place::new();
    let mut child = place.command("--database sales.db --rows 10000000").stderr(Stdio::null()).spawn().unwrap();
    let journal = place.path("sales.db-journal");
    wait_until("it writes", LIMIT, || journal.exists(), |writes| *writes);
    child.kill().unwrap();
    child.wait().unwrap();
    let server = Server::start_in(place, "--workers 1 --rows 1000");
    let sales = server.oracle().values().map(|total| total["sales"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sales, 1000);
}

#[test]
fn two_that_start_at_once_share_one_database() {
    let (place, other) = (Place::new(), Place::new());
    let database = place.path("sales.db");
    let switches = format!("--rows 3000 --workers 1 --address 127.0.0.1:0 --database {}", database.display());
    let start = |place: &Place| place.command(&switches).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut children = [start(&place), start(&other)];
    for child in &mut children {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on"), "{line:?}");
    }
    let count = |database: &Path| {
        let database = Connection::open(database).unwrap();
        database.query_row("SELECT count(*) FROM sale", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count(&database), 3000);
    for mut child in children {
        signal(child.id(), Signal::SIGTERM);
        assert!(child.wait().unwrap().success());
    }
}
