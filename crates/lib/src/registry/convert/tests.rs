//! The table at `Field`, as tests.

use super::super::expansion::check_argument;
use super::*;
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

#[track_caller]
fn gives<T: DeserializeOwned + PartialEq + Debug>(field: &Field<'_>, expected: T) {
    assert_eq!(T::deserialize(Reader(field)).map_err(|e| e.to_string()), Ok(expected), "{field:?}");
}

#[track_caller]
fn fails<T: DeserializeOwned>(field: &Field<'_>, message: &str) {
    let error = check_argument::<T>("a", field).unwrap_err().to_string();
    assert_eq!(error, format!("argument \"a\"{message}"), "{field:?}");
}

fn list(texts: &[&'static str]) -> Field<'static> {
    Field::List(texts.iter().map(|text| Field::text(*text)).collect())
}

#[derive(Deserialize, Debug, PartialEq)]
struct Row {
    temp: Option<f64>,
    place: String,
}

#[derive(Deserialize, Debug, PartialEq)]
enum Mode {
    Fast,
    Slow(u8),
}

#[derive(Deserialize, Debug, PartialEq)]
struct Celsius(f64);

#[test]
fn the_declared_type_decides() {
    let text = Field::text;
    gives(&text("007"), "007".to_owned());
    gives(&text(" 7\t"), " 7\t".to_owned());
    gives(&text("007"), 7_i64);
    gives(&text(" 7\t"), 7_u8);
    gives(&text("+7"), 7_i8);
    gives(&text("-170141183460469231731687303715884105728"), i128::MIN);
    gives(&text("1e3"), 1000.0);
    gives(&text("-inf"), f64::NEG_INFINITY);
    gives(&text("TRUE"), true);
    gives(&text("0"), false);
    gives(&text("ä"), 'ä');
    gives(&text("/tmp/x y"), PathBuf::from("/tmp/x y"));
    gives(&text("Fast"), Mode::Fast);
    gives(&text(r#"{"Slow":3}"#), Mode::Slow(3));
    gives(&text("21.5"), Celsius(21.5));
    gives(&text("5"), Some(5_i32));
    gives(&text(""), Some(String::new()));
    gives(&Field::Missing, None::<f64>);
    gives(&text("[1, 2,3]"), vec![1, 2, 3]);
    gives(&text(r#"{"a":1}"#), BTreeMap::from([("a".to_owned(), 1)]));
}

#[test]
fn json_keeps_its_types_and_digits() {
    gives(&Field::json("9007199254740993"), 9_007_199_254_740_993_i64);
    gives(&Field::json("0.1000000000000000055511151231257827"), 0.1);
    gives(&Field::json(" null "), None::<i64>);
    gives(&Field::json(r#""x\n""#), "x\n".to_owned());
    gives(&Field::json("[1,null]"), vec![Some(1.0), None]);
    fails::<i64>(&Field::json(r#""7""#), r#": "\"7\"" does not fit: invalid type: string "7", expected i64"#);
    fails::<String>(&Field::json("7"), r#": "7" does not fit: invalid type: integer `7`, expected a string"#);
    fails::<i64>(&Field::json("7 8"), r#": "7 8" does not fit: trailing characters"#);
    fails::<Vec<f64>>(
        &Field::json("[1,2,true]"),
        r#", element 2: "true" does not fit: invalid type: boolean `true`, expected f64"#,
    );
}

#[test]
fn lists_and_records_fill_containers() {
    let row = || Field::List(vec![Field::text("1.5"), Field::Missing, Field::text("2")]);
    gives(&row(), vec![Some(1.5), None, Some(2.0)]);
    gives(&list(&["1", "x"]), (1_u8, "x".to_owned()));
    gives(&list(&["1", "2"]), [1_u8, 2]);
    gives(&list(&["7"]), 7_i64);
    gives(&list(&["7"]), vec![7_i64]);
    gives(&list(&["1.5", "JFK"]), Row { temp: Some(1.5), place: "JFK".to_owned() });

    let names = ["place".to_owned(), "wind".to_owned(), "temp".to_owned()];
    let record = || Field::record(&names, vec![Field::text("JFK"), Field::text("x"), Field::Missing]);
    gives(&record(), Row { temp: None, place: "JFK".to_owned() });
    gives(&record(), vec![Some("JFK".to_owned()), Some("x".to_owned()), None]);
    gives(&Field::record(&names[2..], vec![Field::Missing]), None::<f64>);
}

#[test]
fn errors_name_element_value_and_type() {
    let text = Field::text;
    fails::<f64>(&text("abc"), r#": "abc" is not a number (f64)"#);
    fails::<f64>(&text(""), r#": "" is not a number (f64)"#);
    fails::<f64>(&text("1e999"), r#": "1e999" is out of range (f64)"#);
    fails::<i64>(&text("1.5"), r#": "1.5" is not a whole number (i64)"#);
    fails::<u8>(&text("300"), r#": "300" is out of range (u8)"#);
    fails::<u8>(&text("-1"), r#": "-1" is not a whole number (u8)"#);
    fails::<bool>(&text("yes"), r#": "yes" is not true or false (bool)"#);
    fails::<char>(&text("ab"), r#": "ab" is not one character (char)"#);
    fails::<Mode>(&text("fast"), r#": "fast" is none of Fast, Slow"#);
    fails::<f64>(&Field::Missing, ": is missing, a number (f64) is expected");
    fails::<Vec<f64>>(&list(&["1", "2", "abc"]), r#", element 2: "abc" is not a number (f64)"#);
    fails::<Vec<f64>>(
        &text("[1,true]"),
        r#", element 1: "true" does not fit: invalid type: boolean `true`, expected f64"#,
    );
    fails::<Vec<f64>>(&text("1,2"), r#": "1,2" is not a list such as [1,2,3]"#);
    fails::<Vec<f64>>(&Field::List(vec![Field::Missing]), ", element 0: is missing, a number (f64) is expected");
    fails::<f64>(&list(&["1", "2"]), ": has 2 values, one is expected: a number (f64)");
    fails::<(u8, u8)>(&list(&["1", "2", "3"]), ": has 3 values, 2 are expected");
    fails::<(u8, u8)>(&list(&["1"]), ": invalid length 1, expected a tuple of size 2");
    fails::<Row>(&text("x"), r#": "x" is not an object such as {"key":1}"#);
}
