//! What the command line asks for.

use std::path::PathBuf;

use ganger::StartMethod;

use crate::helper::{Ballast, Mode};
use crate::rows::Row;

pub(crate) const HELP: &str = "\
usage: cargo run --release -p ganger-benches -- [--only ROW]... [--quick] [--json FILE]
  --only ROW    apply, imap, map, start, stream, bytes, shared, broadcast, pipe, queue or
                manager, or their numbers 1 to 11; may be repeated
  --quick       fewer rounds, and a shorter stream: to see that it works, not for figures
  --json FILE   every single run, with the machine and the commit";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Measure(Options),
    /// This process is a helper of another one that measures.
    Helper(Mode),
}

/// How to measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Empty: all.
    pub(crate) only: Vec<Row>,
    pub(crate) quick: bool,
    pub(crate) json: Option<PathBuf>,
}

/// Reads the arguments, without the program's name; an error is a text for the user.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let mut arguments = arguments.into_iter();
    let mut options = Options::default();
    let mut helper = HelperFlags::default();
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--only" => options.only.push(value()?.parse()?),
            "--quick" => options.quick = true,
            "--json" => options.json = Some(value()?.into()),
            "--mode" => helper.mode = Some(value()?),
            "--method" => helper.method = value()?.parse().map_err(|error: ganger::Error| error.to_string())?,
            "--count" => helper.count = value()?.parse().map_err(|error| format!("--count: {error}"))?,
            "--ballast" => helper.ballast.size = parse_size(&value()?)?,
            "--freed" => helper.ballast.freed = true,
            _ => return Err(format!("unknown argument {flag:?}")),
        }
    }
    helper.mode().map(|mode| mode.map_or(Request::Measure(options), Request::Helper))
}

#[derive(Default)]
struct HelperFlags {
    mode: Option<String>,
    method: StartMethod,
    count: u32,
    ballast: Ballast,
}

impl HelperFlags {
    fn mode(self) -> Result<Option<Mode>, String> {
        let Self { mode, method, count, ballast } = self;
        match mode.as_deref() {
            None => Ok(None),
            Some("echo") => Ok(Some(Mode::Echo)),
            Some("first-result") => Ok(Some(Mode::FirstResult { method, ballast })),
            Some("bare-forks") => Ok(Some(Mode::BareForks { count, ballast })),
            Some(other) => Err(format!("unknown mode {other:?}")),
        }
    }
}

/// Reads a number of bytes: `0`, `4096`, `256MiB`, `2GiB`.
fn parse_size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match (text.strip_suffix("GiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1 << 30),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (text, 1),
    };
    let number: Option<usize> = digits.parse().ok();
    number.and_then(|number| number.checked_mul(unit)).ok_or_else(|| format!("not a size: {text:?} (as 0 or 2GiB)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_requests() {
        let measure = |only: &[Row], quick| Request::Measure(Options { only: only.to_vec(), quick, json: None });
        let held = Ballast { size: 2 << 30, freed: false };
        let freed = Ballast { size: 64 << 20, freed: true };
        let first = Mode::FirstResult { method: StartMethod::Fork, ballast: held };
        let table = [
            ("", measure(&[], false)),
            ("--only 2 --quick --only start", measure(&[Row::Imap, Row::Start], true)),
            ("--mode first-result --method fork --ballast 2GiB", Request::Helper(first)),
            (
                "--mode bare-forks --count 3 --freed --ballast 64MiB",
                Request::Helper(Mode::BareForks { count: 3, ballast: freed }),
            ),
            ("--quick --help", Request::Help),
        ];
        for (line, request) in table {
            assert_eq!(parsed(line), Ok(request), "{line}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for line in ["--only 99", "--only", "--fast", "--mode dance", "--ballast 2GB", "--ballast 99999999999GiB"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
