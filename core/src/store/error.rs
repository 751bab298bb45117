//! What goes wrong with a store, by cause.

use std::path::PathBuf;

use super::{Distrust, StoreIdentity};

/// Why a store was not opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file belongs to another network, key or purpose.
    #[error("{} is the {found}, not the {expected}: point the configuration to the right file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: Box<StoreIdentity>,
        /// What was asked for.
        expected: Box<StoreIdentity>,
    },
    /// The file was written by a newer release.
    #[error("{} is the {found}, written by a newer release than this one, which knows {expected}: upgrade", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: Box<StoreIdentity>,
        /// What was asked for.
        expected: Box<StoreIdentity>,
    },
    /// The file was written by an older release and there is no way from there to here.
    #[error("{} is the {found}, written by an older release; this one needs {expected}: migrate it first", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: Box<StoreIdentity>,
        /// What was asked for.
        expected: Box<StoreIdentity>,
    },
    /// A database, but not one of ours.
    #[error("{} is a database of something else: point the configuration to the right file", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// There is one already.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The store and the marks beside it do not agree.
    #[error("{}: {why}", path.display())]
    Distrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: Distrust,
    },
    /// Another process has it open.
    #[error("{} is in use by another process: two processes with one key would contradict each other", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is truncated, corrupted or no database.
    #[error(
        "{} is damaged ({cause}): restore it from a backup made since the last signature; do not simply delete it, \
         for what was signed is known only there",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The file cannot be made or opened.
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: std::io::Error,
    },
    /// A read or a write failed.
    #[error("cannot {action} {}: {cause}", path.display())]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        cause: Box<redb::Error>,
    },
    /// The group's commit failed: whether the change is on the disk is unknown, and so are all later ones.
    #[error("cannot commit to {}: {cause}", path.display())]
    Commit {
        /// The file.
        path: PathBuf,
        /// What the database said; one text for all callers of the group.
        cause: String,
    },
    /// The caller's change panicked; nothing of it was written.
    #[error("a change to {} panicked; this is a bug", path.display())]
    Panicked {
        /// The file.
        path: PathBuf,
    },
    /// The writer has ended.
    #[error("the writer of {} has ended", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}
