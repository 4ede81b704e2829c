//! The fault matrix as a table: the cells of the suite, each in a process of its own, with the milliseconds from the first
//! submission of twenty tasks to the last outcome.

use std::process::ExitCode;

use ganger::StartMethod;
use ganger_tests::faults::{FAULTS, Fault, WORKERS, missing, skips};

use crate::told::word;
use crate::watch::watch;

const NAME: usize = 30;
const KIND: usize = 21;
const CELL: usize = 8;

pub(crate) fn run(methods: &[StartMethod], only: Option<&str>) -> ExitCode {
    println!(
        "Milliseconds for 20 tasks of which one commits the fault; {WORKERS:?} workers under each start method.\n"
    );
    print!("{:NAME$}{:KIND$}", "fault", "outcome");
    methods.iter().for_each(|method| print!("{:width$}", method.to_string(), width = CELL * WORKERS.len()));
    println!();
    let mut failures = Vec::new();
    let mut cells = 0;
    for fault in FAULTS.iter().filter(|fault| only.is_none_or(|name| name == fault.name)) {
        print!("{:NAME$}{:KIND$}", fault.name, fault.expected.map_or_else(|| "value".to_owned(), word));
        if let Some(reason) = missing(fault.name) {
            println!("SKIP: {reason}");
            continue;
        }
        for method in methods {
            for workers in WORKERS {
                cells += 1;
                print!("{:CELL$}", cell(fault, *method, workers, &mut failures));
            }
        }
        println!();
    }
    if only.is_none() {
        let nowhere = skips().into_iter().filter(|(name, _)| FAULTS.iter().all(|fault| fault.name != *name));
        nowhere.for_each(|(name, reason)| println!("{name:NAME$}{:KIND$}SKIP: {reason}", ""));
    }
    failures.iter().for_each(|failure| println!("\n{failure}"));
    println!("\n{} of {cells} cells", cells - failures.len());
    if failures.is_empty() && cells > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cell(fault: &Fault, method: StartMethod, workers: usize, failures: &mut Vec<String>) -> String {
    let name = format!("{}/{method}/{workers}", fault.name);
    let seen = watch(&name);
    match &seen.told {
        Some(told) if seen.succeeded() && seen.left == 0 => format!("{:.0}", told.seconds * 1000.0),
        _ => {
            let status = seen.status.map_or_else(|| "it hung".to_owned(), |status| status.to_string());
            failures.push(format!("{name}: {status}, {} left\n{}", seen.left, seen.output));
            "FAIL".to_owned()
        }
    }
}
