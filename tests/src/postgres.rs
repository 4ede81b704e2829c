//! A PostgreSQL server of a test's own: on a socket in a directory that goes with it, and without a port unless it is to be
//! encrypted.

use crate::wait::holds_within;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Is a server that runs. Dropped, it is stopped, and its directory removed.
pub struct Postgres {
    programs: PathBuf,
    dir: PathBuf,
    server: Child,
    /// Where it takes encrypted connections.
    port: Option<u16>,
}

/// Is what a server proves its name with, in PEM format.
pub struct Certificate<'a> {
    /// The certificate.
    pub certificate: &'a str,
    /// Its private key.
    pub key: &'a str,
}

/// So long the server has to start or stop, on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(60);
/// The owner of the database.
const USER: &str = "ganger";
/// A user whom the server asks for the password `right`.
pub const LOCKED: &str = "locked";

/// Names what must be there for the tests: they fail where it is not, instead of being skipped.
const REQUIRE: &str = "GANGER_TEST_REQUIRE";

impl Postgres {
    /// Starts a server; where there is none it says SKIP and why.
    ///
    /// # Panics
    /// When it cannot be started, or is required and not there.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// Starts a server that takes encrypted connections on a port of this machine as well.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_encrypted(certificate: &Certificate<'_>) -> Option<Self> {
        Self::start_with(Some(certificate))
    }

    fn start_with(certificate: Option<&Certificate<'_>>) -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var(REQUIRE).is_ok_and(|names| names.split(',').any(|name| name == "postgres"));
            assert!(!required, "{REQUIRE} asks for postgres, but there is no initdb and postgres");
            println!("SKIP: there is no initdb and postgres in PATH or /usr/lib/postgresql");
            return None;
        };
        let dir = directory();
        let data = dir.join("data");
        let made = as_owner(&programs.join("initdb"))
            .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust", "-U", USER, "-D"])
            .arg(&data)
            .current_dir(&dir)
            .output()
            .expect("it was found");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let rules = fs::read_to_string(data.join("pg_hba.conf")).expect("initdb has made it");
        fs::write(data.join("pg_hba.conf"), format!("local all {LOCKED} scram-sha-256\n{rules}"))
            .expect("we are its owner or root");
        let mut command = as_owner(&programs.join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(&dir).args(["-c", "fsync=off"]);
        let port = certificate.map(|certificate| encrypt(&mut command, &data, certificate));
        if port.is_none() {
            command.args(["-c", "listen_addresses="]);
        }
        let server =
            command.current_dir(&dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it was found");
        let postgres = Self { programs, dir, server, port };
        assert!(holds_within(LIMIT, || postgres.psql("SELECT 1").status.success()), "the server does not answer");
        postgres.sql(&format!("CREATE USER {LOCKED} PASSWORD 'right'"));
        Some(postgres)
    }

    /// Returns the URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// Returns the URL for another user, perhaps with a password.
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        format!("postgres://{user}@/postgres?host={}", self.dir.display())
    }

    /// Returns the URL of its database at this name of the machine, whose connections are encrypted.
    ///
    /// # Panics
    /// When it was not started so.
    #[must_use]
    pub fn encrypted_url(&self, host: &str) -> String {
        let port = self.port.expect("it was started with a certificate");
        format!("postgres://{USER}@{host}:{port}/postgres")
    }

    /// Runs statements and returns what the last one gives: a line for each row, | between its columns.
    ///
    /// # Panics
    /// When one fails.
    pub fn sql(&self, statements: &str) -> String {
        let output = self.psql(statements);
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn psql(&self, statements: &str) -> Output {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", "postgres", "-h"]);
        command.arg(&self.dir);
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["-c", statements]).output().expect("psql comes with the server")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, without a shutdown's order: nobody needs the data any more.
        let _ = kill(Pid::from_raw(self.server.id().cast_signed()), Signal::SIGQUIT);
        if !holds_within(LIMIT, || matches!(self.server.try_wait(), Ok(Some(_)))) {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
        // What is left of it hurts nobody.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Has the server take encrypted connections; returns at which port. Another program may take it meanwhile: then the server does
/// not answer, and says so.
fn encrypt(command: &mut Command, data: &Path, certificate: &Certificate<'_>) -> u16 {
    for (name, content) in [("server.crt", certificate.certificate), ("server.key", certificate.key)] {
        let file = data.join(name);
        fs::write(&file, content).expect("we are its owner or root");
        // A key that others can read is refused.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("we have made it");
        own(&file);
    }
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let port = free.expect("this machine has a free port").port();
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-p", &port.to_string()]);
    port
}

/// Finds the directory with the server's programs.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let mut places: Vec<PathBuf> = debian.collect();
    places.sort();
    places.reverse();
    places.extend(std::env::split_paths(&path));
    places.extend(["/usr/local/pgsql/bin", "/usr/local/bin"].map(PathBuf::from));
    places.into_iter().find(|place| ["initdb", "postgres", "psql"].iter().all(|program| place.join(program).exists()))
}

/// Makes a directory with a short path, as that of a socket must be, which the server's user owns.
fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("ganger-pg-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    fs::create_dir(&dir).expect("the temporary directory is writable");
    own(&dir);
    dir
}

/// Gives a file or directory to the server's user.
fn own(path: &Path) {
    if let Some(owner) = owner() {
        std::os::unix::fs::chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).expect("root may");
    }
}

/// The server refuses to run as root: then it is this user's.
fn owner() -> Option<User> {
    nix::unistd::geteuid().is_root().then(|| User::from_name("nobody").ok().flatten().expect("every system has nobody"))
}

/// Prepares a program that root runs as somebody else, and that ends with the test: its thread lives as long.
fn as_owner(program: &Path) -> Command {
    let Some(owner) = owner() else {
        return Command::new(program);
    };
    let (user, group) = (owner.uid.to_string(), owner.gid.to_string());
    if Path::new("/usr/bin/setpriv").exists() {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--reuid", &user, "--regid", &group, "--clear-groups", "--pdeathsig", "QUIT", "--"]).arg(program);
        return command;
    }
    let mut command = Command::new("runuser");
    command.args([OsStr::new("-u"), OsStr::new("nobody"), OsStr::new("--"), program.as_os_str()]);
    command
}
