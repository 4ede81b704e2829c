//! A ring into which somebody has written what he liked.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ganger_os::fuzz::ring(bytes));
