#![allow(clippy::unwrap_used)]

use alloy::primitives::B256;
use ditto_core::task::Occurrence;

use super::*;

fn due(pin: u64) -> Event {
    Event::Due { pin, code: B256::repeat_byte(7) }
}

fn line(at_ms: u64, workflow: u64, slot: u64) -> Line {
    Line { at_ms, workflow, slot, attempt: slot, event: due(at_ms) }
}

fn in_dir(dir: &Path, max_bytes: u64) -> Files {
    fs::create_dir_all(directory(dir)).unwrap();
    Files { dir: directory(dir), file: None, written: 0, max_bytes }
}

#[test]
fn what_was_told_is_found_again_when_the_last_teller_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::start(dir.path(), HistoryConfig::default()).unwrap();
    for slot in [10, 11] {
        history.tell(Occurrence { workflow: 3, slot }, slot, || due(slot));
    }
    history.tell(Occurrence { workflow: 3, slot: 10 }, 12, || due(12));
    history.tell(Occurrence { workflow: 4, slot: 12 }, 12, || due(12));
    drop(history);
    let found = |slot| trace(dir.path(), 3, slot).unwrap().iter().map(|line| line.attempt).collect::<Vec<_>>();
    // The writer ends by itself, some time after.
    for _ in 0..600 {
        if found(Some(10)).len() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(found(Some(10)), [10, 12]);
    assert_eq!(found(None), [11], "the latest occurrence");
    assert!(found(Some(13)).is_empty());
}

#[test]
fn no_more_is_kept_than_may_be_and_the_newest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let max_bytes = 16_384;
    let mut writing = in_dir(dir.path(), max_bytes);
    for slot in 0..1_000 {
        writing.append(&line(1_000 + slot, 1, slot)).unwrap();
    }
    writing.flush().unwrap();
    let kept: u64 = files(&directory(dir.path())).unwrap().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(kept <= max_bytes && kept > max_bytes / 2, "{kept}");
    assert_eq!(trace(dir.path(), 1, None).unwrap()[0].slot, 999);
    assert!(trace(dir.path(), 1, Some(0)).unwrap().is_empty());
}

#[test]
fn what_is_torn_or_foreign_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut writing = in_dir(dir.path(), 1 << 20);
    writing.append(&line(5, 1, 9)).unwrap();
    writing.flush().unwrap();
    let path = files(&directory(dir.path())).unwrap().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.clone();
    bytes.extend_from_slice(b"\xff\xfe not json\n{}\n[[[[\n");
    bytes.extend(std::iter::repeat_n(b'x', 200_000));
    bytes.push(b'\n');
    bytes.extend_from_slice(&whole);
    bytes.extend_from_slice(&whole[..whole.len() / 2]);
    fs::write(&path, bytes).unwrap();
    assert_eq!(trace(dir.path(), 1, Some(9)).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_written_is_counted_and_stops_nobody() {
    let dropped = || ditto_core::telemetry::measured("ditto_operator_history_dropped_total", &[]);
    let before = dropped();
    let dir = tempfile::tempdir().unwrap();
    let history = History::start(dir.path(), HistoryConfig::default()).unwrap();
    fs::remove_dir(directory(dir.path())).unwrap();
    fs::write(directory(dir.path()), b"in the way").unwrap();
    history.tell(Occurrence { workflow: 3, slot: 10 }, 10, || due(10));
    for _ in 0..600 {
        if dropped() > before {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(dropped() > before);
}
