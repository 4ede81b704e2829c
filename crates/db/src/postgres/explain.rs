//! Tells what PostgreSQL has to say.

use crate::error::{Error, ErrorKind};
use std::error::Error as _;
use tokio_postgres::error::{DbError, ErrorPosition};

/// Says what PostgreSQL says, with its code.
pub(super) fn explain(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(error) => refusal(error),
        None => Error::new(ErrorKind::Lost, format!("the connection is lost: {}", cause(error))),
    }
}

/// Says why there is no connection.
pub(super) fn unreachable(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(error) => {
            let told = refusal(error);
            Error::new(ErrorKind::Unreachable, told.to_string()).with_code(error.code().code())
        }
        None => Error::new(ErrorKind::Unreachable, cause(error)),
    }
}

/// The innermost cause says it: those around it are "error connecting to server" and the like.
fn cause(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn refusal(error: &DbError) -> Error {
    let code = error.code().code();
    let mut text = error.message().to_owned();
    for more in [error.detail(), error.hint()].into_iter().flatten() {
        text += &format!("; {}", more.trim_end_matches('.'));
    }
    if let Some(ErrorPosition::Original(position)) = error.position() {
        text += &format!(", at character {position} of the statement");
    }
    text += &format!(" (SQLSTATE {code}");
    if let Some(constraint) = error.constraint() {
        text += &format!(", constraint {constraint:?}");
    }
    if let Some(column) = error.column() {
        text += &format!(", column {column:?}");
    }
    Error::new(kind(code), text + ")").with_code(code)
}

/// Reads the class of a code, as appendix A of PostgreSQL's manual lists them.
fn kind(code: &str) -> ErrorKind {
    match code.get(..2) {
        // 22: data exception; 23: integrity constraint violation; 44: a view's check option; P0: a trigger has raised it.
        Some("22" | "23" | "44" | "P0") => ErrorKind::Violation,
        // 08: connection exception; 57P: the operator has ended it.
        Some("08") => ErrorKind::Lost,
        Some("57") if code.starts_with("57P") => ErrorKind::Lost,
        _ => ErrorKind::Statement,
    }
}
