//! `ditto-operator trace`: what happened to an occurrence, from this operator's own history.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use ditto_core::clock::Slot;
use ditto_core::task::Occurrence;

use super::{Event, Line, directory, files};

/// Lines longer than this are none of ours.
const MAX_LINE: u64 = 65_536;

/// Everything that is known of an occurrence, in the order in which it happened. Without a slot: the latest occurrence of
/// the workflow.
///
/// # Errors
/// When the history cannot be read.
pub fn trace(state_dir: &Path, workflow: u64, slot: Option<Slot>) -> io::Result<Vec<Line>> {
    let mut found: Vec<Line> = Vec::new();
    for path in files(&directory(state_dir))? {
        // The writer may drop the oldest file while we read.
        let Ok(file) = File::open(&path) else { continue };
        read(file, |line| {
            let wanted = match slot {
                Some(slot) => line.is_of(Occurrence { workflow, slot }),
                None => line.workflow == workflow && found.first().is_none_or(|first| line.slot >= first.slot),
            };
            if wanted {
                if found.first().is_some_and(|first| line.slot > first.slot) {
                    found.clear();
                }
                found.push(line);
            }
        })?;
    }
    found.sort_by_key(|line| line.at_ms);
    Ok(found)
}

/// Reads what is whole; a line that a crash cut off is passed over.
fn read(file: File, mut take: impl FnMut(Line)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if io::Read::take(&mut reader, MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        if let Ok(line) = serde_json::from_slice(&bytes) {
            take(line);
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Due { pin, code } => write!(f, "due         read at block {pin}, code {code}"),
            Self::Simulated { outcome, detail, wall_ms, reads, memory_bytes } => {
                let kib = memory_bytes / 1024;
                write!(f, "simulated   {outcome} after {wall_ms} ms, {reads} reads, {kib} KiB")?;
                if detail.is_empty() { Ok(()) } else { write!(f, ": {detail}") }
            }
            Self::Found { finding, detail } if detail.is_empty() => write!(f, "built       {finding}"),
            Self::Found { finding, detail } => write!(f, "built       {finding}: {detail}"),
            Self::Judged { performer, proposal, verdict, .. } => {
                write!(f, "judged      {verdict}; proposed by {performer} in {proposal}")
            }
            Self::Proposed { rank, operation } => write!(f, "proposed    by us, rank {rank}, operation {operation}"),
        }
    }
}
