//! A list: its elements are bytes.

use std::collections::VecDeque;

use super::call::Caller;
use super::dict::no_alteration;
use super::values::{append_count, append_option, append_plain};
use crate::manager::addend::sum;
use crate::manager::functions::altered;
use crate::manager::protocol::{Blob, Fault, Function, ListOp};
use crate::wire::codec::decode_first;

#[derive(Debug, Default)]
pub(super) struct List {
    elements: VecDeque<Vec<u8>>,
}

impl List {
    pub(super) fn run(&mut self, caller: &Caller, op: &ListOp<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        match *op {
            ListOp::Push(value) => self.elements.push_back(value.0.to_vec()),
            ListOp::Pop => append_option(self.elements.pop_back().as_deref(), out),
            ListOp::Insert(index, value) => {
                let index = self.clamped(index);
                self.elements.insert(index, value.0.to_vec());
            }
            ListOp::Remove(index) => append_option(self.elements.remove(place(index)).as_deref(), out),
            ListOp::Get(index) => append_option(self.elements.get(place(index)).map(Vec::as_slice), out),
            ListOp::Set(index, value) => {
                let element = self.elements.get_mut(place(index));
                let before = element.map(|element| std::mem::replace(element, value.0.to_vec()));
                append_option(before.as_deref(), out);
            }
            ListOp::Add(index, tag, by) => self.add(index, tag, by, out)?,
            ListOp::Alter(index, function, arguments) => self.alter(caller, index, function, arguments, out)?,
            ListOp::AlterAll(function, arguments) => self.alter_all(caller, function, arguments, out)?,
            ListOp::Slice(start, end) => self.slice(start, end, out),
            ListOp::Len => append_count(self.elements.len(), out),
            ListOp::Clear => self.elements.clear(),
        }
        Ok(())
    }

    fn clamped(&self, index: u64) -> usize {
        place(index).min(self.elements.len())
    }

    fn slice(&self, start: u64, end: u64, out: &mut Vec<u8>) {
        let end = self.clamped(end);
        let start = self.clamped(start).min(end);
        append_count(end - start, out);
        self.elements.range(start..end).for_each(|element| out.extend(element));
    }

    fn add(&mut self, index: u64, tag: u8, by: Blob<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(element) = self.elements.get_mut(place(index)) else {
            append_option(None, out);
            return Ok(());
        };
        *element = sum(tag, element, by.0)?;
        append_option(Some(element), out);
        Ok(())
    }

    fn alter(
        &mut self,
        caller: &Caller,
        index: u64,
        function: Function,
        arguments: Blob<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(element) = self.elements.get_mut(place(index)) else {
            append_option(None, out);
            return Ok(());
        };
        let written = caller.call(function, element, arguments.0)?;
        let (result, changed) = altered(&written).ok_or_else(no_alteration)?;
        append_option(Some(result), out);
        *element = changed.to_vec();
        Ok(())
    }

    /// The function gets and returns the elements' own bytes: where one ends and the next begins only it can tell.
    fn alter_all(
        &mut self,
        caller: &Caller,
        function: Function,
        arguments: Blob<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut all = Vec::new();
        append_count(self.elements.len(), &mut all);
        self.elements.iter().for_each(|element| append_blob(element, &mut all));
        let written = caller.call(function, &all, arguments.0)?;
        let (result, changed) = altered(&written).ok_or_else(no_alteration)?;
        self.elements = elements(changed)?;
        out.extend(result);
        Ok(())
    }
}

fn append_blob(bytes: &[u8], out: &mut Vec<u8>) {
    append_plain(&Blob(bytes), out);
}

/// Reads what `Elements` in `manager/list.rs` has written.
fn elements(bytes: &[u8]) -> Result<VecDeque<Vec<u8>>, Fault> {
    let (blobs, _) = decode_first::<Vec<Blob<'_>>>(bytes).map_err(|_| no_alteration())?;
    Ok(blobs.into_iter().map(|blob| blob.0.to_vec()).collect())
}

/// An index that no list has stands for one that is too large.
fn place(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
