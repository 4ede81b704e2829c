//! What `/proc` may say of a process.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ganger_os::fuzz::vitals(bytes));
