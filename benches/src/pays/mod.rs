//! When it pays: what a task and the start of a pool cost, from which task length on they are worth it, as a table and as
//! plots for the guide.

mod chart;
mod charts;
mod crossing;
mod measure;
mod page;
mod payload;
mod record;
mod scale;
mod tables;
mod units;
mod work;

use std::path::Path;

use ganger::StartMethod;

use crate::Result;
use crate::helper::ask_within;
use crate::machine::{Machine, today};

pub(crate) use measure::{PATIENCE, start_cost, task_cost};
pub(crate) use payload::Payload;
pub(crate) use record::Record;
use record::Results;

/// What a run writes into the directory of the plots, and the plots are drawn of.
const RESULTS: &str = "when-it-pays.csv";

/// Measures all, and writes results and plots into a directory, which may be new; and the tables into a page.
pub(crate) fn run(directory: &Path, page: Option<&Path>, quick: bool) -> Result<()> {
    let build = if cfg!(debug_assertions) { ", NOT A RELEASE BUILD" } else { "" };
    let quickly = if quick { ", quick" } else { "" };
    let about = format!("{}, {}{build}{quickly}", today(), Machine::look());
    let results = Results { about, records: measure_all(quick)? };
    std::fs::create_dir_all(directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    record::write(&directory.join(RESULTS), &results)?;
    show(directory, page, &results)
}

/// Draws and writes again what was measured once.
pub(crate) fn redraw(directory: &Path, page: Option<&Path>) -> Result<()> {
    show(directory, page, &record::read(&directory.join(RESULTS))?)
}

fn show(directory: &Path, page: Option<&Path>, results: &Results) -> Result<()> {
    for (name, drawing) in charts::all(&results.records) {
        let path = directory.join(name);
        std::fs::write(&path, drawing).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let tables = tables::all(results);
    if let Some(page) = page {
        page::update(page, &tables)?;
    }
    println!("{tables}");
    Ok(())
}

/// Each part is measured by a helper process of its own: `fork` is refused beside threads, and a large payload leaves much
/// memory behind.
fn measure_all(quick: bool) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for method in StartMethod::ALL {
        for payload in Payload::all() {
            eprintln!("measuring tasks with {payload}, {method}");
            records.extend(ask(&["--mode", "task-cost", "--payload", &payload.to_string()], method, quick)?);
        }
        eprintln!("measuring the start of pools, {method}");
        records.extend(ask(&["--mode", "start-cost"], method, quick)?);
    }
    Ok(records)
}

fn ask(arguments: &[&str], method: StartMethod, quick: bool) -> Result<Vec<Record>> {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--method", method.as_str()]);
    if quick {
        arguments.push("--quick");
    }
    ask_within(PATIENCE, &arguments)
}
