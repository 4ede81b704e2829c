//! Bytes that a worker may give for a value.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ganger::fuzz::values(bytes));
