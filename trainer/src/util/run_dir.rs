//! The output folder of a run and the names of its files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::atomic_file::{is_temporary, remove};
use super::lock::Lock;
use super::shell;

/// What `epoch.safetensors` was called before 0.1; read until 0.2.
const FORMER_EPOCH_CHECKPOINT: &str = "good.safetensors";

/// How the names of TensorBoard's event files begin.
pub(crate) const EVENT_FILE_PREFIX: &str = "events.out.tfevents.";

fn is_kept(name: &str) -> bool {
    name.starts_with("epoch-") && name.ends_with(".safetensors")
}

fn is_event_file(name: &str) -> bool {
    name.starts_with(EVENT_FILE_PREFIX)
}

fn remove_all_in(folder: &Path, is_old: impl Fn(&str) -> bool) -> Result<()> {
    let shown = folder.display();
    let entries = fs::read_dir(folder).with_context(|| format!("can't read the folder {shown}"))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_old) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The output folder of a run, locked while this lives.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    name: String,
    _lock: Option<Lock>,
}

impl RunFolder {
    /// The folder of a run, for reading: it is not locked.
    pub fn at(folder: &Path, name: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            _lock: None,
        }
    }

    /// Makes the folder, locks it and checks that it can be written.
    ///
    /// # Errors
    /// If it can't be made or written, another process has locked it, or it holds a run already and
    /// `replace` is not set.
    pub fn create(folder: &Path, name: &str, replace: bool) -> Result<Self> {
        let shown = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("can't make the folder {shown}"))?;
        let run = Self {
            _lock: Some(Lock::take(folder)?),
            ..Self::at(folder, name)
        };
        run.remove_all(is_temporary)?;
        if run.config().exists() || run.last().exists() {
            if !replace {
                bail!(
                    "{shown} already holds a run: go on with it by {} train --resume {}, choose another \
                     --out, or replace it with --force",
                    shell::program(),
                    shell::path(folder)
                );
            }
            for old in [
                run.config(),
                run.best(),
                run.last(),
                run.epoch_checkpoint(),
                folder.join(FORMER_EPOCH_CHECKPOINT),
                run.metrics(),
                run.steps(),
                run.model(),
                run.curves(),
                run.html_report(),
            ] {
                remove(&old)?;
            }
            run.remove_all(is_kept)?;
            if run.tensorboard().is_dir() {
                remove_all_in(&run.tensorboard(), is_event_file)?;
            }
        }
        Ok(run)
    }

    /// The folder of a run that is resumed, locked before its checkpoint was read. Removes what a killed
    /// process left half written, and gives files of older versions their present names.
    ///
    /// # Errors
    /// If the folder can't be read or written.
    pub fn resume(lock: Lock, name: &str) -> Result<Self> {
        let folder = lock.folder().to_owned();
        let run = Self {
            _lock: Some(lock),
            ..Self::at(&folder, name)
        };
        run.remove_all(is_temporary)?;
        let former = folder.join(FORMER_EPOCH_CHECKPOINT);
        if former.exists() && !run.epoch_checkpoint().exists() {
            fs::rename(&former, run.epoch_checkpoint())
                .with_context(|| format!("can't rename {}", former.display()))?;
        }
        Ok(run)
    }

    /// The newest checkpoint of a run in this folder.
    pub fn last_in(folder: &Path) -> PathBuf {
        folder.join("last.safetensors")
    }

    fn remove_all(&self, is_old: impl Fn(&str) -> bool) -> Result<()> {
        remove_all_in(self.path(), is_old)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// All settings of the run.
    pub fn config(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    /// The checkpoint with the lowest held-out loss.
    pub fn best(&self) -> PathBuf {
        self.path().join("best.safetensors")
    }

    /// The newest checkpoint.
    pub fn last(&self) -> PathBuf {
        Self::last_in(self.path())
    }

    /// The checkpoint of the last full epoch, which a rollback returns to.
    pub fn epoch_checkpoint(&self) -> PathBuf {
        self.path().join("epoch.safetensors")
    }

    /// The checkpoint of an epoch that is among the best, see `--keep`.
    pub fn kept(&self, epoch: usize, loss: f64) -> PathBuf {
        self.path()
            .join(format!("epoch-{epoch:03}-{loss:.4}.safetensors"))
    }

    /// A line of JSON for each epoch.
    pub fn metrics(&self) -> PathBuf {
        self.path().join("metrics.jsonl")
    }

    /// A line of JSON for every few batches.
    pub fn steps(&self) -> PathBuf {
        self.path().join("steps.jsonl")
    }

    /// The HTML report.
    pub fn html_report(&self) -> PathBuf {
        self.path().join("report.html")
    }

    /// The loss curves as a picture.
    pub fn curves(&self) -> PathBuf {
        self.path().join("curves.png")
    }

    /// Event files for TensorBoard.
    pub fn tensorboard(&self) -> PathBuf {
        self.path().join("tensorboard")
    }

    /// The exported model.
    pub fn model(&self) -> PathBuf {
        self.path().join(format!("{}.charlet", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), "x", false).unwrap();
        fs::write(run.config(), b"").unwrap();
        fs::write(run.model(), b"").unwrap();
        let locked = |replace| {
            let error = RunFolder::create(folder.path(), "x", replace).unwrap_err();
            error.to_string().contains("another charlet")
        };
        assert!(locked(false) && locked(true) && run.config().exists());
        let kept = run.kept(7, 1.23456);
        drop(run);
        let error = RunFolder::create(folder.path(), "x", false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--force"), "{error}");
        fs::write(kept, b"").unwrap();
        let tensorboard = RunFolder::at(folder.path(), "x").tensorboard();
        fs::create_dir(&tensorboard).unwrap();
        let events = tensorboard.join("events.out.tfevents.1.charlet");
        fs::write(&events, b"").unwrap();
        fs::write(folder.path().join("mine.txt"), b"").unwrap();
        RunFolder::create(folder.path(), "x", true).unwrap();
        assert_eq!(
            names(folder.path()),
            [Lock::FILE, "mine.txt", "tensorboard"]
        );
        assert!(!events.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            ".charlet-half",
            "last.safetensors",
            "epoch-002-1.5000.safetensors",
        ] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let run = RunFolder::resume(Lock::take(folder.path()).unwrap(), "x").unwrap();
        assert_eq!(
            names(folder.path()),
            [
                Lock::FILE,
                "epoch-002-1.5000.safetensors",
                "last.safetensors"
            ]
        );
        assert!(run.last().exists() && run.kept(2, 1.5).exists());
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
