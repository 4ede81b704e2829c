//! The guide from Python names every public name of `multiprocessing`, and no name of ours that does not exist.
#![forbid(unsafe_code)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

const GUIDE: &str = include_str!("../../../docs/guide/from-python.md");
const PYTHON_NAMES: &str = include_str!("guide/python-names.txt");
const HEAD: &str = "| Python | ganger | differences and reasons |";

struct Row<'a> {
    line: usize,
    python: &'a str,
    ganger: &'a str,
}

#[test]
fn every_row_has_a_name_of_python_and_a_link_or_a_dash() {
    let rows = rows();
    assert!(rows.len() > 100, "only {} rows were found", rows.len());
    for row in rows {
        assert!(!code_spans(row.python).is_empty(), "line {}: no name in the Python column", row.line);
        let linked = row.ganger.contains("[`") && row.ganger.contains("`]");
        assert!(linked || row.ganger == "-", "line {}: neither a link nor `-`: {:?}", row.line, row.ganger);
    }
}

#[test]
fn every_public_name_of_multiprocessing_has_a_row() {
    let rows = rows();
    let named: Vec<&str> = rows.iter().flat_map(|row| code_spans(row.python)).collect();
    let names: Vec<&str> = PYTHON_NAMES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(names.len() > 300, "only {} names were found", names.len());
    let missing: Vec<&str> = names.into_iter().filter(|name| !named.iter().any(|span| covers(span, name))).collect();
    assert!(missing.is_empty(), "no row of the guide has {missing:?}");
}

#[test]
fn every_linked_name_exists() {
    let built = Command::new(env!("CARGO"))
        // In the usual directory: who runs tests has let go of its lock, and what the library depends on is there.
        .args(["doc", "--package", "ganger", "--no-deps", "--quiet", "--offline", "--target-dir"])
        .arg(target())
        // Cargo does not notice that a page outside of the package has changed; it does notice other flags.
        .env("RUSTDOCFLAGS", format!("-D rustdoc::broken_intra_doc_links --cfg guide_{:x}", hash(GUIDE)))
        .current_dir(workspace())
        .output()
        .expect("cargo runs this test, so it is there");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// The directory in which this test was built.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("`tmp` is in it")
}

/// The rows of all of the guide's tables that have its three columns.
fn rows() -> Vec<Row<'static>> {
    let mut inside = false;
    let mut rows = Vec::new();
    for (index, text) in GUIDE.lines().enumerate() {
        inside = text == HEAD || (inside && text.starts_with('|'));
        if inside && text != HEAD && !text.starts_with("|---") {
            rows.push(row(index + 1, text));
        }
    }
    rows
}

fn row(line: usize, text: &'static str) -> Row<'static> {
    let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
    let [python, ganger, _] = cells[..] else { panic!("line {line} has {} columns: {text}", cells.len()) };
    Row { line, python, ganger }
}

/// What stands between backticks.
fn code_spans(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether a name of the Python column is this one, or `Class.*` for all that the class has.
fn covers(span: &str, name: &str) -> bool {
    let members = span.strip_suffix('*').filter(|class| class.ends_with('.'));
    span == name || members.is_some_and(|class| name.starts_with(class))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
