#![no_main]
use ditto_fuzz::{seeds, targets::ledger_records};

libfuzzer_sys::fuzz_target!(init: seeds("ledger_records", ledger_records::examples), |data: &[u8]| ledger_records::run(data));
