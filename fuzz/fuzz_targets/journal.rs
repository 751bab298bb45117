#![no_main]
use ditto_fuzz::{seeds, targets::journal};

libfuzzer_sys::fuzz_target!(init: seeds("journal", journal::examples), |data: &[u8]| journal::run(data));
