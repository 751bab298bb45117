#![no_main]
use ditto_fuzz::{seeds, targets::sandbox_reads};

libfuzzer_sys::fuzz_target!(init: seeds("sandbox_reads", sandbox_reads::examples), |data: &[u8]| sandbox_reads::run(data));
