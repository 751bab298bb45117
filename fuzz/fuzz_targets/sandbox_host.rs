#![no_main]
use ditto_fuzz::{seeds, targets::sandbox_host};

libfuzzer_sys::fuzz_target!(init: seeds("sandbox_host", sandbox_host::examples), |data: &[u8]| sandbox_host::run(data));
