//! The pages of the guide: their Rust programs are doctests of the library, their Python programs are run here.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Includes pages in the documentation, whose programs are tests.
const LIBRARY: &str = include_str!("../src/lib.rs");

#[test]
fn every_page_is_a_doctest_and_every_link_leads_to_a_file() {
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(LIBRARY.contains(&format!("docs/guide/{name}")), "the programs of {name} are not run");
        let text = fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.starts_with("http")) {
            assert!(page.parent().unwrap().join(link).exists(), "{name} has a link to {link}, which is not there");
        }
    }
}

#[test]
fn every_python_program_runs() {
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("SKIP: there is no python3");
        return;
    }
    let mut count = 0;
    for page in pages() {
        for (number, program) in python_blocks(&fs::read_to_string(&page).unwrap()).into_iter().enumerate() {
            let name = format!("{}-{number}.py", page.file_stem().unwrap().display());
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
            fs::write(&file, &program).unwrap();
            let run = Command::new("python3").arg("-W").arg("error").arg(&file).output().unwrap();
            assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
            count += 1;
        }
    }
    assert!(count > 10, "only {count} programs were found");
}

fn pages() -> Vec<PathBuf> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let entries = fs::read_dir(guide).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    assert!(pages.len() > 5, "only {} pages were found", pages.len());
    pages
}

fn python_blocks(page: &str) -> Vec<String> {
    let blocks = page.split("\n```python\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.map(|block| format!("{block}\n")).collect()
}
