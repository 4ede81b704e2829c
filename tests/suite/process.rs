//! Processes of their own: start, end, result, and what is left of them.

use ganger::{Process, StartMethod};

use crate::kit::square;

pub(crate) const CONTRACT: crate::Contract = table![process_returns_its_value];

pub(crate) const ONCE: crate::Once = table![];

fn process_returns_its_value(method: StartMethod) {
    let mut process = Process::builder().start_method(method).build(square, (12,));
    process.start().unwrap();
    assert_eq!(process.result().unwrap(), 144);
    assert_eq!(process.exit_code().unwrap(), Some(0));
    process.close().unwrap();
}
