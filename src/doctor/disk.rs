//! Where the journal lives: room, rights, whether it lasts, whether a write can be made durable.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{statfs, statvfs};

use super::finding::Findings;

const SECTION: &str = "disk";
/// Below this the journal may fail to grow.
const LEAST_FREE: u64 = 256 << 20;
/// Below this somebody should make room.
const GOOD_FREE: u64 = 2 << 30;
/// Every vote waits for one.
const GOOD_SYNC: Duration = Duration::from_millis(50);
/// Syncs that are tried; the worst counts.
const SYNCS: usize = 5;
/// `f_type` of file systems that a reboot empties, and of those that other machines share.
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;
const NFS: u32 = 0x6969;

pub fn examine(findings: &mut Findings, state_dir: &Path) {
    let shown = state_dir.display().to_string();
    let Some((there, exists)) = nearest(state_dir) else {
        findings.fail(SECTION, "state_dir", format!("{shown} cannot be looked at"), "Name another in `state_dir`.");
        return;
    };
    if exists {
        rights(findings, state_dir, &shown);
    } else {
        findings.ok(SECTION, "state_dir", format!("{shown} is not there yet; the operator makes it"));
    }
    room(findings, &there);
    durable(findings, &there, exists);
    if exists {
        journal(findings, state_dir);
    }
}

/// The directory itself, or the nearest above it that is there.
fn nearest(path: &Path) -> Option<(PathBuf, bool)> {
    let absolute = std::path::absolute(path).ok()?;
    let there = absolute.ancestors().find(|above| above.is_dir())?;
    Some((there.to_owned(), there == absolute))
}

fn rights(findings: &mut Findings, state_dir: &Path, shown: &str) {
    let Ok(metadata) = fs::metadata(state_dir) else { return };
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 == 0 {
        findings.ok(SECTION, "state_dir", format!("{shown}, for its owner alone"));
    } else {
        let fix = format!("`chmod 700 {shown}`: the p2p key is in there.");
        findings.warn(SECTION, "state_dir", format!("others may look into {shown} (mode {mode:03o})"), fix);
    }
}

fn room(findings: &mut Findings, there: &Path) {
    if let Ok(kind) = statfs(there).map(|found| found.f_type as u32) {
        if kind == TMPFS || kind == RAMFS {
            let detail = "it is in memory: a reboot forgets what was signed";
            let fix =
                "Put `state_dir` on a disk. A journal that is lost while its key lives on can sign a contradiction.";
            findings.fail(SECTION, "lasting", detail, fix);
        } else if kind == NFS {
            let fix = "A local disk is better: two machines must never share one journal, and locks over NFS are weak.";
            findings.warn(SECTION, "lasting", "it is on a network file system (NFS)", fix);
        }
    }
    match statvfs(there) {
        Err(cause) => findings.warn(SECTION, "room", format!("it cannot be told: {cause}"), "Look with `df`."),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let detail = format!("{} MiB are free", free >> 20);
            if free < LEAST_FREE {
                findings.fail(
                    SECTION,
                    "room",
                    detail,
                    "Make room: an operator that cannot write its journal signs nothing.",
                );
            } else if free < GOOD_FREE {
                findings.warn(SECTION, "room", detail, "Make room soon.");
            } else {
                findings.ok(SECTION, "room", detail);
            }
        }
    }
}

/// Writes a small file and waits for the disk, as every vote does.
fn durable(findings: &mut Findings, there: &Path, exists: bool) {
    let path = there.join(format!(".ditto-doctor.{}", std::process::id()));
    let tried = write(&path);
    // Whatever came of it, it does not stay.
    fs::remove_file(&path).ok();
    match tried {
        Ok(worst) if worst > GOOD_SYNC => {
            let detail = format!("a write takes up to {} ms to be durable", worst.as_millis());
            findings.warn(SECTION, "durable writes", detail, "Every vote waits for one: use a faster disk.");
        }
        Ok(worst) => {
            findings.ok(SECTION, "durable writes", format!("{:.1} ms at worst", worst.as_secs_f64() * 1_000.0))
        }
        // Above a directory that a service manager makes, nobody need be able to write.
        Err(cause) if !exists => {
            let detail = format!("{} cannot be written to: {cause}", there.display());
            let fix = "Run the doctor as the operator's user, or make `state_dir` for that user; systemd's StateDirectory does.";
            findings.warn(SECTION, "durable writes", detail, fix);
        }
        Err(cause) => {
            let detail = format!("{} cannot be written to: {cause}", there.display());
            findings.fail(
                SECTION,
                "durable writes",
                detail,
                "Give the directory to the user that the operator runs as.",
            );
        }
    }
}

fn write(path: &Path) -> std::io::Result<Duration> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut worst = Duration::ZERO;
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_all()?;
        worst = worst.max(began.elapsed());
    }
    Ok(worst)
}

fn journal(findings: &mut Findings, state_dir: &Path) {
    let path = state_dir.join("journal.redb");
    match fs::metadata(&path) {
        Ok(metadata) => findings.ok(SECTION, "journal", format!("{} KiB, kept since before", metadata.len() >> 10)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => findings.warn(
            SECTION,
            "journal",
            "there is none yet",
            "Run `ditto-operator journal init`, if this consensus key has never voted. If it has, bring its journal: `journal import`.",
        ),
        Err(cause) => {
            findings.fail(
                SECTION,
                "journal",
                format!("cannot be looked at: {cause}"),
                "Give it to the operator's user.",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::finding::{Finding, Status};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn examined(path: &Path) -> Vec<Finding> {
        let mut findings = Findings::default();
        examine(&mut findings, path);
        findings.list()
    }

    fn status(found: &[Finding], what: &str) -> Option<Status> {
        found.iter().find(|finding| finding.what == what).map(|finding| finding.status)
    }

    #[test]
    fn an_open_directory_and_a_missing_journal_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let found = examined(dir.path());
        assert_eq!(status(&found, "state_dir"), Some(Status::Warn));
        assert_eq!(status(&found, "journal"), Some(Status::Warn));
        assert!(found.iter().any(|finding| finding.fix.as_deref().is_some_and(|fix| fix.contains("chmod 700"))));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(dir.path().join("journal.redb"), [0; 2_048]).unwrap();
        let found = examined(dir.path());
        assert_eq!(status(&found, "state_dir"), Some(Status::Ok));
        assert_eq!(status(&found, "journal"), Some(Status::Ok));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn memory_is_no_place_for_a_journal() {
        // Every Linux has it; where it is something else, there is nothing to see.
        let shm = Path::new("/dev/shm");
        if statfs(shm).is_ok_and(|found| found.f_type as u32 == TMPFS) {
            assert_eq!(status(&examined(shm), "lasting"), Some(Status::Fail));
        }
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let found = examined(&dir.path().join("a/b"));
        assert_eq!(status(&found, "state_dir"), Some(Status::Ok));
        assert_ne!(status(&found, "durable writes"), Some(Status::Fail));
    }
}
