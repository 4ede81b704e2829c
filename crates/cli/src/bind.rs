//! Binds the fields of records to the arguments of a task.

mod arguments;
mod columns;
mod keep;
mod plan;

pub(crate) use arguments::Binder;
pub(crate) use keep::{Cell, Kept, KeptNames};
pub(crate) use plan::{Conversion, Plan};
