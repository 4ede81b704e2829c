//! The table of sixteen rows, our columns beside the published ones.

use std::process::ExitCode;

use ganger::StartMethod;
use serde::Serialize;

use crate::published::{self, ENGINES};
use crate::rows::{ROWS, Row, Scene};
use crate::told::Told;
use crate::watch::{Seen, watch};

/// No row takes longer, from the first submission to the last outcome.
const SECONDS: f64 = 1.0;

/// A cell, judged.
#[derive(Debug, Serialize)]
struct Verdict {
    row: &'static str,
    method: String,
    hung: bool,
    #[serde(flatten)]
    told: Told,
    left: usize,
    passed: bool,
    #[serde(skip)]
    output: String,
}

pub(crate) fn run(methods: &[StartMethod], only: Option<&str>, json: Option<&str>) -> ExitCode {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| only.is_none_or(|name| name == row.name)).collect();
    if rows.is_empty() {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        eprintln!("scoreboard: --row {:?} is not a row: {} are", only.unwrap_or_default(), names.join(", "));
        return ExitCode::from(2);
    }
    print_head(methods);
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut kept = 0;
    for row in &rows {
        let judged: Vec<Verdict> =
            methods.iter().map(|method| judge(row, *method, watch(&format!("{}/{method}", row.name)))).collect();
        kept += usize::from(judged.iter().all(|verdict| verdict.passed));
        print_row(row, &judged);
        verdicts.extend(judged);
    }
    print_remarks(&verdicts);
    if let Some(path) = json
        && let Err(error) = std::fs::write(path, serde_json::to_string_pretty(&verdicts).unwrap())
    {
        eprintln!("scoreboard: cannot write --json {path}: {error}");
        return ExitCode::FAILURE;
    }
    for method in methods.iter().map(ToString::to_string) {
        let of_method = verdicts.iter().filter(|verdict| verdict.passed && verdict.method == method);
        println!("{method}: {} of {}", of_method.count(), rows.len());
    }
    println!("{kept} of {}", rows.len());
    if kept == rows.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Compares what was seen with what the row asks for.
fn judge(row: &'static Row, method: StartMethod, seen: Seen) -> Verdict {
    let hung = seen.status.is_none();
    let ended = if matches!(row.scene, Scene::ParentKilled) { seen.was_killed() } else { seen.succeeded() };
    let mut told = seen.told.unwrap_or_else(|| Told { short: vec!["it told nothing".to_owned()], ..Told::default() });
    let (count, kind) = row.errors;
    let errors: usize = told.errors.values().sum();
    let of_kind = told.errors.get(kind).copied().unwrap_or(0);
    let counts = told.ok == row.ok && errors == count && of_kind == count;
    let text = format!("{} ok and {:?} instead of {} ok and {count} {kind}", told.ok, told.errors, row.ok);
    told.require(counts, text);
    told.require(ended, seen.status.map_or_else(|| "it hung".to_owned(), |status| format!("it ended with {status}")));
    told.require(told.seconds < SECONDS, format!("it took {:.2} s", told.seconds));
    told.require(seen.left == 0, format!("{} process(es) were left", seen.left));
    let passed = told.short.is_empty();
    Verdict { row: row.name, method: method.to_string(), hung, told, left: seen.left, passed, output: seen.output }
}

const LABEL: usize = 32;
const OURS: usize = 21;
const KIND: usize = 21;
const THEIRS: [usize; 5] = [15, 19, 19, 13, 19];

fn print_head(methods: &[StartMethod]) {
    println!(
        "20 tasks, 2 workers, task 7 faulty: values/errors, seconds, processes left 1.5 s after the supervisor is gone."
    );
    println!(
        "Ours: measured now. Others: measured before, not now (Linux 6.18, 2 processors; HANG: not finished after 9 s):"
    );
    ENGINES.iter().for_each(|(name, version)| println!("  {name}: {version}"));
    print!("\n{:LABEL$}{:KIND$}", "fault", "ours: error");
    methods.iter().for_each(|method| print!("{:OURS$}", method.to_string()));
    print!("| ");
    ENGINES.iter().zip(THEIRS).for_each(|((name, _), width)| print!("{name:width$}"));
    println!();
}

fn print_row(row: &Row, verdicts: &[Verdict]) {
    print!("{:LABEL$}{:KIND$}", row.label, row.errors.1);
    verdicts.iter().for_each(|verdict| print!("{:OURS$}", verdict.to_string()));
    print!("| ");
    published::row(row.name).iter().zip(THEIRS).for_each(|(text, width)| print!("{text:width$}"));
    println!();
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Told { ok, errors, seconds, .. } = &self.told;
        let errors: usize = errors.values().sum();
        let word = if self.passed { "ok" } else { "SHORT" };
        let text = if self.hung {
            format!("HANG {} {word}", self.left)
        } else {
            format!("{ok}/{errors} {seconds:.2}s {} {word}", self.left)
        };
        f.pad(&text)
    }
}

fn print_remarks(verdicts: &[Verdict]) {
    println!();
    for verdict in verdicts {
        if let Some((seconds, text)) = &verdict.told.reported {
            println!("{} ({}): reported after {seconds:.1} s: {text}", verdict.row, verdict.method);
        }
    }
    for verdict in verdicts.iter().filter(|verdict| !verdict.passed) {
        println!("{} ({}) falls short: {}", verdict.row, verdict.method, verdict.told.short.join("; "));
        verdict.output.lines().for_each(|line| println!("    {line}"));
    }
}
