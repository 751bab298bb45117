#![no_main]
use ditto_fuzz::{seeds, targets::triggers};

libfuzzer_sys::fuzz_target!(init: seeds("triggers", triggers::examples), |data: &[u8]| triggers::run(data));
