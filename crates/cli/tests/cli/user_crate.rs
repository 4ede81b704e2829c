//! Does the README's crate, outside of the workspace, have the whole command line?

use crate::harness::{METHODS, Place, example_data, finish};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Builds the crate as its user would, where the build is that is being tested, which has what it depends on; returns its
/// program.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir = root.join("examples/user-crate");
    // With versions of its own it would need the network, and could break on any day.
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).expect("both are in the repository");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("`tmp` is in it");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("build").arg("--manifest-path").arg(dir.join("Cargo.toml")).arg("--target-dir").arg(target);
    // The workspace's profile, or nothing that was built with it could be used here.
    command.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    let output = command.output().expect("cargo runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug/feels-like")
}

#[test]
fn it_maps_its_own_function_and_every_stock_task() {
    let program = build();
    let place = Place::new("user-crate");
    let run = |arguments: &str| {
        let mut command = place.command_of(&program);
        command.args(arguments.split_whitespace());
        finish(command, "")
    };
    let weather = example_data("weather.csv");
    let own = format!("map feels-like --input {weather} --missing NA");
    let serial = run(&format!("{own} --serial"));
    assert_eq!((serial.code, serial.out.lines().next()), (Some(0), Some("39.4885")), "{}", serial.err);
    assert_eq!(serial.out.lines().filter(|line| *line == "null").count(), 1);
    let stock_flags =
        format!("count-in-range --input {weather} --columns temp,dewp,humid --missing NA --arg min=30 --arg max=60");
    let stock = place.gang(&stock_flags, "");
    assert_eq!(stock.code, Some(0), "{}", stock.err);
    for method in METHODS {
        run(&format!("{own} --start-method {method}")).equals(&serial, method);
        run(&format!("map {stock_flags} --start-method {method}")).equals(&stock, method);
    }
    let listed = run("tasks").out;
    assert!(listed.contains("feels-like(temp: Option<f64>, humid: Option<f64>) -> Option<f64>\n"), "{listed}");
    run("map feelslike").gives(2, "", &["did you mean \"feels-like\"? (`feels-like tasks` lists them)"]);
    assert!(run("map --help").out.contains("seq 5 | feels-like map square"));
}

#[test]
fn the_readme_shows_it_in_ten_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let main = fs::read_to_string(root.join("examples/user-crate/src/main.rs")).unwrap();
    let shown = main.split_once("\n\n").expect("its first line describes it").1;
    assert!(fs::read_to_string(root.join("README.md")).unwrap().contains(shown));
    assert!(shown.lines().count() <= 10);
}
