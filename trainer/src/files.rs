//! Files that appear whole or not at all, and the folder of a run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Writes a file under a temporary name, syncs it, and gives it its name: nobody ever sees half of
/// it, and the file it replaces stays until then.
///
/// # Errors
/// If the folder can't be written or the disk is full; nothing is left behind then.
pub fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || -> Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".charlet-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file; the user's umask takes its share.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        #[cfg(unix)]
        fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// The folder that a run writes into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    folder: PathBuf,
    name: String,
}

impl RunFolder {
    /// Makes the folder and checks that it can be written.
    ///
    /// # Errors
    /// If it can't be made or written, or holds a run already and `replace` is not set.
    pub fn create(folder: &Path, name: &str, replace: bool) -> Result<Self> {
        let shown = folder.display();
        let run = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
        };
        fs::create_dir_all(folder).with_context(|| format!("can't make the folder {shown}"))?;
        if run.config().exists() {
            if !replace {
                bail!(
                    "{shown} already holds a run: choose another --out, or replace it with --force"
                );
            }
            for old in [
                run.config(),
                run.best(),
                run.last(),
                run.metrics(),
                run.model(),
            ] {
                if old.exists() {
                    fs::remove_file(&old)
                        .with_context(|| format!("can't remove {}", old.display()))?;
                }
            }
        }
        Ok(run)
    }

    /// All settings of the run.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// The checkpoint with the lowest held-out loss.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// The newest checkpoint.
    pub fn last(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    /// A line of JSON for each epoch.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    /// The exported model.
    pub fn model(&self) -> PathBuf {
        self.folder.join(format!("{}.charlet", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_failure_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // A folder is in the way of the name.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), b"").unwrap();
        assert!(write_whole(&taken, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_run_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), "x", false).unwrap();
        fs::write(run.config(), b"").unwrap();
        fs::write(run.model(), b"").unwrap();
        let error = RunFolder::create(folder.path(), "x", false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--force"), "{error}");
        RunFolder::create(folder.path(), "x", true).unwrap();
        assert!(!run.config().exists() && !run.model().exists());
    }
}
