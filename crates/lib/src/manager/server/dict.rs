//! A dictionary: keys and values are bytes.

use std::collections::HashMap;

use super::call::Caller;
use super::values::{append_count, append_option, append_plain};
use crate::error::ErrorKind;
use crate::manager::addend::sum;
use crate::manager::functions::altered;
use crate::manager::protocol::{Blob, DictOp, EntryOp, Fault};

#[derive(Debug, Default)]
pub(super) struct Dict {
    entries: HashMap<Vec<u8>, Entry>,
    /// How many keys there have ever been.
    count: u64,
}

#[derive(Debug)]
struct Entry {
    /// The how-many-th key it is: they are listed in this order, as Python does.
    number: u64,
    value: Vec<u8>,
}

impl Dict {
    pub(super) fn run(&mut self, op: DictOp, out: &mut Vec<u8>) {
        match op {
            DictOp::Len => append_count(self.entries.len(), out),
            DictOp::Keys => self.list(out, |key, _, out| out.extend(key)),
            DictOp::Values => self.list(out, |_, value, out| out.extend(value)),
            DictOp::Items => self.list(out, |key, value, out| {
                out.extend(key);
                out.extend(value);
            }),
            DictOp::Clear => self.entries.clear(),
        }
    }

    pub(super) fn run_at(
        &mut self,
        caller: &Caller,
        key: Blob<'_>,
        op: &EntryOp<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match *op {
            EntryOp::Get => append_option(self.value(key), out),
            EntryOp::Insert(value) => append_option(self.put(key, value.0.to_vec()).as_deref(), out),
            EntryOp::Put(value) => drop(self.put(key, value.0.to_vec())),
            EntryOp::OrInsert(value) => {
                if self.value(key).is_none() {
                    self.put(key, value.0.to_vec());
                }
                out.extend(self.value(key).unwrap_or_default());
            }
            EntryOp::Swap(expected, new) => append_plain(&self.swap(key, expected, new), out),
            EntryOp::Remove => append_option(self.entries.remove(key.0).map(|entry| entry.value).as_deref(), out),
            EntryOp::Delete => append_plain(&self.entries.remove(key.0).is_some(), out),
            EntryOp::Contains => append_plain(&self.value(key).is_some(), out),
            EntryOp::Add(prefix, tag, by) => self.add(key, prefix, tag, by, out)?,
            EntryOp::Alter(function, default, arguments) => {
                let Some(value) = self.value(key).or(default.map(|default| default.0)) else {
                    append_option(None, out);
                    return Ok(());
                };
                let written = caller.call(function, value, arguments.0)?;
                let (result, changed) = altered(&written).ok_or_else(no_alteration)?;
                append_option(Some(result), out);
                self.put(key, changed.to_vec());
            }
        }
        Ok(())
    }

    fn value(&self, key: Blob<'_>) -> Option<&[u8]> {
        self.entries.get(key.0).map(|entry| entry.value.as_slice())
    }

    /// Returns what was there.
    fn put(&mut self, key: Blob<'_>, value: Vec<u8>) -> Option<Vec<u8>> {
        if let Some(entry) = self.entries.get_mut(key.0) {
            return Some(std::mem::replace(&mut entry.value, value));
        }
        self.count += 1;
        self.entries.insert(key.0.to_vec(), Entry { number: self.count, value });
        None
    }

    fn swap(&mut self, key: Blob<'_>, expected: Option<Blob<'_>>, new: Option<Blob<'_>>) -> bool {
        if self.value(key) != expected.map(|expected| expected.0) {
            return false;
        }
        match new {
            Some(new) => drop(self.put(key, new.0.to_vec())),
            None => drop(self.entries.remove(key.0)),
        }
        true
    }

    fn add(&mut self, key: Blob<'_>, prefix: Blob<'_>, tag: u8, by: Blob<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(entry) = self.entries.get_mut(key.0) else {
            // Adding nothing is how the bytes are found to be a number.
            sum(tag, by.0, &vec![0; by.0.len()])?;
            self.put(key, [prefix.0, by.0].concat());
            out.extend(by.0);
            return Ok(());
        };
        let number = entry.value.strip_prefix(prefix.0);
        let number = number.ok_or_else(|| Fault::new(ErrorKind::Mismatch, "what is there is of another type"))?;
        let sum = sum(tag, number, by.0)?;
        out.extend(&sum);
        entry.value.truncate(prefix.0.len());
        entry.value.extend(sum);
        Ok(())
    }

    fn list(&self, out: &mut Vec<u8>, append: impl Fn(&[u8], &[u8], &mut Vec<u8>)) {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(_, entry)| entry.number);
        append_count(entries.len(), out);
        entries.into_iter().for_each(|(key, entry)| append(key, &entry.value, out));
    }
}

/// A function that was not made to change a value.
pub(super) fn no_alteration() -> Fault {
    Fault::new(ErrorKind::Mismatch, "the function does not change values")
}
