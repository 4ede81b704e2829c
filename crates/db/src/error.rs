//! What goes wrong with a database.

use std::fmt;

/// Says what is wrong, which value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    code: Option<String>,
}

/// Tells errors apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What is asked for cannot be: the URL, the table or a column is not what is needed. Nothing has been done.
    Refused,
    /// There is no connection to be had: nobody answers, or the password is wrong.
    Unreachable,
    /// The connection has ended. What was not committed is not there.
    Lost,
    /// The database has refused a statement.
    Statement,
    /// One row is refused: it violates a constraint, or does not fit its column.
    Violation,
    /// The caller wants no more.
    Stopped,
}

impl Error {
    /// Makes an error without a code of the database.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    pub(crate) fn stopped() -> Self {
        Self::new(ErrorKind::Stopped, "it was stopped")
    }

    /// Adds the database's code: an SQLSTATE, or a number of SQLite.
    pub(crate) fn with_code(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// Says what was being done.
    pub(crate) fn during(self, what: impl fmt::Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// Says what to do.
    pub(crate) fn advised(self, what: impl fmt::Display) -> Self {
        Self { message: format!("{}: {what}", self.message), ..self }
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the database's code: the SQLSTATE of PostgreSQL, the extended code of SQLite.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
