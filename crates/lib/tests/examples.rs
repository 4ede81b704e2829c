//! Each example gives the same answer in one process and in many, under every start method, and leaves no process.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use ganger::StartMethod;
use ganger_tests::{MARK, fresh_mark, marked, wait_until};

/// Every example of `examples/`, with arguments that make it a small one.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("count_in_range", &["2000"]),
    ("cubes", &["500"]),
    ("fill_array", &["--rows", "1000"]),
    ("find_files", &[]),
    ("frame", &["2000"]),
    ("images", &["--count", "40", "--size", "30"]),
    ("many_lists", &["--lists", "4", "--size", "20000"]),
    ("processes_and_a_queue", &[]),
    ("read_files", &["--count", "40"]),
    ("squares", &["100"]),
    ("sums", &["--most", "1000"]),
    ("transactions", &[]),
];

/// What the answers of some of them must contain, as the tutorials that they are from say it.
const TOLD: &[(&str, &str)] = &[
    ("count_in_range", "first counts: [3, 2, 3, 4, 4]"),
    ("cubes", "500 cubes, from [0, 1, 8, 27, 64] to Some(124251499)"),
    ("find_files", "the largest: "),
    ("frame", "by row: 2000 distances"),
    ("images", "40 images of 30 x 30, all as they were written"),
    ("many_lists", "list 3 of 20003 numbers: 200050003"),
    ("processes_and_a_queue", "the cube of 9 is 729"),
    ("squares", "100 squares, the last Some(9801), the sum 328350"),
    ("sums", "1000 numbers: 499500"),
    ("transactions", "19794 parties, "),
    ("transactions", ", 206 rows skipped"),
];

#[test]
fn every_example_is_in_the_table() {
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().path().file_stem().unwrap().to_owned()).collect();
    names.sort();
    let mut known: Vec<_> = EXAMPLES.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[test]
fn answers_are_the_same_without_a_pool_and_under_every_start_method() {
    for (name, arguments) in EXAMPLES {
        let alone = answer(name, &[*arguments, &["--serial"]].concat());
        assert!(!alone.is_empty(), "{name} has no answer");
        for (_, told) in TOLD.iter().filter(|(of, _)| of == name) {
            assert!(alone.contains(told), "{name} does not say {told:?}: {alone}");
        }
        for method in StartMethod::ALL {
            let gang = answer(name, &[*arguments, &["--start-method", method.as_str()]].concat());
            assert_eq!(gang, alone, "{name} under {method}");
        }
    }
}

#[test]
fn wrong_arguments_are_refused() {
    for (name, _) in EXAMPLES {
        let said = refusal(name, &["--start-method", "thread"]);
        assert!(said.contains("no start method"), "{name}: {said}");
        // A number, a file or a directory: whatever the example takes, this is none.
        let said = refusal(name, if *name == "find_files" { &["rs", "nowhere"] } else { &["nowhere"] });
        assert!(said.contains("nowhere"), "{name}: {said}");
    }
}

#[test]
fn bad_input_of_transactions_is_refused_with_its_place() {
    let head = "id,name,address,to,cents\n0,Ann,\"1 High Street, Rome\",1,5\n";
    let cases = [
        (head.replace(',', ";"), "line 1 has 1 column(s), not 5"),
        (format!("{head}1,Bob\n2,Cy,There,0,much\n"), "line 4, column 5 (cents): much is no number"),
        (format!("{head}1,Bob,Here,0,-7\n"), "line 3, column 5 (cents): -7 is no number"),
        (String::new(), "line 1 has 0 column(s), not 5"),
    ];
    for (number, (text, told)) in cases.into_iter().enumerate() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("transactions-{number}.csv"));
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        for arguments in [&[path, "--serial"][..], &[path, "--start-method", "fork"], &[path]] {
            let said = refusal("transactions", arguments);
            assert!(said.contains(told) && said.contains(path), "{arguments:?} does not say {told:?}: {said}");
        }
    }
}

#[test]
fn short_rows_of_transactions_are_skipped_and_counted() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transactions-short.csv");
    std::fs::write(&path, "id,name,address,to,cents\n7,Ann,Here,8,5\n9,Cy\n8,Bob,There,9,6\n").unwrap();
    let path = path.to_str().unwrap();
    let alone = answer("transactions", &[path, "--serial"]);
    // Bob pays Cy, who is not there.
    assert!(alone.starts_with("2 parties, 1 payments, 1 rows skipped\n"), "{alone}");
    assert_eq!(answer("transactions", &[path]), alone);
}

#[test]
fn wrong_switches_of_sums_and_images_are_named() {
    for (name, arguments, told) in [
        ("sums", &["--most", "many"][..], "--most: invalid digit"),
        ("many_lists", &["--lists", "-1"], "--lists: invalid digit"),
        ("images", &["--size", "0"], "--size: 0 is not from 1 to 10000"),
        ("images", &["--size"], "--size needs a value"),
        ("images", &["--out", "/proc/nothing"], "cannot make /proc/nothing"),
        ("images", &["--out", "/proc"], "cannot write /proc/image_0.png"),
        ("images", &["--out", "/proc", "--serial"], "cannot write /proc/image_0.png"),
        ("read_files", &["no such file"], "cannot read no such file"),
        ("read_files", &["no such file", "--serial"], "cannot read no such file"),
        ("fill_array", &["--rows", "0"], "[0, 100]"),
    ] {
        let said = refusal(name, arguments);
        assert!(said.contains(told), "{name} {arguments:?} does not say {told:?}: {said}");
    }
}

#[test]
fn images_stay_in_the_directory_that_is_named() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(fresh_mark());
    answer("images", &["--count", "3", "--size", "8", "--out", directory.to_str().unwrap()]);
    let mut names: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["image_0.png", "image_1.png", "image_2.png"]);
    std::fs::remove_dir_all(directory).unwrap();
}

/// What an example writes to standard output.
fn answer(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {}, {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What an example that fails in order writes to standard error.
fn refusal(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()), "{name} {arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{name} {arguments:?}: {said}");
    said
}

/// Runs an example, and waits until nothing is left that it started.
fn run(name: &str, arguments: &[&str]) -> Output {
    let mark = fresh_mark();
    let example = directory().join(name);
    let output = Command::new(&example).args(arguments).env(MARK, &mark).output().unwrap_or_else(|error| {
        panic!("{} (which `cargo build -p ganger --examples` makes) cannot be run: {error}", example.display())
    });
    wait_until(
        &format!("{name} {arguments:?} has left nothing"),
        Duration::from_secs(10),
        || marked(&mark),
        Vec::is_empty,
    );
    output
}

/// Where the examples are that were built together with this test.
fn directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples")
}
