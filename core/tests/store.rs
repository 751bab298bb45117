//! Attacks on `core::store`: crashes, foreign files, damage, and answers that come too early.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ditto_core::store::{
    ReadableTable, ReadableTableMetadata, Store, StoreError, StoreIdentity, TableDefinition, Writer, WriterConfig,
};

const VERDICTS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("verdicts");

fn identity() -> StoreIdentity {
    StoreIdentity {
        network: "eip155:31337/0xgovernance".into(),
        key: "0xoperator".into(),
        kind: "sign-once journal".into(),
        schema: 2,
    }
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, &identity())
}

fn writer(path: &Path) -> Writer {
    Writer::start("test", Arc::new(open(path).unwrap()), &WriterConfig::default()).unwrap()
}

fn verdict(store: &Store, occurrence: u64) -> Option<Vec<u8>> {
    store.get(VERDICTS, occurrence, <[u8]>::to_vec).unwrap()
}

/// The sign-once rule as the journal writes it: the first verdict stands; true when this is it.
async fn sign_once(writer: &Writer, occurrence: u64, verdict: &'static [u8]) -> Result<bool, StoreError> {
    writer
        .write(move |tx| {
            let mut table = tx.open_table(VERDICTS)?;
            if let Some(signed) = table.get(occurrence)? {
                return Ok(signed.value() == verdict);
            }
            table.insert(occurrence, verdict)?;
            Ok(true)
        })
        .await
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/journal.redb");
    let journal = writer(&path);
    assert!(journal.store().is_new());
    assert_eq!(verdict(journal.store(), 1), None);
    assert!(sign_once(&journal, 1, b"approve").await.unwrap());
    assert!(sign_once(&journal, 1, b"approve").await.unwrap());
    assert!(!sign_once(&journal, 1, b"reject").await.unwrap());
    drop(journal);
    let journal = writer(&path);
    assert!(!journal.store().is_new());
    assert_eq!(verdict(journal.store(), 1).as_deref(), Some(&b"approve"[..]));
    assert!(!sign_once(&journal, 1, b"reject").await.unwrap());
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["journal.redb"], "nothing is left beside it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_comes_only_after_the_change_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.redb");
    let journal = writer(&path);
    // A crash right after an answer: what the file holds at that moment, while later groups are being written.
    let background = {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in 1_000..1_300 {
                sign_once(&journal, n, b"approve").await.unwrap();
            }
        })
    };
    let mut opened = 0;
    for n in 0..20 {
        assert!(sign_once(&journal, n, b"approve").await.unwrap());
        let copy = dir.path().join(format!("crash-{n}.redb"));
        fs::copy(&path, &copy).unwrap();
        match open(&copy) {
            Ok(crashed) => {
                opened += 1;
                for answered in 0..=n {
                    assert!(verdict(&crashed, answered).is_some(), "{answered} was answered and is lost in copy {n}");
                }
            }
            // A copy that was torn by a write meanwhile is not what a crash leaves; it must only not be taken for good.
            Err(StoreError::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        fs::remove_file(&copy).unwrap();
    }
    background.await.unwrap();
    assert!(opened > 0, "every copy was torn, so nothing was tested");
}

#[tokio::test]
async fn a_crash_at_rest_keeps_everything_and_an_uncommitted_change_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.redb");
    let journal = writer(&path);
    for n in 0..50 {
        sign_once(&journal, n, b"approve").await.unwrap();
        if n % 10 == 0 {
            // The writer is at rest, so the copy is what a crash at this moment leaves: a file never closed.
            let copy = dir.path().join("crash.redb");
            fs::copy(&path, &copy).unwrap();
            let crashed = open(&copy).unwrap();
            assert_eq!(crashed.read(|tx| Ok(tx.open_table(VERDICTS)?.len()?)).unwrap(), n + 1);
        }
    }
    let store = journal.store();
    let refused = store.write(|tx| -> Result<(), _> {
        tx.open_table(VERDICTS)?.insert(99, &b"approve"[..])?;
        Err(ditto_core::store::redb::Error::Corrupted("the caller changed its mind".into()))
    });
    assert!(matches!(refused, Err(StoreError::Failed { .. })));
    assert_eq!(verdict(store, 99), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_a_sync_and_a_bad_change_takes_no_neighbour_along() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("journal.redb")).unwrap());
    let few = NonZeroUsize::new(8).unwrap();
    let journal = Writer::start("grouped", store, &WriterConfig { queue: few, group: few }).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..200_u64)
        .map(|n| {
            let (journal, runs) = (journal.clone(), runs.clone());
            tokio::spawn(async move {
                journal
                    .write(move |tx| {
                        runs.fetch_add(1, Ordering::SeqCst);
                        let mut table = tx.open_table(VERDICTS)?;
                        table.insert(n, &b"approve"[..])?;
                        match n % 20 {
                            7 => Err(ditto_core::store::redb::Error::Corrupted("refuses".into())),
                            13 => panic!("a change panics"),
                            _ => Ok(n),
                        }
                    })
                    .await
            })
        })
        .collect();
    for (n, caller) in callers.into_iter().enumerate() {
        let n = n as u64;
        match (n % 20, caller.await.unwrap()) {
            (7, Err(StoreError::Failed { .. })) | (13, Err(StoreError::Panicked { .. })) => {
                assert_eq!(verdict(journal.store(), n), None);
            }
            (_, Ok(same)) => {
                assert_eq!(same, n);
                assert!(verdict(journal.store(), n).is_some());
            }
            (_, other) => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(journal.store().read(|tx| Ok(tx.open_table(VERDICTS)?.len()?)).unwrap(), 180);
}

#[test]
fn threads_write_too_and_what_is_queued_is_written_when_the_writer_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.redb");
    let ledger = writer(&path);
    let threads: Vec<_> = (0..4_u64)
        .map(|t| {
            let ledger = ledger.clone();
            thread::spawn(move || {
                for n in 0..25 {
                    let put = ledger.write_blocking(move |tx| {
                        tx.open_table(VERDICTS)?.insert(t * 100 + n, &b"executed"[..])?;
                        Ok(())
                    });
                    put.unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(ledger);
    assert_eq!(open(&path).unwrap().read(|tx| Ok(tx.open_table(VERDICTS)?.len()?)).unwrap(), 100);
}

#[test]
fn a_store_of_somebody_else_is_refused_with_both_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.redb");
    drop(open(&path).unwrap());
    let before = fs::read(&path).unwrap();
    type Change = fn(&mut StoreIdentity);
    let owners: [(Change, &str); 3] = [
        (|identity| identity.network = "eip155:1/0xother".into(), "eip155:1/0xother"),
        (|identity| identity.key = "0xsomebody".into(), "0xsomebody"),
        (|identity| identity.kind = "ledger".into(), "ledger"),
    ];
    for (change, name) in owners {
        let mut other = identity();
        change(&mut other);
        let error = Store::open(&path, &other).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        let text = error.to_string();
        let own = identity().to_string();
        assert!(text.contains(&path.display().to_string()) && text.contains(name) && text.contains(&own), "{text}");
    }
    let newer = Store::open(&path, &StoreIdentity { schema: 1, ..identity() }).unwrap_err();
    assert!(matches!(newer, StoreError::Newer { .. }) && newer.to_string().contains("upgrade"), "{newer}");
    let older = Store::open(&path, &StoreIdentity { schema: 3, ..identity() }).unwrap_err();
    assert!(matches!(older, StoreError::Older { .. }), "{older}");
    assert_eq!(fs::read(&path).unwrap().len(), before.len());
    open(&path).unwrap();
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.redb");
    let first = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(first);
    open(&path).unwrap();
}

#[test]
fn a_database_that_is_not_ours_and_a_file_that_is_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("foreign.redb");
    drop(ditto_core::store::redb::Database::create(&path).unwrap());
    assert!(matches!(open(&path), Err(StoreError::NotOurs { .. })));
    for content in [&b""[..], b"#!/bin/sh\n", &[0; 4096], &[0xff; 100_000]] {
        fs::write(&path, content).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("foreign.redb"));
        assert_eq!(fs::read(&path).unwrap(), content, "it is left as it was");
    }
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error:?}");
}

const VERDICT: &[u8] = b"approve with a verdict vector that takes some room";

/// Damages a journal of 300 answered verdicts in several hundred ways. Each time it must be refused as damaged, or be
/// whole: a journal that silently fell back to an older state would sign twice.
fn damage(dir: &Path, whole: &[u8]) {
    let bad = dir.join("bad.redb");
    let (mut refused, mut whole_still) = (0, 0);
    let mut judge = |what: String| match open(&bad) {
        Ok(store) => {
            let len = store.read(|tx| Ok(tx.open_table(VERDICTS)?.len()?)).unwrap();
            assert_eq!(len, 300, "{what} was taken for good");
            for n in 0..300 {
                assert_eq!(verdict(&store, n).as_deref(), Some(VERDICT), "{what}");
            }
            whole_still += 1;
        }
        Err(StoreError::Damaged { .. }) => refused += 1,
        Err(other) => panic!("{what}: {other}"),
    };
    for part in 0..40 {
        let keep = whole.len() * part / 40;
        fs::write(&bad, &whole[..keep]).unwrap();
        judge(format!("a file cut to {keep} of {} bytes", whole.len()));
    }
    // Every page's first bytes, and some in its middle.
    for at in (0..whole.len()).step_by(2048).skip(1) {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0xff;
        bytes[at + 40] ^= 0x5a;
        fs::write(&bad, &bytes).unwrap();
        judge(format!("a file with bytes {at} and {} changed", at + 40));
    }
    // The header, byte by byte: this is where damage could pass for an older state. Byte 9 is the one that redb has no
    // sum for: it says which of two commits counts, and no reader can tell its damage from a crash before it was set.
    for at in (0..320).filter(|at| *at != 9) {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x41;
        fs::write(&bad, &bytes).unwrap();
        judge(format!("a file with header byte {at} changed"));
    }
    assert!(refused > 20, "{refused} refused, {whole_still} whole");
}

#[tokio::test]
async fn damage_is_an_error_and_never_a_panic_or_an_older_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.redb");
    let journal = writer(&path);
    for n in 0..300 {
        // One change per sync: the file goes through many states.
        sign_once(&journal, n, VERDICT).await.unwrap();
    }
    // As a crash leaves it, and as an orderly end leaves it.
    let crashed = fs::read(&path).unwrap();
    drop(journal);
    let closed = fs::read(&path).unwrap();
    damage(dir.path(), &closed);
    damage(dir.path(), &crashed);
}

#[test]
fn what_waits_for_the_disk_is_seen() {
    let waiting = || ditto_core::telemetry::measured("ditto_store_queue_depth", &[("store", "waiting")]);
    assert!(waiting() < 0.5);
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("journal.redb")).unwrap());
    let writer = Writer::start("waiting", store, &WriterConfig::default()).unwrap();
    let (begun, begins) = std::sync::mpsc::channel();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let slow = writer.clone();
    let slow = thread::spawn(move || {
        slow.write_blocking(move |_| {
            begun.send(()).ok();
            // The test ended early: nobody opens the gate.
            gate.lock().unwrap().recv().ok();
            Ok(())
        })
    });
    begins.recv().unwrap();
    // The group is closed, so these wait.
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let writer = writer.clone();
            thread::spawn(move || writer.write_blocking(|_| Ok(())))
        })
        .collect();
    for _ in 0..1_000 {
        if waiting() > 2.5 {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!((waiting() - 3.0).abs() < 0.5, "{} wait", waiting());
    drop(go);
    slow.join().unwrap().unwrap();
    for caller in callers {
        caller.join().unwrap().unwrap();
    }
    assert!(waiting() < 0.5);
}
