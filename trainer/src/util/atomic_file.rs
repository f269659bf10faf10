//! Atomic writes: a file appears complete or not at all.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// How the names of files begin and end that are being written.
const PREFIX: &str = ".charlet-";
const SUFFIX: &str = ".partial";
/// What is between: a few random characters, or this for a second name.
const RANDOM: usize = 6;
const LINK: &str = "link";

/// Whether a file of this name was being written when its process was killed.
pub(super) fn is_temporary(name: &str) -> bool {
    let between = name.strip_prefix(PREFIX);
    let between = between.and_then(|name| name.strip_suffix(SUFFIX));
    between.is_some_and(|name| {
        let is_random = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        name == LINK || name.len() == RANDOM && is_random
    })
}

/// Removes a file if it is there.
///
/// # Errors
/// If it is there and can't be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a temporary file, syncs it, and renames it. Readers see the old file or the new one, never a part.
///
/// # Errors
/// If the folder can't be written or the disk is full; nothing is left behind then.
pub fn atomic_write(path: &Path, contents: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || -> Result<()> {
        // Renaming would put a file in the place of a device or a pipe, such as /dev/null.
        let is_file = fs::metadata(path).map_or(true, |found| found.is_file());
        ensure!(is_file, "it is there, and no file");
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX).rand_bytes(RANDOM);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file; the user's umask takes its share.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        // Without the name of the temporary file, which is nobody's business.
        let named = builder.tempfile_in(folder);
        let mut file = named.map_err(|error| std::io::Error::from(error.kind()))?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)?;
        Ok(())
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// Brings the names in a folder to the disk, where the system needs to be asked.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Gives a file that was just written whole a second name, in place of the file that has it.
///
/// # Errors
/// If the file system has no such names; nothing has changed then.
pub fn link(file: &Path, name: &Path) -> std::io::Result<()> {
    let temporary = name.with_file_name(format!("{PREFIX}{LINK}{SUFFIX}"));
    fs::hard_link(file, &temporary)?;
    fs::rename(&temporary, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_failure_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        atomic_write(&path, b"old").unwrap();
        atomic_write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let second = folder.path().join("second");
        fs::write(&second, b"other").unwrap();
        link(&path, &second).unwrap();
        atomic_write(&path, b"newer").unwrap();
        assert_eq!(fs::read(&second).unwrap(), b"new");
        fs::remove_file(second).unwrap();
        // A folder is in the way of the name.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), b"").unwrap();
        assert!(atomic_write(&taken, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        #[cfg(unix)]
        {
            let socket = folder.path().join("socket");
            let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            assert!(atomic_write(&socket, b"new").is_err());
            assert!(!fs::metadata(&socket).unwrap().is_file());
        }
    }
}
