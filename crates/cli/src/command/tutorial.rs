//! `ganger tutorial`.

use super::print;
use crate::args::TUTORIAL_SETTINGS;
use crate::config::{GangOptions, Settings};
use crate::exit::{self, Abort};
use crate::say::say_escaped;
use crate::signals;
use clap::ArgMatches;
use ganger_tutorial::{Answer, Plan, Report, Row, Scratch, Size, Tutorial};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Runs the tutorials that were asked for, and prints each row when it is there.
pub(super) fn run(matches: &ArgMatches) -> Result<u8, Abort> {
    let settings = Settings::gather_some(&TUTORIAL_SETTINGS, matches, |name| std::env::var_os(name))?;
    let gang = GangOptions::parse(&settings)?;
    let page = matches.get_one::<PathBuf>("timeline");
    page.map_or(Ok(()), |path| check(path))?;
    let plan = Plan {
        tutorials: chosen(matches),
        size: match (matches.get_flag("quick"), matches.get_flag("full")) {
            (true, _) => Size::Quick,
            (false, true) => Size::Full,
            (false, false) => Size::Usual,
        },
        workers: gang.workers.resolve(ganger::cpu_count()),
        record: page.is_some(),
    };
    // The examples are programs of their own: they ask for no start method, but take what was set.
    ganger::force_start_method(gang.start_method.into());
    let report = watched(&plan)?;
    print(&ganger_tutorial::footer(&report, plan.workers))?;
    if let Some(path) = page {
        let written = fs::write(path, ganger_tutorial::page(&report, plan.workers));
        written.map_err(|error| Abort::writing(&path.display().to_string(), &error))?;
        say_escaped(&format!("which worker ran what when: {}", path.display()));
    }
    Ok(verdict(&report))
}

/// Returns the tutorials in their order, each once; all of them where none is named.
fn chosen(matches: &ArgMatches) -> Vec<Tutorial> {
    let named: Vec<Tutorial> = matches.get_many("tutorials").into_iter().flatten().copied().collect();
    Tutorial::ALL.into_iter().filter(|tutorial| named.is_empty() || named.contains(tutorial)).collect()
}

/// Refuses before the run what could not be written to after it.
fn check(path: &Path) -> Result<(), Abort> {
    let wrong = |problem: &str| Abort::usage(format!("--timeline: {}: {problem}", path.display()));
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path {
        _ if path.as_os_str() == "-" => Err(wrong("standard output is for the table: name a file")),
        _ if path.is_dir() => Err(wrong("is a directory: name a file")),
        _ if !directory.is_dir() => Err(wrong("its directory does not exist")),
        _ => Ok(()),
    }
}

/// Runs the plan. A signal that ends it leaves no file.
fn watched(plan: &Plan) -> Result<Report, Abort> {
    let scratch = Scratch::default();
    // However this function ends, by a panic as well: the thread that waits for signals has a handle and does not end.
    let _tidy = Tidy(&scratch);
    let theirs = scratch.clone();
    signals::end_after(move || remove(&theirs))?;
    let mut printed = print(&ganger_tutorial::header()).map(drop);
    let report = ganger_tutorial::run(plan, &scratch, |row| {
        printed = printed.clone().and_then(|()| print(&ganger_tutorial::line(row)).map(drop));
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    printed.map(|()| report)
}

/// Removes the files when it is dropped.
struct Tidy<'a>(&'a Scratch);

impl Drop for Tidy<'_> {
    fn drop(&mut self) {
        remove(self.0);
    }
}

fn remove(scratch: &Scratch) {
    if let Err(error) = scratch.remove() {
        say_escaped(&format!("warning: cannot remove the files of the tutorials: {error}"));
    }
}

/// Says which rows are wrong, and returns the exit code.
fn verdict(report: &Report) -> u8 {
    let mut code = exit::OK;
    for Row { tutorial, workload, answer, .. } in report.wrong() {
        let why = match answer {
            Answer::Failed(why) => why,
            Answer::Equal | Answer::Different => "the parallel answer is not the sequential one",
        };
        say_escaped(&format!("error: {tutorial} {workload}: {why}"));
        code = exit::FAILURES;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_wrong_row_is_enough_to_fail() {
        let row = |answer| Row {
            tutorial: Tutorial::T1,
            workload: "rows".to_owned(),
            sequential: Duration::ZERO,
            parallel: Duration::ZERO,
            answer,
            gang: None,
        };
        let of = |answers: &[Answer]| {
            verdict(&Report { rows: answers.iter().cloned().map(row).collect(), starts: Vec::new() })
        };
        assert_eq!(of(&[Answer::Equal, Answer::Equal]), exit::OK);
        assert_eq!(of(&[Answer::Equal, Answer::Different]), exit::FAILURES);
        assert_eq!(of(&[Answer::Failed("why".to_owned()), Answer::Equal]), exit::FAILURES);
    }

    #[test]
    fn a_page_that_could_not_be_written_is_refused_before_the_run() {
        for (path, problem) in [
            ("-", "--timeline: -: standard output is for the table: name a file"),
            ("/", "--timeline: /: is a directory: name a file"),
            ("/nowhere/page.html", "--timeline: /nowhere/page.html: its directory does not exist"),
        ] {
            assert_eq!(check(Path::new(path)), Err(Abort::usage(problem)));
        }
        assert_eq!(check(Path::new("page.html")), Ok(()));
    }
}
