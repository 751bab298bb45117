//! What happened to every occurrence, on disk, for `ditto-operator trace`.
//!
//! Lines of JSON in files of a few megabytes, the oldest of which go when all of them are too large. It is a diary, not a
//! journal: nothing is decided by it, a full queue drops lines (counted), and a crash may cost the last ones.

pub mod command;
mod event;
mod trace;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ditto_core::clock::{Clock, Slot, SystemClock};
use ditto_core::task::Occurrence;
use serde::{Deserialize, Serialize};

pub use event::{Event, Line};
pub use trace::trace;

/// Lines that may wait for the disk: some slots of a thousand workflows.
const QUEUE: usize = 16_384;
/// A line is on disk at the latest after this long.
const FLUSH: Duration = Duration::from_millis(500);
/// Files are cut at an eighth of what is kept, so that dropping the oldest drops little.
const FILES: u64 = 8;
/// Lines that were dropped.
pub const DROPPED: &str = "ditto_operator_history_dropped_total";

/// The `[history]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// How much is kept, in bytes: about 700 per attempted occurrence. 0 keeps none.
    pub max_bytes: u64,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        // A day of ten workflows in every slot of two seconds.
        Self { max_bytes: 268_435_456 }
    }
}

/// Where lines are told to. The default keeps none.
#[derive(Clone, Debug, Default)]
pub struct History(Option<Sender<Line>>);

impl History {
    /// Starts writing below `state_dir`.
    ///
    /// # Errors
    /// When the directory or the thread cannot be made.
    pub fn start(state_dir: &Path, config: HistoryConfig) -> io::Result<Self> {
        if config.max_bytes == 0 {
            return Ok(Self::default());
        }
        let dir = directory(state_dir);
        fs::create_dir_all(&dir)?;
        let (lines, queue) = bounded(QUEUE);
        metrics::counter!(DROPPED).increment(0);
        let mut files = Files { dir, file: None, written: 0, max_bytes: config.max_bytes };
        std::thread::Builder::new().name("history".into()).spawn(move || write(&queue, &mut files))?;
        Ok(Self(Some(lines)))
    }

    /// Tells what happened to an occurrence. Never waits.
    pub fn tell(&self, occurrence: Occurrence, attempt: Slot, event: impl FnOnce() -> Event) {
        let Some(lines) = &self.0 else { return };
        let Occurrence { workflow, slot } = occurrence;
        let line = Line { at_ms: SystemClock.now_ms(), workflow, slot, attempt, event: event() };
        if lines.try_send(line).is_err() {
            metrics::counter!(DROPPED).increment(1);
        }
    }
}

/// Where an operator's history is.
fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("history")
}

/// The files there are, the oldest first.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    // Their names are the time of their first line, in digits of one width.
    found.sort();
    Ok(found)
}

fn write(queue: &Receiver<Line>, files: &mut Files) {
    let mut failing = false;
    loop {
        let done = match queue.recv_timeout(FLUSH) {
            Ok(line) => files.append(&line),
            Err(RecvTimeoutError::Timeout) => files.flush(),
            Err(RecvTimeoutError::Disconnected) => {
                // Nobody is left to tell.
                drop(files.flush());
                return;
            }
        };
        match done {
            Ok(()) => failing = false,
            Err(error) => {
                metrics::counter!(DROPPED).increment(1);
                files.file = None;
                if !failing {
                    tracing::warn!(%error, dir = %files.dir.display(), "the history cannot be written; nothing depends on it");
                }
                failing = true;
            }
        }
    }
}

struct Files {
    dir: PathBuf,
    file: Option<BufWriter<File>>,
    written: u64,
    max_bytes: u64,
}

impl Files {
    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        if self.written.saturating_add(bytes.len() as u64) > self.max_bytes / FILES {
            self.flush()?;
            self.file = None;
        }
        if self.file.is_none() {
            let path = self.dir.join(format!("{:015}.jsonl", line.at_ms));
            self.file = Some(BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?));
            self.written = 0;
            self.drop_oldest()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(&bytes)?;
            self.written += bytes.len() as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }

    /// Room for the file that was just begun.
    fn drop_oldest(&self) -> io::Result<()> {
        let files = files(&self.dir)?;
        let sizes: Vec<u64> = files.iter().map(|path| fs::metadata(path).map_or(0, |file| file.len())).collect();
        let mut all: u64 = sizes.iter().sum::<u64>() + self.max_bytes / FILES;
        for (path, size) in files.iter().zip(sizes) {
            if all <= self.max_bytes {
                break;
            }
            fs::remove_file(path)?;
            all -= size;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
