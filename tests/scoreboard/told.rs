//! What a cell tells the scoreboard, by a file: whatever happens to the cell afterwards, it stays.

use std::collections::BTreeMap;

use ganger::{TaskError, TaskErrorKind};
use ganger_tests::scratch;
use serde::{Deserialize, Serialize};

/// The outcomes of twenty tasks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) ok: usize,
    /// How many errors of which kind there are.
    pub(crate) errors: BTreeMap<String, usize>,
    /// From the first submission to the last outcome; of what had to be cancelled, from the cancelling to its outcome.
    pub(crate) seconds: f64,
    /// When what nobody had set a limit for was reported, and in which words.
    pub(crate) reported: Option<(f64, String)>,
    /// What the row has to keep beside its counts, and has not kept.
    pub(crate) short: Vec<String>,
}

pub(crate) const FILE: &str = "told.json";

impl Told {
    pub(crate) fn count<V>(&mut self, outcome: &Result<V, TaskError>) {
        match outcome {
            Ok(_) => self.ok += 1,
            Err(error) => *self.errors.entry(word(error.kind())).or_default() += 1,
        }
    }

    pub(crate) fn require(&mut self, kept: bool, what: impl Into<String>) {
        if !kept {
            self.short.push(what.into());
        }
    }

    pub(crate) fn tell(&self) {
        std::fs::write(scratch(FILE), serde_json::to_string(self).unwrap()).unwrap();
    }
}

/// A kind with its number: `"killed 9"`.
pub(crate) fn word(kind: TaskErrorKind) -> String {
    match kind {
        TaskErrorKind::Killed(number) | TaskErrorKind::Exited(number) => format!("{} {number}", kind.as_str()),
        _ => kind.as_str().to_owned(),
    }
}
