//! A server of a test's own, in a directory of its own. Nothing of it is left when the test is over, or the test has failed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use ganger::StartMethod;
use ganger_tests::{MARK, fresh_mark, kill_marked, marked, wait_until};
use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::Value;

use crate::client::{LIMIT, Response, Sent, get};

/// A directory, and a mark that all processes of a test carry.
pub(crate) struct Place {
    mark: String,
    directory: PathBuf,
}

pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    place: Place,
}

impl Place {
    pub(crate) fn new() -> Self {
        let mark = fresh_mark();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("web-{mark}"));
        fs::create_dir_all(&directory).unwrap();
        Self { mark, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The program with these switches, which are split at blanks.
    pub(crate) fn command(&self, switches: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_web_totals"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GANGER_")) {
            command.env_remove(name);
        }
        command.current_dir(&self.directory).env(MARK, &self.mark).args(switches.split_whitespace());
        command
    }

    /// Runs the program, which must refuse to start with this code; returns what it says.
    #[track_caller]
    pub(crate) fn refusal(&self, switches: &str, code: i32) -> String {
        let output = self.command(switches).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{said}");
        self.audit();
        said
    }

    /// Waits until no process of this test is left.
    #[track_caller]
    pub(crate) fn audit(&self) {
        wait_until("no process is left", LIMIT, || marked(&self.mark), Vec::is_empty);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Workers that come while the others are killed have a guardian, which is marked as well.
            kill_marked(&self.mark);
        } else {
            self.audit();
        }
        // One that is left behind hurts nobody: it is below the build's.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Server {
    /// Starts one with 20,000 sales and two workers, and these switches. Its requests have an hour, unless these say otherwise: what
    /// is slow because the machine is busy must not fail.
    pub(crate) fn start(method: StartMethod, switches: &str) -> Self {
        let deadline = if switches.contains("--deadline") { "" } else { "--deadline 3600" };
        let usual = format!("--rows 20000 --workers 2 --start-method {method} {deadline}");
        Self::start_in(Place::new(), &format!("{usual} {switches}"))
    }

    pub(crate) fn start_in(place: Place, switches: &str) -> Self {
        let mut command = place.command(&format!("--address 127.0.0.1:0 --database sales.db {switches}"));
        command.stdout(Stdio::piped()).stderr(File::create(place.path("stderr")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let said = fs::read_to_string(place.path("stderr")).unwrap();
        Self { address: address.unwrap_or_else(|| panic!("{line:?}, {said}")), child, place }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends `GET target`.
    pub(crate) fn ask(&self, target: &str) -> Sent {
        get(self.address, target)
    }

    /// The answer to `GET target`.
    pub(crate) fn get(&self, target: &str) -> Response {
        self.ask(target).answer()
    }

    /// The total of an account as the server tells it.
    #[track_caller]
    pub(crate) fn total(&self, account: i64) -> Value {
        self.get(&format!("/total?account={account}")).json(200)
    }

    /// All totals, as SQLite itself adds them up.
    pub(crate) fn oracle(&self) -> BTreeMap<i64, Value> {
        let database = Connection::open(self.place.path("sales.db")).unwrap();
        let mut sums = database
            .prepare("SELECT account, json_object('account', account, 'sales', count(*), 'cents', sum(cents)) FROM sale GROUP BY account")
            .unwrap();
        let sums = sums.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
        sums.map(|row| row.map(|(account, text)| (account, serde_json::from_str(&text).unwrap())).unwrap()).collect()
    }

    pub(crate) fn health(&self) -> Value {
        self.get("/health").json(200)
    }

    pub(crate) fn workers(&self) -> Vec<u32> {
        self.health()["workers"].as_array().unwrap().iter().map(pid).collect()
    }

    /// Waits until a worker has begun a task of that name, and returns its pid.
    #[track_caller]
    pub(crate) fn wait_for_task(&self, name: &str) -> u32 {
        let running = |worker: &Value| worker["running"].as_str().is_some_and(|task| task.contains(name));
        let find = || self.health()["workers"].as_array().unwrap().iter().find(|worker| running(worker)).map(pid);
        wait_until(&format!("{name} runs"), LIMIT, find, Option::is_some).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        ganger_tests::signal(self.child.id(), signal);
    }

    /// Waits until nobody can connect any more.
    #[track_caller]
    pub(crate) fn wait_until_closed(&self) {
        let connect = || std::net::TcpStream::connect(self.address).is_err();
        wait_until("nobody can connect", LIMIT, connect, |refused| *refused);
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        wait_until("the server has ended", LIMIT, || self.child.try_wait().unwrap(), Option::is_some).unwrap()
    }

    /// Waits for its end, and until nothing of it is left.
    #[track_caller]
    pub(crate) fn end_cleanly(&mut self) {
        let status = self.end();
        let said = fs::read_to_string(self.place.path("stderr")).unwrap();
        assert_eq!(status.code(), Some(0), "{said}");
        self.place.audit();
    }
}

fn pid(worker: &Value) -> u32 {
    worker["pid"].as_u64().unwrap().try_into().unwrap()
}

impl Drop for Server {
    /// Ends it as its operator would, unless that has happened, or the test has failed anyway.
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It may have ended already; both are the last resort.
            let _ = (self.child.kill(), self.child.wait());
        } else if self.child.try_wait().unwrap().is_none() {
            self.signal(Signal::SIGTERM);
            self.end_cleanly();
        }
    }
}
