//! The examples of tutorials T4 and T5 give one answer, byte for byte, serially and under every start method.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;
use std::process::{Command, Output};

use ganger::all_start_methods;

/// Each example, with switches that make it small.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("sums", &["--most", "1000"]),
    ("many_lists", &["--lists", "4", "--size", "20000"]),
    ("images", &["--count", "40", "--size", "30"]),
    ("read_files", &["--count", "40"]),
    ("fill_array", &["--rows", "1000"]),
];

/// The built example. Cargo puts tests into `deps`, and examples into its neighbour; it builds them for `cargo test`, and not
/// for `cargo test --test` of one name.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "there is no {}: run `cargo build -p ganger --examples` first", path.display());
    path
}

fn run(name: &str, switches: &[&str], more: &[&str]) -> Output {
    Command::new(example(name)).args(switches).args(more).output().unwrap()
}

fn answer(name: &str, switches: &[&str], more: &[&str]) -> String {
    let output = run(name, switches, more);
    assert!(output.status.success(), "{name} {more:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn examples_give_the_serial_answer_under_every_start_method() {
    for (name, switches) in EXAMPLES {
        let serial = answer(name, switches, &["--serial"]);
        assert!(!serial.is_empty(), "{name} has no answer");
        for method in all_start_methods() {
            assert_eq!(answer(name, switches, &["--start-method", method.as_str()]), serial, "{name} by {method}");
        }
    }
}

#[test]
fn wrong_switches_and_values_are_named() {
    for (name, switches, named) in [
        ("sums", &["--most", "many"][..], "--most: invalid digit"),
        ("sums", &["--start-method", "threads"], "no start method \"threads\""),
        ("many_lists", &["--lists", "-1"], "--lists: invalid digit"),
        ("images", &["--size", "0"], "--size: 0 is not from 1 to 10000"),
        ("images", &["--size"], "--size needs a value"),
        ("images", &["--out", "/proc/nothing"], "cannot make /proc/nothing"),
        ("images", &["--out", "/proc", "--serial"], "cannot write /proc/image_0.png"),
        ("read_files", &["no such file"], "cannot read no such file"),
        ("read_files", &["no such file", "--serial"], "cannot read no such file"),
        ("fill_array", &["--rows", "0"], "0"),
        ("fill_array", &["--parallel"], "no switch \"--parallel\""),
    ] {
        let output = run(name, switches, &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(named), "{name} {switches:?}: {told}");
        assert!(!told.contains("panicked"), "{name} {switches:?}: {told}");
        assert_eq!(output.status.code(), Some(1), "{name} {switches:?}: {told}");
    }
}

/// The images stay where they were asked for.
#[test]
fn images_are_written_to_the_directory_that_is_named() {
    let directory = std::env::temp_dir().join(format!("ganger-test-images-{}", std::process::id()));
    answer("images", &["--count", "3", "--size", "8"], &["--out", directory.to_str().unwrap()]);
    let mut names: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["image_0.png", "image_1.png", "image_2.png"]);
    std::fs::remove_dir_all(directory).unwrap();
}
