//! Frames as they may arrive on a link.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ganger::fuzz::frames(bytes));
