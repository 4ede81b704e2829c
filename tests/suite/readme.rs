//! The documents promise only what a test keeps: every test that they name exists.

use std::path::Path;
use std::process::Command;

pub(crate) const ONCE: crate::Once = table![promises_name_tests_that_exist];

/// Where tests are named: the document, its part, and how many names there are at least.
const NAMED: [(&str, &str, usize); 2] =
    [("README.md", "What is promised", 10), ("docs/faults.md", "What Python's own tests ask for", 30)];

/// The names in backquotes that look like a test's: parts joined by `::`, in lower case.
fn named<'a>(document: &'a str, part: &str) -> Vec<&'a str> {
    let part = document.split("\n## ").find(|text| text.starts_with(part)).unwrap();
    let quoted = part.split('`').skip(1).step_by(2);
    quoted
        .filter(|name| name.contains("::") && name.chars().all(|c| c.is_alphanumeric() || "_:-".contains(c)))
        .collect()
}

/// Where tests of other binaries are: the library's unit tests, and those of the command line.
const ELSEWHERE: [&str; 2] = ["crates/lib/src", "crates/cli/tests/cli"];

/// Whether the source of a module has that function.
fn has(root: &Path, name: &str) -> bool {
    let (modules, function) = name.rsplit_once("::").unwrap();
    let module = modules.replace("::tests", "").replace("::", "/");
    let files = ELSEWHERE.iter().flat_map(|place| ["rs", "mod.rs"].map(|end| (root.join(place).join(&module), end)));
    files
        .map(|(path, end)| if end == "rs" { path.with_extension(end) } else { path.join(end) })
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .any(|source| source.contains(&format!("fn {function}(")))
}

fn promises_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let listed = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap();
    for (document, part, least) in NAMED {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let names = named(&text, part);
        assert!(names.len() > least, "{document}: {names:?}");
        for name in names {
            let exists = listed.lines().any(|line| line.starts_with(name)) || has(root, name);
            assert!(exists, "{document} names {name}, and there is no such test");
        }
    }
}
