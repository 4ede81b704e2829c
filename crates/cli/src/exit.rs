//! The exit codes, and the error that ends a run with one.

/// All records gave a result.
pub(crate) const OK: u8 = 0;
/// Some records failed under `--on-error report`, or some answers of `tutorial` are not the sequential ones.
pub(crate) const FAILURES: u8 = 1;
/// The command line, a variable or a setting is wrong.
pub(crate) const USAGE: u8 = 2;
/// A task failed and `--on-error stop` ended the run, or so many have as `--fail-after` allows.
pub(crate) const STOPPED: u8 = 3;
/// A record cannot be read or converted (`EX_DATAERR` of sysexits.h, as the next three).
pub(crate) const BAD_RECORD: u8 = 65;
/// An input cannot be opened or read (`EX_NOINPUT`).
pub(crate) const NO_INPUT: u8 = 66;
/// A bug of ganger (`EX_SOFTWARE`).
pub(crate) const BUG: u8 = 70;
/// The output cannot be written (`EX_IOERR`).
pub(crate) const CANNOT_WRITE: u8 = 74;
/// The reader of standard output has gone: 128 + SIGPIPE, what a shell reports of a C program.
pub(crate) const READER_GONE: u8 = 141;

/// Lists every code with its meaning, for the help.
pub(crate) const CODES: [(u8, &str); 9] = [
    (OK, "all records gave a result"),
    (FAILURES, "some records failed (--on-error report), or some answers of `tutorial` are not equal"),
    (USAGE, "wrong usage, variable or setting"),
    (STOPPED, "stopped at the first failure (--on-error stop), or at the last that --fail-after allows"),
    (BAD_RECORD, "a record cannot be read or converted (--on-error stop)"),
    (NO_INPUT, "an input cannot be read"),
    (BUG, "a bug of ganger"),
    (CANNOT_WRITE, "the output cannot be written"),
    (READER_GONE, "the reader of standard output has gone"),
];

/// Ends the command with a code and a message; without a message it ends quietly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Abort {
    pub(crate) code: u8,
    pub(crate) message: Option<String>,
}

impl Abort {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// Tells a reader that went away, which is no error of anybody, from everything else.
    pub(crate) fn writing(target: &str, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { code: READER_GONE, message: None };
        }
        Self::new(CANNOT_WRITE, format!("cannot write {target}: {}", plain(error)))
    }

    pub(crate) fn reading(name: &str, error: &std::io::Error) -> Self {
        Self::new(NO_INPUT, format!("cannot read {name}: {}", plain(error)))
    }
}

/// Returns an error's text without Rust's " (os error 2)".
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::io::{Error, ErrorKind};

    #[test]
    fn codes_are_distinct_and_explained() {
        let codes: BTreeSet<u8> = CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), CODES.len());
        assert!(CODES.iter().all(|(_, meaning)| !meaning.is_empty()));
    }

    #[test]
    fn a_gone_reader_is_quiet() {
        let abort = Abort::writing("x", &Error::from(ErrorKind::BrokenPipe));
        assert_eq!((abort.code, abort.message), (READER_GONE, None));
        let abort = Abort::writing("/dev/full", &Error::from_raw_os_error(28));
        assert_eq!(abort, Abort::new(CANNOT_WRITE, "cannot write /dev/full: No space left on device"));
    }
}
