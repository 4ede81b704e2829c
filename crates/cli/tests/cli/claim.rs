//! A table of PostgreSQL as a work list that several gangers share, on a server of the test's own.

use crate::harness::{METHODS, Place, finish};
use crate::processes::{marked, targets, wait_until};
use crate::running::{Finished, Running};
use ganger_tests::Postgres;
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// What ganger keeps, as its messages and its help have it.
const KEPT: &str =
    "claimed_by text, claimed_until timestamptz, attempts int NOT NULL DEFAULT 0, done_at timestamptz, dead text";

/// Starts a server with a list `jobs` of these columns beside its key, and a table `r` for results.
fn server(columns: &str) -> Option<Postgres> {
    let server = Postgres::start()?;
    // What others have as their default must not matter.
    server.sql("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'");
    server.sql(&format!("CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {columns}, {KEPT})"));
    server.sql("CREATE TABLE r (id bigint PRIMARY KEY REFERENCES jobs, result text)");
    Some(server)
}

/// Prepares a run over the list, of a task of the user's program. Signals are heeded, even if the tests were started by
/// something that ignores them.
fn mapping(place: &Place, server: &Postgres, arguments: &[&str]) -> Command {
    let mut command = place.command_of("env");
    command.arg("--default-signal").arg(place.program().get_program()).arg("map").args(arguments);
    command.args(["--claim", "jobs", "--key", "id", "--output-sql", "r"]).env("GANGER_DB", server.url());
    command
}

fn map(place: &Place, server: &Postgres, arguments: &[&str]) -> Finished {
    finish(mapping(place, server, arguments), "")
}

/// Returns the number that the summary has before `what`, or 0.
fn counted(finished: &Finished, what: &str) -> u64 {
    let before = finished.err.split(what).next().filter(|before| before.len() < finished.err.len());
    let number = before.and_then(|before| before.rsplit(char::is_whitespace).next());
    number.map_or(0, |number| number.parse().expect("a number comes before it"))
}

/// Waits until a query of the server gives `t`.
#[track_caller]
fn wait_for(server: &Postgres, running: &Running, condition: &str) {
    wait_until(LIMIT, || match server.sql(&format!("SELECT {condition}")).as_str() {
        "t" => Ok(()),
        _ => Err(format!("{condition}: {}; {}", server.sql("SELECT * FROM jobs LIMIT 10"), running.err())),
    });
}

const DONE: &str = "SELECT count(*), count(done_at), count(dead), count(claimed_until) FROM jobs";

#[test]
fn the_survivor_of_two_does_what_the_killed_one_held_and_each_row_is_done_once() {
    let Some(server) = server("x int") else { return };
    server.sql("INSERT INTO jobs (x) SELECT i FROM generate_series(1, 1200) i");
    let run = ["sleep-square", "--columns", "x", "--arg", "ms=10", "--lease", "3s", "-j", "2"];
    let (victim_place, place) = (Place::new("claim-victim"), Place::new("claim-survivor"));
    let victim = Running::start(mapping(&victim_place, &server, &run));
    wait_for(&server, &victim, "count(*) > 0 FROM r");
    let survivor = Running::start(mapping(&place, &server, &run));
    wait_for(&server, &survivor, "count(DISTINCT claimed_by) = 2 FROM jobs");
    let of_victim = format!("FROM jobs WHERE claimed_by LIKE '%:{}:%'", victim.pid());
    victim.signal(Signal::SIGKILL);
    assert_eq!(victim.finish(LIMIT).signal, Some(Signal::SIGKILL));
    victim_place.audit();
    let held: u64 = server.sql(&format!("SELECT count(claimed_until) {of_victim}")).parse().unwrap();
    assert!(held > 0, "it held nothing when it was killed");
    let finished = survivor.finish(LIMIT);
    finished.gives(0, "", &[" ok, 0 failed, ", " in doubt (others may have run them before) in "]);
    assert_eq!(counted(&finished, " in doubt"), held, "{}", finished.err);
    assert_eq!(server.sql(DONE), "1200|1200|0|0");
    assert_eq!(server.sql("SELECT sum(attempts) FROM jobs"), (1200 + held).to_string());
    assert_eq!(server.sql("SELECT count(*), sum(result::int) = (SELECT sum(x * x) FROM jobs) FROM r"), "1200|t");
    let of_victim: u64 = server.sql(&format!("SELECT count(*) {of_victim}")).parse().unwrap();
    assert_eq!(counted(&finished, " ok, "), 1200 - of_victim, "{}", finished.err);
}

#[test]
fn a_task_may_take_longer_than_the_lease() {
    let Some(server) = server("x int") else { return };
    server.sql("INSERT INTO jobs (x) VALUES (1), (2)");
    let run = ["sleep-square", "--columns", "x", "--arg", "ms=5000", "--lease", "2s", "-j", "1"];
    let (one, two) = (Place::new("claim-long"), Place::new("claim-long"));
    let one = Running::start(mapping(&one, &server, &run));
    wait_for(&server, &one, "count(claimed_until) = 2 FROM jobs");
    map(&two, &server, &run).gives(0, "", &["0 ok, 0 failed in "]);
    one.finish(LIMIT).gives(0, "", &["2 ok, 0 failed in "]);
    assert_eq!(server.sql("SELECT count(*), sum(attempts) FROM jobs"), "2|2");
}

#[test]
fn the_first_interrupt_gives_back_at_once_what_has_not_begun() {
    let Some(server) = server("command text") else { return };
    let place = Place::new("claim-interrupt");
    server.sql("INSERT INTO jobs (command) SELECT format('touch %s; until [ -e go ]; do sleep 0.01; done', i) FROM generate_series(1, 20) i");
    let running = Running::start(mapping(&place, &server, &["shell", "--columns", "command", "-j", "2"]));
    wait_until(LIMIT, || match place.path("1").exists() && place.path("2").exists() {
        true => Ok(()),
        false => Err(running.err()),
    });
    wait_for(&server, &running, "count(claimed_until) > 2 FROM jobs");
    running.signal(Signal::SIGINT);
    // Both tasks run still.
    wait_for(&server, &running, "count(claimed_until) = 2 AND sum(attempts) = 2 FROM jobs");
    assert_eq!(server.sql("SELECT count(*) FROM r"), "0");
    place.file("go", "");
    let finished = running.finish(LIMIT);
    assert_eq!(finished.signal, Some(Signal::SIGINT), "{}", finished.err);
    assert!(finished.err.contains("2 ok, 0 failed, "), "{}", finished.err);
    assert_eq!(server.sql(DONE), "20|2|0|0");
    assert_eq!(server.sql("SELECT sum(attempts), count(*) FROM jobs JOIN r USING (id)"), "2|2");
}

#[test]
fn what_a_second_interrupt_kills_is_free_and_in_doubt() {
    let Some(server) = server("seconds int") else { return };
    let place = Place::new("claim-killed");
    server.sql("INSERT INTO jobs (seconds) VALUES (1000), (1000), (1000)");
    let running = Running::start(mapping(&place, &server, &["hang", "--columns", "seconds", "-j", "2"]));
    wait_for(&server, &running, "count(claimed_until) = 3 FROM jobs");
    let busy = || {
        running.signal(Signal::SIGUSR1);
        running.err().contains(" 2 running, ")
    };
    wait_until(LIMIT, || if busy() { Ok(()) } else { Err(running.err()) });
    running.signal(Signal::SIGINT);
    running.wait_for_message("press Ctrl-C again", LIMIT);
    running.signal(Signal::SIGINT);
    let finished = running.finish(LIMIT);
    assert_eq!(finished.signal, Some(Signal::SIGINT), "{}", finished.err);
    assert_eq!(server.sql("SELECT sum(attempts), count(*) FILTER (WHERE claimed_until > now()) FROM jobs"), "0|0");
    server.sql("UPDATE jobs SET seconds = 0");
    map(&place, &server, &["hang", "--columns", "seconds"]).gives(0, "", &["3 ok, 0 failed, 2 in doubt ("]);
}

#[test]
fn a_row_that_always_fails_ends_dead_with_its_reason() {
    let Some(server) = server("what text, n int") else { return };
    let place = Place::new("claim-poison");
    server.sql(
        "INSERT INTO jobs (what, n) VALUES ('return', 1), ('kill', 9), ('fail', 7), ('return', NULL), ('return', 2)",
    );
    let run = ["act", "--columns", "what,n", "--attempts", "2", "-j", "2"];
    map(&place, &server, &run).gives(
        1,
        "",
        &[
            "jobs, id = 3: failed: no 7 (attempt 1, ",
            "; it will be tried again",
            "2 ok, 3 failed, 3 to be tried again in ",
        ],
    );
    let dead = "SELECT id, attempts, dead FROM jobs WHERE dead IS NOT NULL ORDER BY id";
    let told = server.sql(dead);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("2|2|was killed by SIGKILL"), "{told}");
    assert_eq!(lines[1], "3|2|failed: no 7");
    assert!(lines[2].starts_with("4|2|column \"n\": "), "{told}");
    assert_eq!(server.sql(DONE), "5|2|3|0");
    // What is dead stays it until somebody says otherwise.
    map(&place, &server, &run).gives(0, "", &["0 ok, 0 failed in "]);
    server.sql("UPDATE jobs SET dead = NULL, attempts = 0, what = 'return', n = 5");
    map(&place, &server, &run).gives(0, "", &["3 ok, 0 failed in "]);
}

#[test]
fn a_row_that_kills_the_ganger_ends_dead_and_takes_no_other_with_it() {
    let Some(server) = server("signal int") else { return };
    let place = Place::new("claim-deadly");
    server.sql("INSERT INTO jobs (signal) SELECT CASE WHEN i = 2 THEN 9 ELSE 0 END FROM generate_series(1, 5) i");
    let run = ["kill", "--serial", "--columns", "signal", "--attempts", "2", "--lease", "1s"];
    for _ in 0..2 {
        let finished = map(&place, &server, &run);
        assert_eq!(finished.signal, Some(Signal::SIGKILL), "{}", finished.err);
    }
    map(&place, &server, &run).gives(
        1,
        "",
        &["jobs, id = 2: given up after 2 attempts, the last of which has not ended: "],
    );
    assert_eq!(server.sql(DONE), "5|4|1|0");
    assert!(server.sql("SELECT dead FROM jobs WHERE id = 2").ends_with(" was not heard of any more"));
}

#[test]
fn who_was_stopped_for_longer_than_the_lease_writes_nothing_over_anothers_results() {
    let Some(server) = server("x int") else { return };
    server.sql("INSERT INTO jobs (x) SELECT i FROM generate_series(1, 12) i");
    let (stopped_place, place) = (Place::new("claim-stopped"), Place::new("claim-other"));
    let run = ["sleep-square", "--columns", "x", "--lease", "1s", "--attempts", "10", "-j", "2"];
    let stopped = Running::start(mapping(&stopped_place, &server, &[&run[..], &["--arg", "ms=1000"]].concat()));
    wait_for(&server, &stopped, "count(claimed_until) > 0 FROM jobs");
    // Alone: its workers end what they run, and nobody hears of it.
    stopped.signal(Signal::SIGSTOP);
    let other = map(&place, &server, &[&run[..], &["--arg", "ms=1"]].concat());
    other.gives(0, "", &[" ok, 0 failed, "]);
    assert!(counted(&other, " in doubt") > 0, "{}", other.err);
    let all = "SELECT string_agg(jobs::text || r::text, ',' ORDER BY id) FROM jobs JOIN r USING (id)";
    assert_eq!(server.sql(DONE), "12|12|0|0");
    let before = server.sql(all);
    stopped.signal(Signal::SIGCONT);
    let finished = stopped.finish(LIMIT);
    finished.gives(0, "", &["the lease was lost before the outcome was written", " lost (id = "]);
    assert_eq!(server.sql(all), before);
}

#[test]
fn what_is_missing_is_said_with_the_statement_that_adds_it() {
    let Some(server) = Postgres::start() else { return };
    let place = Place::new("claim-missing");
    server.sql("CREATE TABLE r (id text PRIMARY KEY, result int)");
    map(&place, &server, &["square"]).gives(
        2,
        "",
        &["--output-sql: there is no table jobs: CREATE TABLE jobs (\"id\" bigint PRIMARY KEY, claimed_by text, "],
    );
    server.sql("CREATE TABLE jobs (id text PRIMARY KEY, x int, done_at timestamptz); INSERT INTO jobs VALUES ('a''b', 3), ('\"', 4)");
    let finished = map(&place, &server, &["square", "--columns", "x"]);
    finished.gives(2, "", &["table jobs lacks columns of a work list: ALTER TABLE jobs ADD COLUMN claimed_by text, "]);
    let statements = finished.err.split_once(": ALTER").unwrap().1.replace("; and, if it is large,", ";");
    server.sql(&format!("ALTER{statements}"));
    map(&place, &server, &["square", "--columns", "x"]).gives(0, "", &["2 ok, 0 failed in "]);
    assert_eq!(server.sql("SELECT * FROM r ORDER BY result"), "a'b|9\n\"|16");
}

#[test]
fn a_result_that_the_table_refuses_costs_its_row_an_attempt() {
    let Some(server) = server("x int") else { return };
    let place = Place::new("claim-refused");
    server.sql(
        "ALTER TABLE r ADD CONSTRAINT no_nine CHECK (result <> '9'); INSERT INTO jobs (x) SELECT generate_series(1, 5)",
    );
    map(&place, &server, &["square", "--columns", "x", "--attempts", "2"]).gives(
        1,
        "",
        &[
            "table r refuses the row with id = 3: ",
            "(SQLSTATE 23514, constraint \"no_nine\")",
            "4 ok, 1 failed, 1 to be tried again in ",
        ],
    );
    assert_eq!(server.sql(DONE), "5|4|1|0");
    assert!(server.sql("SELECT dead FROM jobs WHERE id = 3").contains("SQLSTATE 23514"));
}

#[test]
fn what_cannot_be_claimed_is_refused_by_name() {
    let Some(server) = server("x int") else { return };
    let place = Place::new("claim-wrong");
    server.sql("CREATE TABLE bare (id int, x int); CREATE TABLE odd (id int UNIQUE)");
    for (arguments, text) in [
        (
            &["--claim", "bare", "--key", "id", "--output-sql", "r"][..],
            "CREATE UNIQUE INDEX ganger_key ON bare (\"id\");",
        ),
        (&["--claim", "odd", "--key", "id", "--output-sql", "r"], "ALTER TABLE odd ALTER COLUMN \"id\" SET NOT NULL;"),
        (
            &["--claim", "jobs", "--key", "no", "--output-sql", "r"],
            "table jobs has no column \"no\", which is to be the key",
        ),
        (
            &["--claim", "jobs", "--key", "id", "--output-sql", "public.jobs"],
            "table public.jobs is the work list: results need",
        ),
        (&["--claim", "jobs", "--key", "id"], "--claim: needs --output-sql TABLE"),
        (&["--claim", "jobs", "--output-sql", "r"], "--claim: needs --key COLUMN"),
        (
            &["--claim", "jobs", "--key", "id", "--output-sql", "r", "--input-sql", "SELECT 1"],
            "--claim: --input-sql is there too",
        ),
        (
            &["--claim", "jobs", "--key", "id", "--output-sql", "r", "--db", "sqlite:a"],
            "--claim: SQLite is for one machine",
        ),
        (&["--claim", "jobs", "--key", "id", "--output-sql", "r", "--lease", "1ms"], "--lease: \"1ms\" is too short"),
    ] {
        let mut command = place.command();
        command.args(["map", "square"]).args(arguments).env("GANGER_DB", server.url());
        finish(command, "").gives(2, "", &[text]);
    }
}

#[test]
fn a_server_that_is_lost_ends_the_run_and_the_next_does_the_rest() {
    let Some(server) = server("x int") else { return };
    let place = Place::new("claim-lost");
    server.sql("INSERT INTO jobs (x) SELECT generate_series(1, 1000)");
    let run = ["sleep-square", "--columns", "x", "--arg", "ms=5", "--lease", "1s", "--attempts", "10"];
    let running = Running::start(mapping(&place, &server, &run));
    wait_for(&server, &running, "count(*) > 0 FROM r");
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ganger'");
    let finished = running.finish(LIMIT);
    let lost = "terminating connection due to administrator command (SQLSTATE 57P01)";
    assert!(finished.err.contains(lost) && matches!(finished.code, Some(66 | 74)), "{finished:?}");
    let written: u32 = server.sql("SELECT count(*) FROM r").parse().unwrap();
    assert!((1..1000).contains(&written), "{written}");
    assert_eq!(
        server.sql("SELECT count(*) FROM r JOIN jobs USING (id) WHERE done_at IS NOT NULL"),
        written.to_string()
    );
    map(&place, &server, &run).gives(0, "", &[&format!("{} ok, 0 failed", 1000 - written)]);
    assert_eq!(server.sql(DONE), "1000|1000|0|0");
    assert_eq!(server.sql("SELECT count(*), sum(result::int) FROM r"), "1000|333833500");
}

#[test]
fn a_ganger_that_cannot_extend_its_leases_ends_and_what_is_done_is_written() {
    let Some(server) = server("x int") else { return };
    let place = Place::new("claim-heart");
    server.sql("INSERT INTO jobs (x) SELECT generate_series(1, 5000)");
    let run = ["sleep-square", "--columns", "x", "--arg", "ms=5", "--lease", "2s", "-j", "2"];
    let running = Running::start(mapping(&place, &server, &run));
    let hearts = "FROM pg_stat_activity WHERE application_name = 'ganger' AND query LIKE 'WITH mine%'";
    // It has beaten once.
    wait_for(&server, &running, &format!("count(*) > 0 {hearts}"));
    server.sql(&format!("SELECT pg_terminate_backend(pid) {hearts}"));
    let finished = running.finish(LIMIT);
    finished.gives(
        66,
        "",
        &["--claim: the leases of table jobs cannot be extended: ", "(SQLSTATE 57P01)", " ok, 0 failed"],
    );
    let done = counted(&finished, " ok, ");
    assert_eq!(server.sql("SELECT count(*), count(done_at) FROM r JOIN jobs USING (id)"), format!("{done}|{done}"));
    assert_eq!(
        server.sql("SELECT sum(attempts), count(*) FILTER (WHERE claimed_until > now()) FROM jobs"),
        format!("{done}|0")
    );
}

#[test]
fn results_that_cannot_be_written_at_all_cost_no_attempt() {
    let Some(server) = server("x int") else { return };
    let place = Place::new("claim-closed");
    server.sql("INSERT INTO jobs (x) SELECT generate_series(1, 5); CREATE TABLE closed (id bigint PRIMARY KEY, y int)");
    let mut command = place.command();
    command.args(["map", "square", "--columns", "x", "--claim", "jobs", "--key", "id", "--output-sql", "closed"]);
    command.env("GANGER_DB", server.url());
    finish(command, "").gives(74, "", &["the result is no object with a field for each column"]);
    assert_eq!(server.sql("SELECT sum(attempts), count(*) FILTER (WHERE claimed_until > now()) FROM jobs"), "0|0");
}

#[test]
fn the_first_failure_ends_the_run_where_that_is_asked_for_and_what_was_held_is_free() {
    let Some(server) = server("what text, n int") else { return };
    let place = Place::new("claim-stop");
    server.sql(
        "INSERT INTO jobs (what, n) SELECT CASE WHEN i = 1 THEN 'fail' ELSE 'hang' END, 1 FROM generate_series(1, 9) i",
    );
    let run = ["act", "--columns", "what,n", "--on-error", "stop", "-j", "2"];
    map(&place, &server, &run).gives(3, "", &["error: jobs, id = 1: failed: no 1 (attempt 1, "]);
    assert_eq!(server.sql("SELECT sum(attempts), count(*) FILTER (WHERE claimed_until > now()) FROM jobs"), "1|0");
    server.sql("UPDATE jobs SET what = 'return'");
    map(&place, &server, &run).gives(0, "", &["9 ok, 0 failed, "]);
}

#[test]
fn no_process_of_a_gang_has_a_connection() {
    let Some(server) = server("x int") else { return };
    server.sql("INSERT INTO jobs (x) SELECT generate_series(1, 10000)");
    for method in METHODS {
        let place = Place::new("claim-descriptors");
        let more = ["--start-method", method, "--max-tasks-per-worker", "20", "-j", "2"];
        let run = [&["sleep-square", "--columns", "x", "--arg", "ms=5"][..], &more].concat();
        let done = server.sql("SELECT count(*) FROM r");
        let running = Running::start(mapping(&place, &server, &run));
        wait_for(&server, &running, &format!("count(*) > 100 + {done} FROM r"));
        assert_eq!(server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ganger'"), "3");
        // Workers come and go.
        let others = wait_until(LIMIT, || {
            let pids = marked(&place.mark()).into_iter().map(|(pid, _)| pid);
            let others: Vec<i32> = pids.filter(|pid| *pid != running.pid()).collect();
            if others.len() >= 2 { Ok(others) } else { Err(format!("{others:?}")) }
        });
        let theirs: Vec<String> = others.iter().flat_map(|pid| targets(*pid)).collect();
        let own =
            targets(running.pid()).into_iter().filter(|name| name.starts_with("socket:") && !theirs.contains(name));
        let own = own.count();
        assert!(own >= 3, "{method}: {own} sockets are its own, others have {theirs:?}");
        running.signal(Signal::SIGKILL);
        running.finish(LIMIT);
        place.audit();
        let left = "count(*) = 0 FROM pg_stat_activity WHERE application_name = 'ganger'";
        wait_until(LIMIT, || if server.sql(&format!("SELECT {left}")) == "t" { Ok(()) } else { Err(left.to_owned()) });
    }
}
