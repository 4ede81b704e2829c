//! What the command line asks for.

use std::path::PathBuf;

use ganger::StartMethod;

use crate::helper::{Ballast, Mode};
use crate::pays::Payload;
use crate::rows;

pub(crate) const HELP: &str = "\
usage: cargo run --release -p ganger-benches -- [--only ROW]... [--quick] [--json FILE]
  --only ROW    apply, imap, map, start, stream, bytes, shared, broadcast, pipe, queue,
                manager, or (all of them: tutorials) transactions, counts, frame, squares,
                naps, files, sums, lists, images, texts, array; or their numbers 1 to 22;
                may be repeated
  --quick       fewer rounds, and a shorter stream: to see that it works, not for figures
  --json FILE   every single run, with the machine and the commit
or:    cargo run --release -p ganger-benches -- (--plots DIR | --redraw DIR) [--page FILE] [--quick]
  --plots DIR   measures when a pool pays, and writes results and plots into this directory
  --redraw DIR  draws again what was measured there
                (--quick leaves out the longest tasks, and most rounds)
  --page FILE   puts the tables into this page, between its lines `measured: begin` and `end`";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Measure(Options),
    /// When does it pay?
    Plot(Plots),
    /// This process is a helper of another one that measures.
    Helper(Mode),
}

/// How to measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Empty: all.
    pub(crate) only: Vec<&'static str>,
    pub(crate) quick: bool,
    pub(crate) json: Option<PathBuf>,
}

/// Where results and plots go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plots {
    pub(crate) directory: PathBuf,
    /// They are there already.
    pub(crate) redraw: bool,
    pub(crate) page: Option<PathBuf>,
    pub(crate) quick: bool,
}

/// Reads the arguments, without the program's name; an error is a text for the user.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let mut arguments = arguments.into_iter();
    let mut options = Options::default();
    let mut helper = HelperFlags::default();
    let (mut directory, mut page) = (None, None);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--only" => options.only.extend(rows::named(&value()?)?),
            "--quick" => options.quick = true,
            "--json" => options.json = Some(value()?.into()),
            "--plots" | "--redraw" => directory = Some((PathBuf::from(value()?), flag == "--redraw")),
            "--page" => page = Some(PathBuf::from(value()?)),
            "--mode" => helper.mode = Some(value()?),
            "--method" => helper.method = value()?.parse().map_err(|error: ganger::Error| error.to_string())?,
            "--count" => helper.count = value()?.parse().map_err(|error| format!("--count: {error}"))?,
            "--ballast" => helper.ballast.size = parse_size(&value()?)?,
            "--payload" => helper.payload = value()?.parse()?,
            "--freed" => helper.ballast.freed = true,
            _ => return Err(format!("unknown argument {flag:?}")),
        }
    }
    let quick = options.quick;
    Ok(match (helper.mode(quick)?, directory) {
        (Some(mode), _) => Request::Helper(mode),
        (None, Some((directory, redraw))) => Request::Plot(Plots { directory, redraw, page, quick }),
        (None, None) if page.is_some() => return Err("--page needs --plots or --redraw".to_owned()),
        (None, None) => Request::Measure(options),
    })
}

#[derive(Default)]
struct HelperFlags {
    mode: Option<String>,
    method: StartMethod,
    count: u32,
    ballast: Ballast,
    payload: Payload,
}

impl HelperFlags {
    fn mode(self, quick: bool) -> Result<Option<Mode>, String> {
        let Self { mode, method, count, ballast, payload } = self;
        match mode.as_deref() {
            None => Ok(None),
            Some("echo") => Ok(Some(Mode::Echo)),
            Some("first-result") => Ok(Some(Mode::FirstResult { method, ballast })),
            Some("squares") => Ok(Some(Mode::Squares { method })),
            Some("task-cost") => Ok(Some(Mode::TaskCost { method, payload, quick })),
            Some("start-cost") => Ok(Some(Mode::StartCost { method, quick })),
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
        let measure =
            |only: &[&'static str], quick| Request::Measure(Options { only: only.to_vec(), quick, json: None });
        let held = Ballast { size: 2 << 30, freed: false };
        let freed = Ballast { size: 64 << 20, freed: true };
        let first = Mode::FirstResult { method: StartMethod::Fork, ballast: held };
        let plots = Plots { directory: "here".into(), redraw: true, page: Some("there".into()), quick: false };
        let table = [
            ("", measure(&[], false)),
            ("--only 2 --quick --only start", measure(&["imap", "start"], true)),
            ("--mode first-result --method fork --ballast 2GiB", Request::Helper(first)),
            (
                "--mode bare-forks --count 3 --freed --ballast 64MiB",
                Request::Helper(Mode::BareForks { count: 3, ballast: freed }),
            ),
            (
                "--mode task-cost --method spawn --payload shared:1024 --quick",
                Request::Helper(Mode::TaskCost {
                    method: StartMethod::Spawn,
                    payload: "shared:1024".parse().expect("a payload"),
                    quick: true,
                }),
            ),
            ("--redraw here --page there", Request::Plot(plots)),
            ("--quick --help", Request::Help),
        ];
        for (line, request) in table {
            assert_eq!(parsed(line), Ok(request), "{line}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for line in [
            "--only 99",
            "--only",
            "--fast",
            "--mode dance",
            "--ballast 2GB",
            "--ballast 99999999999GiB",
            "--page x",
            "--plots",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
