//! Measures the rows that were asked for, one after the other, and says what came out.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use serde::Serialize;

use crate::Result;
use crate::args::Options;
use crate::machine::Machine;
use crate::rows::{ROWS, Report, Row};
use crate::table::render;

/// How long a row may take. Afterwards it is said to hang, and no other row is begun: it would be disturbed.
const PATIENCE: Duration = Duration::from_secs(600);

/// What `--json` writes.
#[derive(Serialize)]
struct Dump<'a> {
    machine: &'a Machine,
    quick: bool,
    rows: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    row: &'static str,
    #[serde(flatten)]
    report: Report,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look();
    let rows = measure(options);
    let build = if cfg!(debug_assertions) { ", NOT A RELEASE BUILD" } else { "" };
    let quick = if options.quick { ", quick" } else { "" };
    println!("{machine}{build}{quick}\nmedian [lower quartile-upper quartile]\n");
    println!("{}", render(rows.iter().flat_map(|measured| &measured.report.lines)));
    rows.iter().flat_map(|measured| &measured.report.notes).for_each(|note| println!("{note}"));
    match &options.json {
        Some(path) => write(path, &Dump { machine: &machine, quick: options.quick, rows }),
        None => Ok(()),
    }
}

fn measure(options: &Options) -> Vec<Measured> {
    let mut done = Vec::new();
    for row in ROWS {
        if !options.only.is_empty() && !options.only.contains(&row.name) {
            continue;
        }
        let name = row.name;
        eprintln!("measuring {name}");
        let (report, hangs) = match within_patience(row, options.quick) {
            Some(Ok(report)) => (report, false),
            Some(Err(error)) => (Report::failed(row, &format!("{name}: {error}")), false),
            None => (Report::failed(row, &format!("{name} hangs: it did not end within {PATIENCE:?}")), true),
        };
        done.push(Measured { row: name, report });
        if hangs {
            break;
        }
    }
    done
}

/// Measures on a thread of its own, as a thread that hangs can be left alone. A panic there is printed as usual.
fn within_patience(row: Row, quick: bool) -> Option<Result<Report>> {
    let (send, report) = channel();
    std::thread::spawn(move || send.send(row.measure(quick)));
    match report.recv_timeout(PATIENCE) {
        Ok(report) => Some(report),
        Err(RecvTimeoutError::Disconnected) => Some(Err("panicked".into())),
        Err(RecvTimeoutError::Timeout) => None,
    }
}

fn write(path: &Path, dump: &Dump<'_>) -> Result<()> {
    let cannot = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    serde_json::to_writer_pretty(File::create(path).map_err(cannot)?, dump).map_err(|error| cannot(error.into()))?;
    Ok(())
}
