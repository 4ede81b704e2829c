//! Turns one record into the payload of a task.

use super::columns::alike;
use super::keep::{Cell, Kept, KeptNames};
use crate::input::{CellKind, Record, Row, entries};
use ganger::registry::{ArgumentError, Field, TaskEntry};
use std::borrow::Cow;

/// Says where each argument of the task comes from, for the records of one input.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) task: &'static TaskEntry,
    pub(super) slots: Vec<Slot>,
    pub(super) keep: KeepPlan,
    /// How many cells a row has; 0 where there are no rows.
    pub(super) width: usize,
    pub(super) missing: Vec<String>,
}

/// Is the origin of one argument.
#[derive(Debug)]
pub(super) enum Slot {
    /// `--arg`.
    Fixed(String),
    /// The whole line or JSON value.
    Whole,
    /// One cell.
    Column { name: String, index: usize },
    /// Several cells; by name too, when the names are not mere numbers.
    Columns { names: Vec<String>, indices: Vec<usize>, named: bool },
    /// One member of a JSON object.
    Key(String),
    /// Several members of a JSON object.
    Keys(Vec<String>),
}

/// Says what is copied beside the result.
#[derive(Debug)]
pub(super) enum KeepPlan {
    Nothing,
    Line(KeptNames),
    Columns { names: KeptNames, indices: Vec<usize> },
    Keys(KeptNames),
    AllKeys,
}

/// Is what became of a record.
#[derive(Debug)]
pub(crate) enum Conversion {
    /// The arguments of the task.
    Payload(Vec<u8>),
    /// The row has too few cells.
    Short(String),
    /// The record does not fit.
    Bad(String),
}

type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

impl Plan {
    /// Returns the names of kept columns, as far as they are known without a record.
    pub(crate) fn kept_names(&self) -> KeptNames {
        match &self.keep {
            KeepPlan::Nothing | KeepPlan::AllKeys => KeptNames::default(),
            KeepPlan::Line(names) | KeepPlan::Keys(names) | KeepPlan::Columns { names, .. } => names.clone(),
        }
    }

    /// Converts a record, and copies what is kept of it.
    pub(crate) fn convert(&self, record: Record<'_>) -> (Conversion, Kept) {
        let members = match self.members(record) {
            Ok(members) => members,
            Err(problem) => return (Conversion::Bad(problem), self.nothing_kept()),
        };
        let kept = self.kept(record, &members);
        if let Record::Row(row) = record
            && let Some(wrong) = self.wrong_width(row)
        {
            return (wrong, kept);
        }
        let fields: Vec<Field<'_>> = self.slots.iter().map(|slot| self.field(slot, record, &members)).collect();
        match self.task.encode(&fields) {
            Ok(payload) => (Conversion::Payload(payload), kept),
            Err(error) => (Conversion::Bad(self.explain(&error)), kept),
        }
    }

    /// Returns what is kept of a record that could not be read.
    pub(crate) fn nothing_kept(&self) -> Kept {
        Kept { names: self.kept_names(), cells: Vec::new() }
    }

    /// Splits a JSON object if any of its members is wanted.
    fn members<'a>(&self, record: Record<'a>) -> Result<Members<'a>, String> {
        let splits = |slot: &Slot| matches!(slot, Slot::Key(_) | Slot::Keys(_));
        let wanted = self.slots.iter().any(splits) || matches!(self.keep, KeepPlan::Keys(_) | KeepPlan::AllKeys);
        match record {
            Record::Json(text) if wanted => entries(text),
            Record::Json(_) | Record::Line(_) | Record::Row(_) => Ok(Vec::new()),
        }
    }

    fn wrong_width(&self, row: &Row) -> Option<Conversion> {
        let problem = || {
            let cells = if row.len() == 1 { "cell" } else { "cells" };
            format!("the row has {} {cells}, {} are expected", row.len(), self.width)
        };
        match row.len().cmp(&self.width) {
            std::cmp::Ordering::Less => Some(Conversion::Short(problem())),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Conversion::Bad(problem())),
        }
    }

    fn field<'a>(&'a self, slot: &'a Slot, record: Record<'a>, members: &Members<'a>) -> Field<'a> {
        match (slot, record) {
            (Slot::Fixed(text), _) => Field::text(text.as_str()),
            (Slot::Whole, Record::Line(line)) => self.text(line),
            (Slot::Whole, Record::Json(text)) => Field::json(text),
            (Slot::Column { index, .. }, Record::Row(row)) => self.row_field(row, *index),
            (Slot::Columns { names, indices, named }, Record::Row(row)) => {
                // A JSON value alone is the argument, and not the first of several.
                if let [index] = indices[..]
                    && row.kind(index) == CellKind::Json
                {
                    return self.row_field(row, index);
                }
                let cells = indices.iter().map(|index| self.row_field(row, *index)).collect();
                if *named { Field::record(names, cells) } else { Field::List(cells) }
            }
            (Slot::Key(key), Record::Json(_)) => member(key, members),
            (Slot::Keys(keys), Record::Json(_)) => {
                Field::record(keys, keys.iter().map(|key| member(key, members)).collect())
            }
            _ => unreachable!("a plan is made for one kind of record"),
        }
    }

    fn row_field<'a>(&self, row: &'a Row, index: usize) -> Field<'a> {
        match row.kind(index) {
            CellKind::Text => self.text(row.cell(index)),
            CellKind::Null => Field::Missing,
            CellKind::Json => Field::json(row.cell(index)),
        }
    }

    fn text<'a>(&self, text: &'a str) -> Field<'a> {
        if self.is_missing(text) { Field::Missing } else { Field::text(text) }
    }

    fn is_missing(&self, text: &str) -> bool {
        self.missing.iter().any(|marker| marker == text)
    }

    fn kept(&self, record: Record<'_>, members: &Members<'_>) -> Kept {
        let names = self.kept_names();
        let cells = match (&self.keep, record) {
            (KeepPlan::Nothing, _) => Vec::new(),
            (KeepPlan::Line(_), Record::Line(line)) => vec![self.cell(line)],
            (KeepPlan::Columns { indices, .. }, Record::Row(row)) => {
                indices.iter().map(|index| self.row_cell(row, *index)).collect()
            }
            (KeepPlan::Keys(keys), Record::Json(_)) => {
                keys.iter().map(|key| json_cell(text_of(key, members))).collect()
            }
            (KeepPlan::AllKeys, Record::Json(_)) => {
                let names = members.iter().map(|(key, _)| key.clone().into_owned()).collect();
                let cells = members.iter().map(|(_, text)| json_cell(Some(text))).collect();
                return Kept { names, cells };
            }
            _ => unreachable!("a plan is made for one kind of record"),
        };
        Kept { names, cells }
    }

    fn row_cell(&self, row: &Row, index: usize) -> Cell {
        match row.kind(index) {
            _ if index >= row.len() => Cell::absent(),
            CellKind::Text => self.cell(row.cell(index)),
            CellKind::Null => Cell::absent(),
            CellKind::Json => Cell::Json(row.cell(index).to_owned()),
        }
    }

    fn cell(&self, text: &str) -> Cell {
        let text = text.to_owned();
        if self.is_missing(&text) { Cell::Missing { text } } else { Cell::Text(text) }
    }

    /// Names the column or key instead of the argument and its element, where there is one.
    fn explain(&self, error: &ArgumentError) -> String {
        let position = self.task.arguments.iter().position(|argument| argument.name == error.argument());
        let place = match position.map(|position| &self.slots[position]) {
            Some(Slot::Column { name, .. }) => Some(format!("column {name:?}")),
            Some(Slot::Columns { names, .. }) => element(names, error).map(|name| format!("column {name:?}")),
            Some(Slot::Key(name)) => Some(format!("key {name:?}")),
            Some(Slot::Keys(names)) => element(names, error).map(|name| format!("key {name:?}")),
            Some(Slot::Whole) => Some(error.element().map(|element| format!("element {element}")).unwrap_or_default()),
            Some(Slot::Fixed(_)) | None => None,
        };
        let hint =
            position.map_or_else(String::new, |position| missing_hint(self.task.arguments[position].type_name, error));
        match place {
            Some(place) if place.is_empty() => format!("{}{hint}", error.problem()),
            Some(place) => format!("{place}: {}{hint}", error.problem()),
            None => error.to_string(),
        }
    }
}

/// Names `--missing` where the argument may be null and the text is what files write for that.
fn missing_hint(type_name: &str, error: &ArgumentError) -> String {
    let markers = ["NA", "N/A", "", "null", "NULL", "None", "nan", "-", "?", "."];
    let marker = markers.iter().find(|marker| error.problem().starts_with(&format!("{marker:?} is not ")));
    match marker.filter(|_| type_name.contains("Option<")) {
        Some(marker) => format!("; --missing {} makes it null", if marker.is_empty() { "''" } else { marker }),
        None => String::new(),
    }
}

fn element<'a>(names: &'a [String], error: &ArgumentError) -> Option<&'a String> {
    match (names, error.element()) {
        ([only], None) => Some(only),
        (names, Some(element)) => names.get(element),
        (_, None) => None,
    }
}

fn json_cell(text: Option<&str>) -> Cell {
    text.map_or_else(Cell::absent, |text| Cell::Json(text.to_owned()))
}

fn member<'a>(key: &str, members: &Members<'a>) -> Field<'a> {
    text_of(key, members).map_or(Field::Missing, Field::json)
}

/// Finds the value of a key; of a repeated one the last, as JSON parsers do. `-` and `_` are the same unless both occur.
fn text_of<'a>(key: &str, members: &Members<'a>) -> Option<&'a str> {
    let last = |same: fn(&str, &str) -> bool| members.iter().rev().find(|(name, _)| same(name, key));
    last(|a, b| a == b).or_else(|| last(alike)).map(|(_, text)| *text)
}
