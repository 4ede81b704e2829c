//! Do the tutorials give the same in one process and in a gang, and do they leave nothing?

use crate::harness::{METHODS, Place, finish};
use crate::processes::wait_until;
use crate::running::{Finished, Running};
use nix::sys::signal::Signal;
use roxmltree::{Document, Node, ParsingOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(120);

/// A run of the tutorials whose files are in a directory of the test's own.
struct Tutorial {
    place: Place,
    files: PathBuf,
}

impl Tutorial {
    fn new(name: &str) -> Self {
        let place = Place::new(name);
        let files = place.path("files");
        fs::create_dir(&files).expect("the test's directory is writable");
        Self { place, files }
    }

    /// Prepares a run that heeds all signals, even if these tests were started by something that ignores them.
    fn command(&self, flags: &str) -> Command {
        let mut command = self.place.command_of("env");
        command.arg("--default-signal").arg(self.place.command().get_program()).arg("tutorial");
        command.args(flags.split_whitespace()).env("TMPDIR", &self.files);
        command
    }

    fn run(&self, flags: &str) -> Finished {
        finish(self.command(flags), "")
    }

    /// What is in the directory where the run makes its own.
    fn made(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.files).expect("it was made");
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
    }

    /// Whether a file has come into this directory of the run's.
    fn has_begun(&self, name: &str) -> bool {
        let directories = self.made().into_iter().map(|path| path.join(name));
        directories.filter_map(|path| fs::read_dir(path).ok()).any(|mut files| files.next().is_some())
    }

    #[track_caller]
    fn has_left_nothing(&self) {
        self.place.audit();
        assert_eq!(self.made(), Vec::<PathBuf>::new());
    }
}

/// The rows of a table: tutorial, what it is, and whether both answers are equal.
fn rows(table: &str) -> Vec<(&str, &str, &str)> {
    let lines = table.lines().skip(1).take_while(|line| !line.is_empty());
    let split = lines.map(|line| {
        let (tutorial, rest) = line.split_once("  ").expect("its name comes first");
        let (workload, figures) = rest.split_once("  ").expect("figures follow");
        (tutorial, workload, figures.split_whitespace().last().expect("the answer comes last"))
    });
    split.collect()
}

#[test]
fn every_answer_is_equal_under_every_start_method() {
    for method in METHODS {
        let tutorial = Tutorial::new("tutorial");
        let finished = tutorial.run(&format!("--quick -j 2 --start-method {method} --timeline page.html"));
        assert_eq!((finished.code, finished.err.as_str()), (Some(0), "which worker ran what when: page.html\n"));
        let rows = rows(&finished.out);
        for (name, least) in [("T1", 1), ("T2", 8), ("T3", 6), ("T4", 8), ("T5", 3)] {
            let count = rows.iter().filter(|row| row.0 == name).count();
            assert!(count >= least, "{name} has {count} rows: {}", finished.out);
        }
        assert!(rows.iter().all(|row| row.2 == "equal"), "{}", finished.out);
        let all = rows.len();
        assert!(finished.out.contains(&format!("\n\n{all} of {all} answers are equal. ")), "{}", finished.out);
        assert!(finished.out.contains(&format!("under {method} that took ")), "{}", finished.out);
        tutorial.has_left_nothing();
        check_page(&tutorial.place.path("page.html"), &rows);
    }
}

/// Checks a page: a picture for each row but that of processes, a lane for each worker, no two bars at one time in it.
fn check_page(path: &Path, rows: &[(&str, &str, &str)]) {
    let page = fs::read_to_string(path).expect("it was written");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let options = ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = Document::parse_with_options(&page, options).unwrap_or_else(|error| panic!("{error}"));
    let sections = document.descendants().filter(|node| node.has_tag_name("section"));
    let pictures = rows.iter().filter(|(_, workload, _)| !workload.ends_with("by processes, and a queue"));
    assert_eq!((sections.clone().count(), pictures.clone().count()), (rows.len() - 1, rows.len() - 1));
    for (section, (_, workload, _)) in sections.zip(pictures) {
        let expected = match workload {
            _ if workload.contains("8 workers") => 8,
            _ if workload.contains("3 workers") || workload.contains("8 other ways") => 3,
            _ => 2,
        };
        let lanes = of_class(section, "lane");
        assert_eq!(lanes.len(), expected, "{workload}");
        let mut bars = 0;
        for (worker, lane) in lanes.into_iter().enumerate() {
            assert_eq!(lane.attribute("data-worker"), Some(worker.to_string().as_str()), "{workload}");
            let places: Vec<(f64, f64)> = of_class(lane, "bar").into_iter().map(ends).collect();
            // Numbers of the page are rounded to a hundredth of a pixel.
            assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 0.021), "{workload}: {places:?}");
            bars += places.len();
        }
        assert!((1..=150).contains(&bars), "{workload}: {bars} bars");
    }
}

fn of_class<'a, 'b>(node: Node<'a, 'b>, class: &str) -> Vec<Node<'a, 'b>> {
    node.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

/// Where a bar begins and ends.
fn ends(bar: Node<'_, '_>) -> (f64, f64) {
    let number = |name| bar.attribute(name).and_then(|text| text.parse::<f64>().ok()).expect("it has a place");
    (number("x"), number("x") + number("width"))
}

#[test]
fn only_what_was_asked_for_is_run_in_its_order() {
    let tutorial = Tutorial::new("some");
    let mut command = tutorial.command("t3 T1 T1 --quick");
    command.env("GANGER_WORKERS", "3").env("GANGER_START_METHOD", "fork");
    let finished = finish(command, "");
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
    let mut names: Vec<&str> = rows(&finished.out).into_iter().map(|row| row.0).collect();
    names.dedup();
    assert_eq!(names, ["T1", "T3"], "{}", finished.out);
    assert!(finished.out.contains("Pools have 3 workers") && finished.out.contains("under fork"), "{}", finished.out);
    assert!(!tutorial.place.path("ganger-tutorial.html").exists(), "nobody has asked for a page");
}

#[test]
fn wrong_words_are_refused_with_the_right_ones() {
    let tutorial = Tutorial::new("refused");
    for (flags, answer) in [
        ("T6", "invalid value 'T6' for '[T1..T5]...'\n  [possible values: T1, T2, T3, T4, T5]"),
        ("--quick --full", "'--quick' cannot be used with '--full'"),
        ("--jobs 3", "tip: --workers N, or -j N"),
        ("-j 0", "--workers: \"0\" is no worker"),
        ("--start-method thread", "possible values: forkserver, spawn, fork"),
        ("--timeline -", "--timeline: -: standard output is for the table: name a file"),
        ("--timeline .", "--timeline: .: is a directory: name a file"),
        ("--timeline nowhere/page.html", "--timeline: nowhere/page.html: its directory does not exist"),
    ] {
        tutorial.run(flags).gives(2, "", &[answer]);
    }
    // What helps a task's user would mislead here.
    assert!(!tutorial.run("--min 3").err.contains("--arg"));
    let help = tutorial.run("--help");
    assert!(
        help.out.contains("T4: sums in a manager's dictionary") && help.out.contains("GANGER_WORKERS"),
        "{}",
        help.out
    );
}

#[test]
fn rows_that_fail_are_named_and_the_others_are_run() {
    let tutorial = Tutorial::new("failing");
    let mut command = tutorial.command("T4 T5 --quick");
    command.env("TMPDIR", tutorial.place.path("nowhere"));
    let finished = finish(command, "");
    assert_eq!(finished.code, Some(1), "{}", finished.out);
    let rows = rows(&finished.out);
    assert!(rows.iter().filter(|row| row.0 == "T4").all(|row| row.2 == "equal"), "{}", finished.out);
    assert_eq!(rows.last(), Some(&("T5", "what its rows need", "FAILED")), "{}", finished.out);
    let all = rows.len();
    assert!(finished.out.contains(&format!("\n{} of {all} answers are equal.", all - 1)), "{}", finished.out);
    assert!(finished.err.contains("error: T5 what its rows need: cannot make a directory in "), "{}", finished.err);
}

#[test]
fn page_that_cannot_be_written_has_its_exit_code() {
    let finished = Tutorial::new("full").run("T1 --quick --timeline /dev/full");
    assert_eq!(finished.code, Some(74), "{}", finished.err);
    assert!(finished.err.contains("cannot write /dev/full: No space left on device"), "{}", finished.err);
}

#[test]
fn signals_leave_no_process_and_no_file() {
    for (method, signal, begun) in [
        ("forkserver", Signal::SIGINT, "images-parallel"),
        ("spawn", Signal::SIGINT, "images-sequential"),
        ("fork", Signal::SIGINT, "images-parallel"),
        ("forkserver", Signal::SIGTERM, "images-sequential"),
        ("fork", Signal::SIGHUP, "images-sequential"),
    ] {
        let tutorial = Tutorial::new("interrupted");
        let running = Running::start(tutorial.command(&format!("T5 --start-method {method}")));
        wait_until(LIMIT, || if tutorial.has_begun(begun) { Ok(()) } else { Err(running.err()) });
        running.signal(signal);
        let finished = running.finish(LIMIT);
        assert_eq!((finished.signal, finished.err.as_str()), (Some(signal), ""), "{method}, {begun}");
        assert!(!finished.out.contains("answers are equal"), "it has ended before: {}", finished.out);
        tutorial.has_left_nothing();
    }
}

#[test]
fn nobody_who_reads_ends_it_quietly() {
    let tutorial = Tutorial::new("unread");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = tutorial.command("T5 --quick");
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]));
    tutorial.has_left_nothing();
}
