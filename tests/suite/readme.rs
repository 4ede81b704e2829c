//! The README promises only what a test keeps: every test that it names exists.

use std::path::Path;
use std::process::Command;

pub(crate) const ONCE: crate::Once = table![promises_name_tests_that_exist];

/// The names in backquotes that look like a test's: parts joined by `::`, in lower case.
fn named(readme: &str) -> Vec<&str> {
    let promises = readme.split("## ").find(|part| part.starts_with("What is promised")).unwrap();
    let quoted = promises.split('`').skip(1).step_by(2);
    quoted
        .filter(|name| name.contains("::") && name.chars().all(|c| c.is_alphanumeric() || "_:-".contains(c)))
        .collect()
}

fn promises_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let listed = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let names = named(&readme);
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        // The unit tests of the library are in another binary: their place in its source is looked at instead.
        let (modules, function) = name.rsplit_once("::").unwrap();
        let path = root.join("crates/lib/src").join(modules.replace("::tests", "").replace("::", "/"));
        let sources = [path.with_extension("rs"), path.join("mod.rs")];
        let in_library = sources.iter().filter_map(|source| std::fs::read_to_string(source).ok());
        let exists = listed.lines().any(|line| line.starts_with(name))
            || in_library.into_iter().any(|source| source.contains(&format!("fn {function}(")));
        assert!(exists, "the README names {name}, and there is no such test");
    }
}
