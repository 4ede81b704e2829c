//! Names a database, and never shows its password.

use crate::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// Names a database: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
///
/// It is shown without its password.
///
/// ```
/// let url = ganger_db::Url::parse("postgres://ann:secret@db.example/work?sslmode=verify-full")?;
/// assert_eq!(url.to_string(), "postgres://ann:***@db.example/work?sslmode=verify-full");
/// # Ok::<(), ganger_db::Error>(())
/// ```
#[derive(Clone)]
pub struct Url {
    pub(crate) target: Target,
    shown: String,
}

/// Says where the database is.
#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<Config>, Tls),
}

/// Says what is expected of an encrypted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tls {
    /// There is none.
    Off,
    /// It is encrypted, and the server is believed: `prefer` and `require`, as psql has them.
    Believing,
    /// The server proves its name with a certificate that this file vouches for, or the system.
    Verified(Option<PathBuf>),
}

/// The parameters of a URL whose values may be shown.
const PARAMETERS: [&str; 18] = [
    "user",
    "dbname",
    "options",
    "application_name",
    "sslmode",
    "sslrootcert",
    "sslnegotiation",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
];
const PASSWORD: &str = "password";

impl Url {
    /// Reads a URL. A password that it lacks is taken from the variable `PGPASSWORD`, if there is one.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) when it names no database.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text, std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()))
    }

    fn read(text: &str, password: Option<String>) -> Result<Self, Error> {
        let shown = redacted(text);
        let target = match text.split_once(':') {
            Some(("sqlite", path)) => sqlite(path.strip_prefix("//").unwrap_or(path)),
            Some(("postgres" | "postgresql", _)) => postgres(text, password),
            _ => Err("it is neither sqlite:PATH nor postgres://USER@HOST/DATABASE".to_owned()),
        };
        match target {
            Ok(target) => Ok(Self { target, shown }),
            Err(problem) => Err(Error::refused(format!("{shown}: {problem}"))),
        }
    }

    /// Returns the file of an SQLite database.
    pub fn file(&self) -> Option<&std::path::Path> {
        match &self.target {
            Target::Sqlite(path) => Some(path),
            Target::Postgres(..) => None,
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({})", self.shown)
    }
}

/// Returns the URL without what may be a password. What is no URL is not shown at all: it might be one.
fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once(':') else {
        return "***".to_owned();
    };
    match (scheme, rest.strip_prefix("//")) {
        ("sqlite", _) => text.to_owned(),
        ("postgres" | "postgresql", Some(rest)) => format!("{scheme}://{}", without_password(rest)),
        _ => format!("{scheme}:***"),
    }
}

fn without_password(rest: &str) -> String {
    // A password that should have been escaped may hold anything, an @ as well.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => match credentials.split_once(':') {
            Some((user, _)) => (format!("{user}:***@"), rest),
            None => (format!("{credentials}@"), rest),
        },
        None => (String::new(), rest),
    };
    let Some((place, parameters)) = rest.split_once('?') else {
        return user + rest;
    };
    let shown = parameters.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if PARAMETERS.contains(&name) => parameter.to_owned(),
        Some((PASSWORD, _)) => format!("{PASSWORD}=***"),
        _ => "***".to_owned(),
    });
    format!("{user}{place}?{}", shown.collect::<Vec<_>>().join("&"))
}

fn sqlite(path: &str) -> Result<Target, String> {
    match path {
        "" => Err("it names no file: sqlite:PATH".to_owned()),
        ":memory:" => {
            Err("a database in memory is empty when a run begins and gone when it ends: name a file".to_owned())
        }
        path => Ok(Target::Sqlite(path.into())),
    }
}

fn postgres(text: &str, password: Option<String>) -> Result<Target, String> {
    let (text, tls, mode) = without_tls(text)?;
    // Its own message might repeat a part of the password.
    let wrong =
        |_| "it is not postgres://USER:PASSWORD@HOST:PORT/DATABASE (write @ : / ? in a password as %40 %3A %2F %3F)";
    let mut config: Config = text.parse().map_err(wrong)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("it names no host: postgres://USER@HOST/DATABASE, or ?host=/var/run/postgresql".to_owned());
    }
    config.ssl_mode(mode);
    if let (None, Some(password)) = (config.get_password(), password) {
        config.password(password);
    }
    with_deadlines(&mut config, &text);
    Ok(Target::Postgres(Box::new(config), tls))
}

/// Takes those parameters out of the URL that tokio-postgres does not know as psql does.
fn without_tls(text: &str) -> Result<(String, Tls, SslMode), String> {
    let (place, parameters) = text.split_once('?').unwrap_or((text, ""));
    let (mut mode, mut file, mut others) = ("prefer", None, Vec::new());
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", "system")) => file = None,
            Some(("sslrootcert", value)) => file = Some(PathBuf::from(value)),
            Some((name, _)) if name == PASSWORD || PARAMETERS.contains(&name) => others.push(parameter.to_owned()),
            _ => return Err(format!("a parameter is none of {}, {}", PASSWORD, PARAMETERS.join(", "))),
        }
    }
    let (tls, mode) = match mode {
        "disable" => (Tls::Off, SslMode::Disable),
        "prefer" => (Tls::Believing, SslMode::Prefer),
        "require" => (Tls::Believing, SslMode::Require),
        "verify-full" => (Tls::Verified(file), SslMode::Require),
        _ => return Err("sslmode is none of disable, prefer, require, verify-full".to_owned()),
    };
    Ok((format!("{place}?{}", others.join("&")), tls, mode))
}

/// A host that has gone without a word is noticed within a minute, unless the URL says otherwise.
fn with_deadlines(config: &mut Config, text: &str) {
    if config.get_application_name().is_none() {
        config.application_name("ganger");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    if !text.contains("keepalives") {
        config
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(60));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_ever_shown() {
        for (text, shown) in [
            ("postgres://u:secret@h/d", "postgres://u:***@h/d"),
            ("postgres://u:se@cr:et@h:5/d?sslmode=require", "postgres://u:***@h:5/d?sslmode=require"),
            ("postgres://u:sec/ret?x@h/d", "postgres://u:***@h/d"),
            ("postgresql://u@h/d?password=secret&port=3", "postgresql://u@h/d?password=***&port=3"),
            ("postgres://h/d?passwort=secret", "postgres://h/d?***"),
            ("mysql://u:secret@h/d", "mysql:***"),
            ("secret", "***"),
            ("sqlite:a.db", "sqlite:a.db"),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
            let told = Url::read(text, None).map_or_else(|error| error.to_string(), |url| format!("{url:?}"));
            assert!(!told.contains("secret") && !told.contains("cr:et"), "{told}");
        }
    }

    #[test]
    fn what_names_no_database_is_refused() {
        for (text, problem) in [
            ("sqlite::memory:", "sqlite::memory:: a database in memory is empty"),
            ("sqlite:", "sqlite:: it names no file"),
            ("mysql://h/d", "mysql:***: it is neither sqlite:PATH nor postgres://"),
            ("postgres://", "postgres://: it names no host"),
            ("postgres:///d", "postgres:///d: it names no host"),
            ("postgres://h:x/d", "postgres://h:x/d: it is not postgres://USER"),
            ("postgres://h/d?sslmode=verify-ca", "postgres://h/d?sslmode=verify-ca: sslmode is none of disable, "),
            ("postgres://h/d?tls=1", "postgres://h/d?***: a parameter is none of password, user, "),
        ] {
            let told = Url::read(text, None).unwrap_err().to_string();
            assert!(told.starts_with(problem), "{told}");
        }
    }

    fn config(text: &str, password: Option<&str>) -> (Config, Tls) {
        match Url::read(text, password.map(str::to_owned)).unwrap().target {
            Target::Postgres(config, tls) => (*config, tls),
            Target::Sqlite(_) => panic!("{text} is PostgreSQL's"),
        }
    }

    #[test]
    fn encryption_is_as_the_mode_says() {
        for (mode, ssl, tls) in [
            ("", SslMode::Prefer, Tls::Believing),
            ("?sslmode=disable", SslMode::Disable, Tls::Off),
            ("?sslmode=prefer", SslMode::Prefer, Tls::Believing),
            ("?sslmode=require", SslMode::Require, Tls::Believing),
            ("?sslmode=verify-full", SslMode::Require, Tls::Verified(None)),
            ("?sslrootcert=/a.pem&sslmode=verify-full", SslMode::Require, Tls::Verified(Some("/a.pem".into()))),
        ] {
            let (config, found) = config(&format!("postgres://h/d{mode}"), None);
            assert_eq!((config.get_ssl_mode(), found), (ssl, tls), "{mode}");
        }
    }

    #[test]
    fn a_password_may_come_from_the_environment() {
        assert_eq!(config("postgres://u@h/d", Some("p")).0.get_password(), Some(&b"p"[..]));
        assert_eq!(config("postgres://u:q@h/d", Some("p")).0.get_password(), Some(&b"q"[..]));
        assert_eq!(config("postgres://u@h/d", None).0.get_password(), None);
    }

    #[test]
    fn files_are_named_in_two_ways() {
        for (text, path) in
            [("sqlite:a.db", "a.db"), ("sqlite:///tmp/a.db", "/tmp/a.db"), ("sqlite:/tmp/a.db", "/tmp/a.db")]
        {
            assert_eq!(Url::read(text, None).unwrap().file(), Some(std::path::Path::new(path)));
        }
        assert_eq!(Url::read("postgres://h/d", None).unwrap().file(), None);
    }
}
