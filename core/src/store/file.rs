//! Opening a store's file, and reading from it.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use std::sync::{Mutex, PoisonError};

use redb::{
    Builder, Database, DatabaseError, Durability, Key, ReadTransaction, ReadableDatabase, StorageBackend, StorageError,
    TableDefinition, TableError, Value, WriteTransaction,
};

use super::witness::{Distrust, Found, Marks, MarksFile, Witness};
use super::{StoreError, StoreIdentity};

/// An open store.
pub struct Store {
    path: PathBuf,
    identity: StoreIdentity,
    database: Database,
    new: bool,
    /// Held from before a commit until its marks are written.
    witness: Option<Mutex<Witness>>,
}

impl Store {
    /// Opens the store, or makes it when there is no file. The file is checked whole, so this takes about a second
    /// per gigabyte.
    ///
    /// # Errors
    /// When the file is somebody else's, newer, in use or damaged; nothing is changed then.
    pub fn open(path: impl Into<PathBuf>, identity: &StoreIdentity) -> Result<Self, StoreError> {
        let path = path.into();
        match fs::symlink_metadata(&path) {
            Ok(_) => Self::existing(path, identity),
            Err(error) if error.kind() == ErrorKind::NotFound => match Self::create(&path, identity)? {
                Some(store) => Ok(store),
                // Somebody was faster.
                None => Self::existing(path, identity),
            },
            Err(cause) => Err(StoreError::File { action: "look for", path, cause }),
        }
    }

    /// Opens a store that is watched by marks beside it, which notice when it is gone, another one, or an older state of
    /// itself; see [`super::Distrust`]. Never makes one.
    ///
    /// # Errors
    /// As [`Store::open`], and when store and marks do not agree.
    pub fn open_witnessed(path: impl Into<PathBuf>, identity: &StoreIdentity) -> Result<Self, StoreError> {
        let path = path.into();
        let found = match fs::symlink_metadata(&path) {
            Ok(_) => Some(Self::existing(path.clone(), identity)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(cause) => return Err(StoreError::File { action: "look for", path, cause }),
        };
        let marks = MarksFile::beside(&path);
        let at = marks.path().to_owned();
        let failed = |cause| StoreError::File { action: "read the marks", path: at, cause };
        Self::watched(path, found, Box::new(marks), failed)
    }

    /// Makes a store with marks beside it. `within` writes what it holds from the beginning.
    ///
    /// # Errors
    /// When there is a store, or marks of one that held something: they must be moved away first.
    pub fn create_witnessed(
        path: impl Into<PathBuf>,
        identity: &StoreIdentity,
        within: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, StoreError> {
        let path = path.into();
        match Self::open_witnessed(&path, identity) {
            Ok(_) => return Err(StoreError::Exists { path }),
            Err(StoreError::Distrusted { why: Distrust::Absent, .. }) => {}
            Err(error) => return Err(error),
        }
        let directory = directory_of(&path);
        fs::create_dir_all(directory).map_err(|cause| StoreError::File {
            action: "make the directory",
            path: directory.to_owned(),
            cause,
        })?;
        let marks = MarksFile::beside(&path);
        let at = marks.path().to_owned();
        let witness = Witness::create(Box::new(marks), rand::random()).map_err(|cause| StoreError::File {
            action: "write the marks",
            path: at,
            cause,
        })?;
        let Some(mut store) = Self::create(&path, identity)? else { return Err(StoreError::Exists { path }) };
        store.witness = Some(Mutex::new(witness));
        store.write(within)?;
        Ok(store)
    }

    /// A witnessed store on storage of another kind: for crashes that are simulated. Made when the storage is empty.
    ///
    /// # Errors
    /// As [`Store::open_witnessed`].
    pub fn open_witnessed_on(
        storage: impl StorageBackend,
        mut marks: Box<dyn Marks>,
        identity: &StoreIdentity,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        let path = PathBuf::from("(simulated)");
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        let failed = |cause| StoreError::File { action: "use the marks of", path: "(simulated)".into(), cause };
        let empty = storage.len().map_err(failed)? == 0;
        if empty && marks.read().map_err(failed)?.is_empty() {
            let witness = Witness::create(marks, rand::random()).map_err(failed)?;
            let database = builder.create_with_backend(storage).map_err(|cause| from_open(&path, cause))?;
            let witness = Some(Mutex::new(witness));
            let store = Self { path, identity: identity.clone(), database, new: true, witness };
            store.write(|tx| identity.write(tx))?;
            return Ok(store);
        }
        let found = if empty {
            None
        } else {
            let opened = catch_unwind(AssertUnwindSafe(|| {
                let database = builder.create_with_backend(storage).map_err(|cause| from_open(&path, cause))?;
                checked(&path, database)
            }));
            Some(Self::of(path.clone(), identity, opened)?)
        };
        Self::watched(path, found, marks, failed)
    }

    fn watched(
        path: PathBuf,
        found: Option<Self>,
        marks: Box<dyn Marks>,
        failed: impl FnOnce(std::io::Error) -> StoreError,
    ) -> Result<Self, StoreError> {
        let says = found.as_ref().map(|store| store.read(Found::read)).transpose()?;
        let witness = Witness::open(marks, says).map_err(failed)?;
        match (found, witness) {
            (Some(store), Ok(witness)) => Ok(Self { witness: Some(Mutex::new(witness)), ..store }),
            (_, Err(why)) => Err(StoreError::Distrusted { path, why }),
            (None, Ok(_)) => Err(StoreError::Distrusted { path, why: Distrust::Absent }),
        }
    }

    /// Was there no file before? A new sign-once journal knows nothing of what the key signed elsewhere.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it belongs to.
    #[must_use]
    pub fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    /// Reads, at one committed state. A table that was never written does not exist; see [`Store::get`].
    ///
    /// # Errors
    /// When the database says so.
    pub fn read<R>(&self, read: impl FnOnce(&ReadTransaction) -> Result<R, redb::Error>) -> Result<R, StoreError> {
        self.database
            .begin_read()
            .map_err(redb::Error::from)
            .and_then(|tx| read(&tx))
            .map_err(|cause| self.failed("read", cause))
    }

    /// One value, as `as_value` makes it of the stored one. A table that was never written is empty.
    ///
    /// # Errors
    /// When the database says so.
    pub fn get<K: Key + 'static, V: Value + 'static, R>(
        &self,
        table: TableDefinition<'_, K, V>,
        key: K::SelfType<'_>,
        as_value: impl FnOnce(V::SelfType<'_>) -> R,
    ) -> Result<Option<R>, StoreError> {
        self.read(|tx| match tx.open_table(table) {
            Ok(table) => Ok(table.get(key)?.map(|found| as_value(found.value()))),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    /// Writes alone, and returns when it is on the disk. For the start; in operation, write through a
    /// [`Writer`](super::Writer).
    ///
    /// # Errors
    /// When the database or `write` says so; nothing is written then.
    pub fn write<R>(&self, write: impl FnOnce(&WriteTransaction) -> Result<R, redb::Error>) -> Result<R, StoreError> {
        let run = || -> Result<R, redb::Error> {
            let tx = durable(&self.database)?;
            let answer = write(&tx)?;
            self.commit(tx)?;
            Ok(answer)
        };
        run().map_err(|cause| self.failed("write to", cause))
    }

    pub(super) fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        durable(&self.database)
    }

    /// Commits; when this returns, the change and the marks are on the disk.
    pub(super) fn commit(&self, tx: WriteTransaction) -> Result<(), redb::Error> {
        let Some(witness) = &self.witness else { return Ok(tx.commit()?) };
        // A writer that panicked in between left the marks at most one behind, which is made up for here.
        let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
        witness.count(&tx)?;
        tx.commit()?;
        witness.committed()
    }

    pub(super) fn failed(&self, action: &'static str, cause: redb::Error) -> StoreError {
        StoreError::Failed { action, path: self.path.clone(), cause: Box::new(cause) }
    }

    /// Makes the file beside its place and moves it there when it is whole and on the disk, so that a crash leaves
    /// either no store or a good one. `None`: by then there was one.
    fn create(path: &Path, identity: &StoreIdentity) -> Result<Option<Self>, StoreError> {
        let at = |action, path: &Path| {
            let path = path.to_owned();
            move |cause| StoreError::File { action, path, cause }
        };
        let directory = directory_of(path);
        fs::create_dir_all(directory).map_err(at("make the directory", directory))?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".new-{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&draft);
        let file = file.map_err(at("make", &draft))?;
        let database = Database::builder().create_file(file).map_err(|cause| from_open(&draft, cause))?;
        let store = Self { path: path.to_owned(), identity: identity.clone(), database, new: true, witness: None };
        store.write(|tx| identity.write(tx))?;
        // A link, unlike a rename, does not replace what another process may have put there.
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft).map_err(at("tidy up", &draft))?;
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            linked => linked.map_err(at("make", path))?,
        }
        File::open(directory).and_then(|dir| dir.sync_all()).map_err(at("sync the directory", directory))?;
        Ok(Some(store))
    }

    fn existing(path: PathBuf, identity: &StoreIdentity) -> Result<Self, StoreError> {
        // redb checks sums, but a file that was tampered with can still break its assumptions, and it panics then.
        let opened = catch_unwind(AssertUnwindSafe(|| open_checked(&path)));
        Self::of(path, identity, opened)
    }

    /// What was opened, if it is what it should be.
    fn of(
        path: PathBuf,
        identity: &StoreIdentity,
        opened: std::thread::Result<Result<(Database, Option<StoreIdentity>), StoreError>>,
    ) -> Result<Self, StoreError> {
        let (database, found) = opened
            .unwrap_or_else(|_payload| Err(StoreError::Damaged { path: path.clone(), cause: "unreadable".into() }))?;
        let expected = Box::new(identity.clone());
        match found {
            None => Err(StoreError::NotOurs { path }),
            Some(found) if !found.same_owner(identity) => {
                Err(StoreError::Foreign { path, found: found.into(), expected })
            }
            Some(found) if found.schema > identity.schema => {
                Err(StoreError::Newer { path, found: found.into(), expected })
            }
            Some(found) if found.schema < identity.schema => {
                Err(StoreError::Older { path, found: found.into(), expected })
            }
            Some(found) => Ok(Self { path, identity: found, database, new: false, witness: None }),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn durable(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut tx = database.begin_write()?;
    tx.set_durability(Durability::Immediate)?;
    // With one phase, redb recovers from a crash by falling back to the commit before when the last one does not add up:
    // damage would pass for an older state, in which an answered verdict was never given. The second sync is its price.
    tx.set_two_phase_commit(true);
    Ok(tx)
}

fn open_checked(path: &Path) -> Result<(Database, Option<StoreIdentity>), StoreError> {
    checked(path, Database::builder().open(path).map_err(|cause| from_open(path, cause))?)
}

fn checked(path: &Path, mut database: Database) -> Result<(Database, Option<StoreIdentity>), StoreError> {
    let intact = database.check_integrity().map_err(|cause| from_open(path, cause))?;
    if !intact {
        tracing::warn!(path = %path.display(), "the store was closed uncleanly; it is repaired");
    }
    let damaged = |cause: redb::Error| StoreError::Damaged { path: path.to_owned(), cause: cause.to_string() };
    let tx = database.begin_read().map_err(|cause| damaged(cause.into()))?;
    let found = StoreIdentity::read(&tx).map_err(damaged)?;
    drop(tx);
    Ok((database, found))
}

fn from_open(path: &Path, cause: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match cause {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path },
        // What redb finds wrong with the content of a file is "invalid data", or an end that comes too early.
        DatabaseError::Storage(StorageError::Io(cause))
            if !matches!(cause.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            StoreError::File { action: "open", path, cause }
        }
        cause => StoreError::Damaged { path, cause: cause.to_string() },
    }
}
