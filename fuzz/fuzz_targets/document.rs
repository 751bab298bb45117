#![no_main]
use ditto_fuzz::{seeds, targets::document};

libfuzzer_sys::fuzz_target!(init: seeds("document", document::examples), |data: &[u8]| document::run(data));
