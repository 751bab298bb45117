#![no_main]
use ditto_fuzz::{seeds, targets::core_vote};

libfuzzer_sys::fuzz_target!(init: seeds("core_vote", core_vote::examples), |data: &[u8]| core_vote::run(data));
