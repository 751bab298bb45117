//! Seeds: a few well-formed inputs for each target, made by the encoders themselves.

use std::path::PathBuf;

/// Where seeds are written; set by `scripts/fuzz.sh --seeds`.
const WRITE: &str = "DITTO_FUZZ_WRITE_SEEDS";

/// Called first by every target. When seeds are wanted, writes those of the target and ends the process.
pub fn seeds(target: &str, make: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(directory) = std::env::var_os(WRITE).map(|root| PathBuf::from(root).join(target)) else { return };
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(&directory)?;
        for (index, seed) in make().into_iter().enumerate() {
            std::fs::write(directory.join(format!("{index:02}")), seed)?;
        }
        Ok(())
    };
    if let Err(error) = write() {
        eprintln!("{}: {error}", directory.display());
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// The golden messages of a kind: `kind` and hex, a line each.
pub fn golden(kind: &str) -> Vec<Vec<u8>> {
    let lines = include_str!("../../core/src/wire/golden_v2.txt").lines();
    lines
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| *name == kind)
        .filter_map(|(_, text)| hex::decode(text).ok())
        .collect()
}
