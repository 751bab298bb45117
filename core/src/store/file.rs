//! Opening a store's file, and reading from it.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, Durability, Key, ReadTransaction, ReadableDatabase, StorageError, TableDefinition,
    TableError, Value, WriteTransaction,
};

use super::{StoreError, StoreIdentity};

/// An open store.
pub struct Store {
    path: PathBuf,
    identity: StoreIdentity,
    database: Database,
    new: bool,
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
            tx.commit()?;
            Ok(answer)
        };
        run().map_err(|cause| self.failed("write to", cause))
    }

    pub(super) fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        durable(&self.database)
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
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(directory).map_err(at("make the directory", directory))?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".new-{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&draft);
        let file = file.map_err(at("make", &draft))?;
        let database = Database::builder().create_file(file).map_err(|cause| from_open(&draft, cause))?;
        let store = Self { path: path.to_owned(), identity: identity.clone(), database, new: true };
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
            Some(found) => Ok(Self { path, identity: found, database, new: false }),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).field("identity", &self.identity).finish_non_exhaustive()
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
    let mut database = Database::builder().open(path).map_err(|cause| from_open(path, cause))?;
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
