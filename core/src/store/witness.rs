//! A second file that remembers how far a store has come.
//!
//! A store cannot tell by itself that it is an older state of itself: a restored backup, a copy that was put back, or the
//! one header byte that redb keeps no sum of (it says which of two commits counts). For a sign-once journal that would
//! mean to sign against what was signed. So a *witnessed* store counts its commits, and so does a small file beside it,
//! after every commit and before anybody is answered. Both must agree: the store may be one commit ahead, for a crash
//! comes between the two writes, and what that commit held was answered to nobody.
//!
//! The file holds two records, written in turn, each in a sector of its own, so that a torn write leaves the one before:
//!
//! | Bytes | What |
//! |---|---|
//! | 0..8 | `DITTOMRK` |
//! | 8..16 | version of the layout, 1, big-endian |
//! | 16..32 | the store's id, drawn when it was made |
//! | 32..40 | commits, big-endian |
//! | 40..64 | the first 24 bytes of keccak256 of the above |

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

const MAGIC: &[u8; 8] = b"DITTOMRK";
const VERSION: u64 = 1;
const RECORD: usize = 64;
/// Where the second record lies: no disk writes parts of a sector.
const SECTOR: u64 = 512;
/// Nothing of ours is longer.
const LONGEST: usize = SECTOR as usize + RECORD;

/// "id" and "commits".
const MARKS: TableDefinition<'static, &str, u128> = TableDefinition::new("ditto_witness");

/// Why a witnessed store is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// There is neither.
    #[error("there is none, and no marks beside it")]
    Absent,
    /// The marks say that there was one.
    #[error("it is gone: the marks beside it say that it had {commits} commits")]
    Lost {
        /// How many.
        commits: u64,
    },
    /// The marks are gone.
    #[error("the marks beside it are gone, so nobody can tell whether it is an older state of itself")]
    MarksLost,
    /// The marks cannot be read.
    #[error("the marks beside it are damaged")]
    MarksDamaged,
    /// The marks are another store's.
    #[error("it is not the one that the marks beside it belong to")]
    Foreign,
    /// The store was never witnessed.
    #[error("it was made without marks, by an older release")]
    Unwitnessed,
    /// The store is an older state of itself.
    #[error("it is an older state of itself: it has {commits} commits, and the marks beside it say {marks}")]
    RolledBack {
        /// What the store says.
        commits: u64,
        /// What the marks say.
        marks: u64,
    },
    /// The marks are older than the store.
    #[error("the marks beside it are an older state: they say {marks} commits, and it has {commits}")]
    MarksRolledBack {
        /// What the store says.
        commits: u64,
        /// What the marks say.
        marks: u64,
    },
}

/// Where marks are kept. A file, except where crashes are simulated.
pub trait Marks: Send {
    /// Everything that is there; nothing when it was never written.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Writes at an offset, and returns when it is on the disk.
    ///
    /// # Errors
    /// When it is not.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// Marks in a file.
#[derive(Debug)]
pub(super) struct MarksFile {
    path: PathBuf,
    file: Option<File>,
}

impl MarksFile {
    /// The file beside a store.
    pub fn beside(store: &Path) -> Self {
        let mut path = store.as_os_str().to_owned();
        path.push(".marks");
        Self { path: path.into(), file: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Marks for MarksFile {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; LONGEST];
        let mut read = 0;
        while read < LONGEST {
            match file.read_at(&mut bytes[read..], read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        self.file = Some(file);
        Ok(bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
                if let Some(directory) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    File::open(directory)?.sync_all()?;
                }
                self.file.insert(file)
            }
        };
        file.write_all_at(bytes, offset)?;
        file.sync_data()
    }
}

/// How far both have come; what a witnessed store holds while it is open.
pub(super) struct Witness {
    marks: Box<dyn Marks>,
    id: u128,
    /// Commits of the store.
    commits: u64,
    /// Commits that the marks know of.
    marked: u64,
}

impl Witness {
    /// Marks for a new store, before the store is there: a crash in between leaves marks of nothing, which count as none.
    pub fn create(mut marks: Box<dyn Marks>, id: u128) -> Result<Self, io::Error> {
        // Both records, so that none of an earlier store's is left.
        marks.write(0, &record(id, 0))?;
        marks.write(SECTOR, &record(id, 0))?;
        Ok(Self { marks, id, commits: 0, marked: 0 })
    }

    /// Whether the store that is being opened and its marks agree. `found` is what the store says, nothing when there is no
    /// store.
    pub fn open(mut marks: Box<dyn Marks>, found: Option<Found>) -> Result<Result<Self, Distrust>, io::Error> {
        let bytes = marks.read()?;
        let known = [0, SECTOR].iter().filter_map(|offset| parse(&bytes, *offset)).max_by_key(|(_, commits)| *commits);
        let distrust = match (found, known) {
            (None, None) if bytes.is_empty() => Distrust::Absent,
            (_, None) if !bytes.is_empty() => Distrust::MarksDamaged,
            (None, Some((_, 0))) => Distrust::Absent,
            (None, Some((_, commits))) => Distrust::Lost { commits },
            (None, None) => Distrust::Absent,
            (Some(Found::Nothing), _) => Distrust::Unwitnessed,
            (Some(Found::Marks { .. }), None) => Distrust::MarksLost,
            (Some(Found::Marks { id, .. }), Some((marked_id, _))) if id != marked_id => Distrust::Foreign,
            (Some(Found::Marks { id, commits }), Some((_, marked))) => {
                if commits < marked {
                    Distrust::RolledBack { commits, marks: marked }
                } else if commits > marked.saturating_add(1) {
                    Distrust::MarksRolledBack { commits, marks: marked }
                } else {
                    return Ok(Ok(Self { marks, id, commits, marked }));
                }
            }
        };
        Ok(Err(distrust))
    }

    /// Counts the commit within its transaction. Marks that lag after a failure are brought up first: the two are never
    /// more than one apart.
    pub fn count(&mut self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        self.mark()?;
        let mut table = tx.open_table(MARKS)?;
        table.insert("id", self.id)?;
        table.insert("commits", u128::from(self.commits.saturating_add(1)))?;
        Ok(())
    }

    /// The transaction is on the disk: now the marks.
    pub fn committed(&mut self) -> Result<(), redb::Error> {
        self.commits = self.commits.saturating_add(1);
        self.mark()
    }

    fn mark(&mut self) -> Result<(), redb::Error> {
        if self.marked == self.commits {
            return Ok(());
        }
        let offset = if self.commits.is_multiple_of(2) { 0 } else { SECTOR };
        self.marks.write(offset, &record(self.id, self.commits)).map_err(redb::Error::Io)?;
        self.marked = self.commits;
        Ok(())
    }
}

/// What a store says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It was never witnessed.
    Nothing,
    /// Its id and commits.
    Marks { id: u128, commits: u64 },
}

impl Found {
    pub fn read(tx: &ReadTransaction) -> Result<Self, redb::Error> {
        let table = match tx.open_table(MARKS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Self::Nothing),
            Err(error) => return Err(error.into()),
        };
        let get = |name| table.get(name).map(|value| value.map(|value| value.value()));
        let (id, commits) = (get("id")?, get("commits")?);
        Ok(match (id, commits.and_then(|commits| u64::try_from(commits).ok())) {
            (Some(id), Some(commits)) => Self::Marks { id, commits },
            _ => Self::Nothing,
        })
    }
}

fn record(id: u128, commits: u64) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&VERSION.to_be_bytes());
    bytes[16..32].copy_from_slice(&id.to_be_bytes());
    bytes[32..40].copy_from_slice(&commits.to_be_bytes());
    let sum = alloy::primitives::keccak256(&bytes[..40]);
    bytes[40..].copy_from_slice(&sum[..24]);
    bytes
}

fn parse(bytes: &[u8], offset: u64) -> Option<(u128, u64)> {
    let from = usize::try_from(offset).ok()?;
    let record: &[u8; RECORD] = bytes.get(from..from + RECORD)?.try_into().ok()?;
    let sum = alloy::primitives::keccak256(&record[..40]);
    let whole = record[..8] == *MAGIC && record[8..16] == VERSION.to_be_bytes() && record[40..] == sum[..24];
    let id = u128::from_be_bytes(record[16..32].try_into().ok()?);
    let commits = u64::from_be_bytes(record[32..40].try_into().ok()?);
    whole.then_some((id, commits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Memory(Vec<u8>);

    impl Marks for Memory {
        fn read(&mut self) -> io::Result<Vec<u8>> {
            Ok(self.0.clone())
        }
        fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }

    fn file(first: [u8; RECORD], second: [u8; RECORD]) -> Vec<u8> {
        let mut bytes = vec![0; LONGEST];
        bytes[..RECORD].copy_from_slice(&first);
        bytes[SECTOR as usize..].copy_from_slice(&second);
        bytes
    }

    fn judge(bytes: Vec<u8>, found: Option<Found>) -> Result<(), Distrust> {
        Witness::open(Box::new(Memory(bytes)), found).unwrap().map(|_| ())
    }

    #[test]
    fn both_must_agree() {
        let store = |id, commits| Some(Found::Marks { id, commits });
        let marks = file(record(7, 4), record(7, 5));
        assert_eq!(judge(marks.clone(), store(7, 5)), Ok(()));
        assert_eq!(judge(marks.clone(), store(7, 6)), Ok(()), "a crash between the two writes");
        assert_eq!(judge(marks.clone(), store(7, 4)), Err(Distrust::RolledBack { commits: 4, marks: 5 }));
        assert_eq!(judge(marks.clone(), store(7, 7)), Err(Distrust::MarksRolledBack { commits: 7, marks: 5 }));
        assert_eq!(judge(marks.clone(), store(8, 5)), Err(Distrust::Foreign));
        assert_eq!(judge(marks.clone(), None), Err(Distrust::Lost { commits: 5 }));
        assert_eq!(judge(marks, Some(Found::Nothing)), Err(Distrust::Unwitnessed));
        assert_eq!(judge(Vec::new(), store(7, 5)), Err(Distrust::MarksLost));
        assert_eq!(judge(Vec::new(), None), Err(Distrust::Absent));
        assert_eq!(judge(file(record(7, 0), record(7, 0)), None), Err(Distrust::Absent), "it never came to a store");
        // The later record is torn: the one before counts, and the store is at most one commit ahead of it.
        let mut torn = record(7, 5);
        torn[33] ^= 1;
        assert_eq!(judge(file(record(7, 4), torn), store(7, 5)), Ok(()));
        assert_eq!(judge(file(torn, torn), store(7, 5)), Err(Distrust::MarksDamaged));
    }

    proptest! {
        #[test]
        fn no_damage_raises_or_panics(at in 0usize..LONGEST, flip in 1u8.., cut in 0usize..LONGEST) {
            let mut bytes = file(record(7, 4), record(7, 5));
            bytes[at] ^= flip;
            let store = Some(Found::Marks { id: 7, commits: 3 });
            prop_assert!(judge(bytes.clone(), store).is_err(), "an older store is never taken");
            bytes.truncate(cut);
            // Cut off, the later record is gone and the one before counts; never less.
            prop_assert!(judge(bytes, store).is_err());
        }
    }
}
