//! The node's libp2p key (ed25519), kept in its state directory. It names the node to its peers; who it speaks for is
//! proven by the consensus key, so losing this file costs a new peer id and nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use libp2p::identity::Keypair;
use zeroize::Zeroizing;

const NAME: &str = "p2p.key";

/// Why the key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system said no.
    #[error("{path}: {source}; the state directory must exist and be writable by this service")]
    Io {
        /// The file.
        path: PathBuf,
        /// Its error.
        source: io::Error,
    },
    /// Others could have read the key.
    #[error("{path} is readable by others (mode {mode:o}); run: chmod 600 {path}")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The bytes are no key.
    #[error("{path} does not hold a libp2p key; move it away and a new one is made (with a new peer id)")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Loads `p2p.key` from the directory, or makes one there (mode 0600).
pub fn load_or_create(directory: &Path) -> Result<Keypair, KeyFileError> {
    let path = directory.join(NAME);
    match load(&path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => create(directory, &path),
        other => other,
    }
}

fn load(path: &Path) -> Result<Keypair, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.into(), source };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions { path: path.into(), mode });
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(io)?);
    Keypair::from_protobuf_encoding(&bytes).map_err(|_| KeyFileError::Malformed { path: path.into() })
}

/// Written aside and linked into place: a crash leaves no half a key, and of two starters one wins and both use its key.
fn create(directory: &Path, path: &Path) -> Result<Keypair, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.into(), source };
    let key = Keypair::generate_ed25519();
    let bytes = Zeroizing::new(key.to_protobuf_encoding().map_err(|_| KeyFileError::Malformed { path: path.into() })?);
    let aside = directory.join(format!("{NAME}.{}.new", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::hard_link(&aside, path)?;
        File::open(directory)?.sync_all()
    })();
    // Whatever happened, the key stays in one place; a leftover name is only untidy.
    fs::remove_file(&aside).ok();
    match written {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = load_or_create(directory.path()).unwrap().public();
        assert_eq!(load_or_create(directory.path()).unwrap().public(), first);
        let path = directory.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_or_create(directory.path()).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"junk").unwrap();
        assert!(matches!(load_or_create(directory.path()), Err(KeyFileError::Malformed { .. })));
        assert!(matches!(load_or_create(Path::new("/nonexistent")), Err(KeyFileError::Io { .. })));
    }
}
