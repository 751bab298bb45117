#![no_main]
use ditto_fuzz::{seeds, targets::sandbox_source};

libfuzzer_sys::fuzz_target!(init: seeds("sandbox_source", sandbox_source::examples), |data: &[u8]| sandbox_source::run(data));
