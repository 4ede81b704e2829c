//! Packets of supervisor and guardian, and orders to a fresh process.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ganger_os::fuzz::packets(bytes));
