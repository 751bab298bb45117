#![no_main]
use ditto_fuzz::{seeds, targets::sandbox_sdk};

libfuzzer_sys::fuzz_target!(init: seeds("sandbox_sdk", sandbox_sdk::examples), |data: &[u8]| sandbox_sdk::run(data));
