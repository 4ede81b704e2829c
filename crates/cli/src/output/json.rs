//! Writes results as JSON: bare values, values beside kept columns, or records.

use super::cells::free_name;
use crate::bind::{Cell, Kept};
use crate::run::{Context, TaskFailure};
use serde_json::json;

const NULL: &[u8] = b"null";

/// Appends the line of `jsonl` output.
pub(super) fn value_line(kept: &Kept, value: Option<&[u8]>, line: &mut Vec<u8>) {
    let value = value.unwrap_or(NULL);
    if kept.names.is_empty() {
        line.extend_from_slice(value);
    } else {
        let mut object = Object::open(line);
        members(&mut object, kept);
        object.member(&free_name(&kept.names), value);
        object.close();
    }
    line.push(b'\n');
}

/// Appends the line of `records` output.
pub(super) fn record_line(index: u64, context: &Context, value: Result<&[u8], &TaskFailure>, line: &mut Vec<u8>) {
    let mut object = Object::open(line);
    object.member("index", index.to_string().as_bytes());
    object.member("file", &text(&context.place.file));
    object.member("line", context.place.line.to_string().as_bytes());
    if !context.kept.names.is_empty() {
        let mut kept = Vec::new();
        let mut inner = Object::open(&mut kept);
        members(&mut inner, &context.kept);
        inner.close();
        object.member("keep", &kept);
    }
    match value {
        Ok(json) => object.member("value", json),
        Err(failure) => object.member("error", error(failure).to_string().as_bytes()),
    }
    object.close();
    line.push(b'\n');
}

fn error(failure: &TaskFailure) -> serde_json::Value {
    let mut error = json!({
        "kind": failure.kind,
        "message": failure.message,
        "attempt": failure.attempt,
        "worker": failure.worker,
        "pid": failure.pid,
        "duration_s": failure.duration.map(|duration| duration.as_secs_f64()),
    });
    if let Some([stdout, stderr]) = &failure.printed {
        error["stdout"] = stdout.as_str().into();
        error["stderr"] = stderr.as_str().into();
    }
    error
}

fn members(object: &mut Object<'_>, kept: &Kept) {
    for (position, name) in kept.names.iter().enumerate() {
        match kept.cells.get(position) {
            Some(Cell::Text(cell)) => object.member(name, &text(cell)),
            Some(Cell::Json(cell)) => object.member(name, cell.as_bytes()),
            Some(Cell::Missing { .. }) | None => object.member(name, NULL),
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a text can always be written to memory")
}

/// Writes members whose values are JSON text already.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    fn member(&mut self, name: &str, value: &[u8]) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(&text(name));
        self.out.push(b':');
        self.out.extend_from_slice(value);
    }

    fn close(self) {
        self.out.push(b'}');
    }
}
