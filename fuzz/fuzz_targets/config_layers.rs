#![no_main]
use ditto_fuzz::{seeds, targets::config_layers};

libfuzzer_sys::fuzz_target!(init: seeds("config_layers", config_layers::examples), |data: &[u8]| config_layers::run(data));
