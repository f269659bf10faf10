//! A lock on a folder: one process at a time writes into it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Keeps other processes out of a folder while it lives. The system lifts it when the process ends,
/// in whatever way.
#[derive(Debug)]
pub struct Lock {
    folder: PathBuf,
    file: File,
}

impl Lock {
    /// The locked file. It stays on unlock, unless no run began.
    pub const FILE: &str = ".lock";

    /// Locks a folder that exists.
    ///
    /// # Errors
    /// If another process has locked it, or it can't be written.
    pub fn take(folder: &Path) -> Result<Self> {
        let (path, shown) = (folder.join(Self::FILE), folder.display());
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("can't write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another charlet is training in {shown}: wait for it or stop it, or choose another \
                 folder with --out"
            ),
            // Some file systems have no locks, and are trained on all the same.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("can't lock {}", path.display()));
            }
        }
        // Between the two, the process that had it locked may have removed it.
        if !is_at(&file, &path) {
            return Self::take(folder);
        }
        Ok(Self {
            folder: folder.to_owned(),
            file,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Whether an open file still has its name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (file, path) = (file.metadata().map(id), std::fs::metadata(path).map(id));
    matches!((file, path), (Ok(file), Ok(path)) if file == path)
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing isn't enough: a process that another thread is just starting holds what is open here until it runs its
        // program, and the lock with it. What can't be unlocked was never locked, or is lifted when the file closes.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_as_long_as_the_lock_lives() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        let name = folder.path().to_str().unwrap();
        assert!(error.contains(name) && error.contains("--out"), "{error}");
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_process_that_is_being_started_keeps_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        // As a fork holds it before it becomes another program.
        let _forked = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
