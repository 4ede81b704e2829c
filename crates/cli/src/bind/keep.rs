//! Input columns that are copied beside the result.

use std::sync::Arc;

/// Names kept columns; shared by all records of a CSV file.
pub(crate) type KeptNames = Arc<[String]>;

/// Holds what one record hands on to its result.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) names: KeptNames,
    pub(crate) cells: Vec<Cell>,
}

/// Is one copied value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A marker of `--missing`, or a key that the record lacks; `text` is what the input has.
    Missing {
        text: String,
    },
    Text(String),
    /// The text of a JSON value.
    Json(String),
}

impl Cell {
    /// Returns what stands for a value that the record lacks.
    pub(super) fn absent() -> Self {
        Self::Missing { text: String::new() }
    }
}
