#![no_main]
use ditto_fuzz::{seeds, targets::sandbox_messages};

libfuzzer_sys::fuzz_target!(init: seeds("sandbox_messages", sandbox_messages::examples), |data: &[u8]| sandbox_messages::run(data));
