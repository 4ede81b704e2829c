//! Functions that `#[ganger::task]` registers, as a user's crate sees them.
#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]

use ganger::registry::{self, Failure, Field, TaskEntry};
use std::collections::BTreeMap;

type Row = Vec<Option<f64>>;
type Fallible<T> = std::result::Result<T, std::num::ParseIntError>;

/// Counts what is present.
///
/// A second paragraph.
#[ganger::task]
fn count_present(row: Row) -> u64 {
    row.iter().flatten().count() as u64
}

/// Divides.
#[ganger::task(name = "divide.by", group = "arithmetic")]
fn divide(dividend: i64, mut divisor: i64) -> Result<i64, String> {
    divisor += 0;
    dividend.checked_div(divisor).ok_or_else(|| format!("{dividend} cannot be divided by {divisor}"))
}

#[ganger::task]
fn hidden_result(text: String) -> Fallible<u8> {
    text.parse()
}

#[ganger::task]
fn io_result(present: bool) -> std::io::Result<()> {
    if present { Ok(()) } else { Err(std::io::ErrorKind::NotFound.into()) }
}

#[ganger::task]
fn nothing() {}

#[ganger::task]
fn bad_keys(r#type: u8) -> BTreeMap<(u8, u8), u8> {
    BTreeMap::from([((r#type, 1), 1)])
}

#[cfg(any())]
#[ganger::task]
fn absent() {}

#[ganger::task]
#[cfg(any())]
fn absent_too() {}

fn find(name: &str) -> &'static TaskEntry {
    registry::find(name).unwrap_or_else(|| panic!("{name} is not registered"))
}

fn call(name: &str, texts: &[&str]) -> Result<String, Failure> {
    let fields: Vec<_> = texts.iter().map(|text| Field::text(*text)).collect();
    let payload = find(name).encode(&fields).expect("the fields fit");
    let mut out = b"kept".to_vec();
    let result = find(name).call(&payload, &mut out);
    let text = String::from_utf8(out).expect("JSON is text");
    let value = text.strip_prefix("kept").expect("a call appends").to_owned();
    assert!(result.is_ok() || value.is_empty(), "a failure left {value:?} behind");
    result.map(|()| value)
}

#[test]
fn the_registry_knows_names_docs_and_signatures() {
    let names: Vec<_> = registry::tasks().unwrap().iter().map(|task| task.name).collect();
    assert_eq!(names, ["bad-keys", "count-present", "divide.by", "hidden-result", "io-result", "nothing"]);
    let task = find("count_present");
    assert_eq!(task.doc, "Counts what is present.\n\nA second paragraph.");
    assert_eq!(task.to_string(), "count-present(row: Row) -> u64");
    assert!(task.location.contains("registry.rs:"), "{}", task.location);
    let task = find("divide.by");
    assert_eq!((task.group, task.doc), ("arithmetic", "Divides."));
    assert_eq!(task.to_string(), "divide.by(dividend: i64, divisor: i64) -> Result<i64, String>");
    assert_eq!(find("bad-keys").to_string(), "bad-keys(type: u8) -> BTreeMap<(u8, u8), u8>");
    assert_eq!(find("nothing").to_string(), "nothing() -> ()");
    assert!(registry::find("divide").is_none());
}

#[test]
fn calls_give_json_or_the_failure() {
    for (name, texts, expected) in [
        ("divide.by", &["7", "2"][..], Ok("3")),
        ("divide.by", &["7", "0"], Err(Failure::Failed("7 cannot be divided by 0".to_owned()))),
        ("count-present", &["[1,null]"], Ok("1")),
        ("hidden-result", &["7"], Ok("7")),
        ("hidden-result", &["x"], Err(Failure::Failed("invalid digit found in string".to_owned()))),
        ("io-result", &["true"], Ok("null")),
        ("io-result", &["false"], Err(Failure::Failed("entity not found".to_owned()))),
        ("nothing", &[], Ok("null")),
        ("bad-keys", &["1"], Err(Failure::NotSerializable("key must be a string".to_owned()))),
    ] {
        assert_eq!(call(name, texts), expected.map(str::to_owned), "{name}({texts:?})");
    }
}

#[test]
fn the_function_stays_callable() {
    assert_eq!(divide(9, 3), Ok(3));
    let pointer: fn(Row) -> u64 = count_present;
    assert_eq!(pointer(vec![None, Some(1.0)]), 1);
}

#[test]
fn payloads_of_others_are_refused() {
    let mut out = Vec::new();
    for payload in [&b""[..], b"\x00", b"\x01", b"\x01\x00\x00", b"\xff123"] {
        let result = find("divide.by").call(payload, &mut out);
        assert!(matches!(result, Err(Failure::NotDeserializable(_))), "{payload:?}: {result:?}");
    }
    // Even a task without arguments does not run for an empty payload.
    assert!(find("nothing").call(b"", &mut out).is_err());
}

#[test]
fn one_argument_can_be_checked_alone() {
    let arguments = find("divide.by").arguments;
    assert_eq!(arguments[1].check(&Field::text("3")), Ok(()));
    let error = arguments[1].check(&Field::text("x")).unwrap_err();
    assert_eq!(error.to_string(), r#"argument "divisor": "x" is not a whole number (i64)"#);
    assert_eq!((error.argument(), error.element()), ("divisor", None));
}
