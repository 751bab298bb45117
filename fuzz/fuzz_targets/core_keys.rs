#![no_main]
use ditto_fuzz::{seeds, targets::core_keys};

libfuzzer_sys::fuzz_target!(init: seeds("core_keys", core_keys::examples), |data: &[u8]| core_keys::run(data));
