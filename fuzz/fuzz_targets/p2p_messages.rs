#![no_main]
use ditto_fuzz::{seeds, targets::p2p_messages};

libfuzzer_sys::fuzz_target!(init: seeds("p2p_messages", p2p_messages::examples), |data: &[u8]| p2p_messages::run(data));
