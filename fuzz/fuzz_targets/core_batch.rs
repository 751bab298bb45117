#![no_main]
use ditto_fuzz::{seeds, targets::core_batch};

libfuzzer_sys::fuzz_target!(init: seeds("core_batch", core_batch::examples), |data: &[u8]| core_batch::run(data));
