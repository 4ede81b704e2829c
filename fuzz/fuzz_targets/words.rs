//! Claim words, and the numbers beside results.
#![no_main]

libfuzzer_sys::fuzz_target!(|numbers: (u64, u32)| ganger::fuzz::words(numbers.0, numbers.1));
