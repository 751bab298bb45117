//! Key files: written whole or not at all, readable by their owner alone, never over another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a key file was not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Something is there already.
    #[error("{} is there already and is not written over; move it away, or choose another place", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
}

/// Writes a file that is not there yet, mode 600, its directory made (mode 700) where it is missing. It lasts when this
/// returns.
///
/// # Errors
/// When something is there, or it cannot be written.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), FileError> {
    aside(path, content, |aside| fs::hard_link(aside, path))
}

/// Writes a file anew, in one step: at every moment it holds the old content or the new.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    aside(path, content, |aside| fs::rename(aside, path))
}

fn aside(path: &Path, content: &[u8], place: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), FileError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = directory.join(format!(".{name}.{}.new", std::process::id()));
    let written = (|| {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        // Left over from a crash of a process with this one's number.
        fs::remove_file(&aside).ok();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(content)?;
        file.sync_all()?;
        place(&aside)?;
        File::open(directory)?.sync_all()
    })();
    // Linked or failed, the name aside is of no more use; renamed, it is gone.
    fs::remove_file(&aside).ok();
    written.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists(path.to_owned()),
        _ => FileError::Write { path: path.to_owned(), cause },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_its_owner_s_and_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/one.json");
        write_new(&path, b"first").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(write_new(&path, b"second"), Err(FileError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        replace(&path, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left aside");
        assert!(matches!(write_new(Path::new("/proc/nowhere/x"), b""), Err(FileError::Write { .. })));
    }
}
