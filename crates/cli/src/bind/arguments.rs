//! Decides where each argument of a task comes from.
//!
//! Rules:
//! 1. `--arg` fixes an argument for all records.
//! 2. Is one argument left, it gets the line, the JSON value, or the columns: all of them or those of `--columns`.
//! 3. Are several left, each gets the column or key of its name. When `--columns` names as many columns as arguments are
//!    left, but not by the arguments' names, they are taken in order; so are the columns of a file without header.
//! 4. Everything else is an error before a task runs.

use super::columns::{find, find_argument, listed};
use super::keep::KeptNames;
use super::plan::{KeepPlan, Plan, Slot};
use crate::config::{InputOptions, Keep};
use crate::exit::Abort;
use crate::nearest::suggestion;
use ganger::registry::{Argument, Field, TaskEntry};

/// Knows the task and what the command line fixes.
#[derive(Debug)]
pub(crate) struct Binder {
    task: &'static TaskEntry,
    /// The text of `--arg`, by position of the argument.
    fixed: Vec<Option<String>>,
    columns: Option<Vec<String>>,
    keep: Keep,
    header: bool,
    missing: Vec<String>,
}

/// Is one argument that a record fills.
type Open = (usize, &'static Argument);

impl Binder {
    /// Checks the fixed arguments.
    pub(crate) fn new(
        task: &'static TaskEntry,
        fixed: &[(String, String)],
        input: &InputOptions,
        keep: Keep,
    ) -> Result<Self, Abort> {
        let binder = Self {
            task,
            fixed: fix(task, fixed)?,
            columns: input.columns.clone(),
            keep,
            header: input.header,
            missing: input.missing.clone(),
        };
        if binder.open().is_empty() && !task.arguments.is_empty() {
            return Err(Abort::usage(format!(
                "--arg fixes every argument of {}, so nothing is left for the records: leave one out",
                task.name
            )));
        }
        Ok(binder)
    }

    /// Plans for records that are lines.
    pub(crate) fn lines(&self) -> Result<Plan, Abort> {
        if self.columns.is_some() {
            return Err(Abort::usage("--columns: lines have no columns; use --format csv, tsv or jsonl"));
        }
        let names: KeptNames = [String::from("line")].into();
        let keep = match &self.keep {
            Keep::Nothing => KeepPlan::Nothing,
            Keep::All => KeepPlan::Line(names),
            Keep::Columns(wanted) if wanted[..] == names[..] => KeepPlan::Line(names),
            Keep::Columns(_) => {
                return Err(Abort::usage("--keep: lines have one column only, named \"line\""));
            }
        };
        match self.open().as_slice() {
            [] => Ok(self.plan(Vec::new(), keep, 0)),
            [open] => Ok(self.plan(vec![(open.0, Slot::Whole)], keep, 0)),
            several => Err(Abort::usage(format!(
                "a line fills one argument, but {} needs {}: fix the others with --arg, or use --format csv or jsonl",
                self.task.name,
                names_of(several)
            ))),
        }
    }

    /// Plans for records that are JSON values.
    pub(crate) fn json(&self) -> Result<Plan, Abort> {
        let slots = match (self.open().as_slice(), &self.columns) {
            ([], _) => Vec::new(),
            ([open], None) => vec![(open.0, Slot::Whole)],
            ([open], Some(keys)) => match keys.as_slice() {
                [key] => vec![(open.0, Slot::Key(key.clone()))],
                keys => vec![(open.0, Slot::Keys(keys.to_vec()))],
            },
            (several, None) => several.iter().map(|open| (open.0, Slot::Key(open.1.name.to_owned()))).collect(),
            (several, Some(keys)) => {
                let chosen = pair(several, keys, true).map_err(|problem| self.unfilled(&problem))?;
                chosen.into_iter().map(|(open, column)| (open.0, Slot::Key(keys[column].clone()))).collect()
            }
        };
        let keep = match &self.keep {
            Keep::Nothing => KeepPlan::Nothing,
            Keep::All => KeepPlan::AllKeys,
            Keep::Columns(keys) => KeepPlan::Keys(keys.as_slice().into()),
        };
        Ok(self.plan(slots, keep, 0))
    }

    /// Plans for the rows of a CSV file with these columns.
    pub(crate) fn rows(&self, file: &str, header: &[String]) -> Result<Plan, Abort> {
        let column = |flag: &str, name: &String| {
            find(name, header).map_err(|problem| Abort::usage(format!("--{flag}: {file}: {problem}")))
        };
        let chosen: Vec<usize> = match &self.columns {
            Some(columns) => columns.iter().map(|name| column("columns", name)).collect::<Result<_, _>>()?,
            None => (0..header.len()).collect(),
        };
        let slots = self.row_slots(file, header, &chosen)?;
        let kept: Vec<usize> = match &self.keep {
            Keep::Nothing => Vec::new(),
            Keep::All => (0..header.len()).collect(),
            Keep::Columns(columns) => columns.iter().map(|name| column("keep", name)).collect::<Result<_, _>>()?,
        };
        let keep = match self.keep {
            Keep::Nothing => KeepPlan::Nothing,
            Keep::All | Keep::Columns(_) => {
                KeepPlan::Columns { names: kept.iter().map(|index| header[*index].clone()).collect(), indices: kept }
            }
        };
        Ok(self.plan(slots, keep, header.len()))
    }

    fn row_slots(&self, file: &str, header: &[String], chosen: &[usize]) -> Result<Vec<(usize, Slot)>, Abort> {
        let names: Vec<String> = chosen.iter().map(|index| header[*index].clone()).collect();
        match self.open().as_slice() {
            [] => Ok(Vec::new()),
            [(position, argument)] => {
                if chosen.len() != 1 && takes_one_value(argument.type_name) {
                    return Err(self.too_many_columns(argument, file, &names));
                }
                let slot = Slot::Columns { names, indices: chosen.to_vec(), named: self.header };
                Ok(vec![(*position, slot)])
            }
            several => {
                let in_order = self.columns.is_some() || !self.header;
                let pairs =
                    pair(several, &names, in_order).map_err(|problem| self.unfilled(&format!("{file}: {problem}")))?;
                let slot = |column: usize| Slot::Column { name: names[column].clone(), index: chosen[column] };
                Ok(pairs.into_iter().map(|(open, column)| (open.0, slot(column))).collect())
            }
        }
    }

    fn open(&self) -> Vec<Open> {
        let arguments = self.task.arguments.iter().enumerate();
        arguments.filter(|(position, _)| self.fixed[*position].is_none()).collect()
    }

    fn plan(&self, mut open: Vec<(usize, Slot)>, keep: KeepPlan, width: usize) -> Plan {
        let fixed = self.fixed.iter().enumerate();
        let fixed = fixed.filter_map(|(position, text)| Some((position, Slot::Fixed(text.clone()?))));
        open.extend(fixed);
        open.sort_by_key(|(position, _)| *position);
        let slots = open.into_iter().map(|(_, slot)| slot).collect();
        Plan { task: self.task, slots, keep, width, missing: self.missing.clone() }
    }

    fn unfilled(&self, problem: &str) -> Abort {
        Abort::usage(format!("{problem} (the task is {})", self.task))
    }

    fn too_many_columns(&self, argument: &Argument, file: &str, names: &[String]) -> Abort {
        Abort::usage(format!(
            "argument {:?} of {} is one value ({}), but {file} offers {} columns: choose one with --columns; {}",
            argument.name,
            self.task.name,
            argument.type_name,
            names.len(),
            listed(names)
        ))
    }
}

/// Puts the texts of `--arg` in the order of the arguments.
fn fix(task: &'static TaskEntry, fixed: &[(String, String)]) -> Result<Vec<Option<String>>, Abort> {
    let names: Vec<String> = task.arguments.iter().map(|argument| argument.name.to_owned()).collect();
    let mut texts = vec![None; names.len()];
    for (name, text) in fixed {
        let Some(position) = find_argument(name, &names) else {
            let near = suggestion(name, names.iter().map(String::as_str));
            return Err(Abort::usage(format!("--arg {name}=...: no such argument{near} (the task is {task})")));
        };
        task.arguments[position]
            .check(&Field::text(text.as_str()))
            .map_err(|error| Abort::usage(format!("--arg {name}=...: {}", error.problem())))?;
        if texts[position].replace(text.clone()).is_some() {
            return Err(Abort::usage(format!("--arg {name}=...: given twice")));
        }
    }
    Ok(texts)
}

/// Finds the column of each argument: by name, else in order when that is allowed and the numbers fit.
fn pair(open: &[Open], names: &[String], in_order: bool) -> Result<Vec<(Open, usize)>, String> {
    let by_name: Vec<Option<usize>> = open.iter().map(|(_, argument)| find_argument(argument.name, names)).collect();
    let Some(unfilled) = by_name.iter().position(Option::is_none) else {
        return Ok(open.iter().copied().zip(by_name.into_iter().flatten()).collect());
    };
    match in_order && names.len() == open.len() {
        true => Ok(open.iter().copied().zip(0..).collect()),
        false => Err(format!(
            "nothing fills argument {:?}: no column has its name and no --arg fixes it; {}",
            open[unfilled].1.name,
            listed(names)
        )),
    }
}

fn names_of(open: &[Open]) -> String {
    let names: Vec<&str> = open.iter().map(|(_, argument)| argument.name).collect();
    names.join(" and ")
}

/// Tells whether a type, as written, certainly takes a single value. Of other types the conversion decides.
fn takes_one_value(type_name: &str) -> bool {
    const SINGLE: [&str; 18] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128", "isize",
        "usize", "String", "PathBuf",
    ];
    let bare = type_name.rsplit("::").next().unwrap_or(type_name);
    let inner = type_name.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>'));
    SINGLE.contains(&bare) && !type_name.contains('<') || inner.is_some_and(takes_one_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_take_one_value() {
        for (name, single) in [
            ("i64", true),
            ("Option<f64>", true),
            ("std::path::PathBuf", true),
            ("Option<std::string::String>", true),
            ("Vec<i64>", false),
            ("Option<Vec<i64>>", false),
            ("(i64, i64)", false),
            ("[f64; 3]", false),
            ("Row", false),
        ] {
            assert_eq!(takes_one_value(name), single, "{name}");
        }
    }
}
