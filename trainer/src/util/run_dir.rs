//! The output folder of a run and the names of its files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::atomic_file::{is_temporary, remove};
use super::lock::Lock;
use super::replaced::{self, Replaced};
use super::shell;

const CONFIG: &str = "config.toml";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";
const EPOCH: &str = "epoch.safetensors";
/// What `epoch.safetensors` was called before 0.1; read until 0.2.
const FORMER_EPOCH: &str = "good.safetensors";
const METRICS: &str = "metrics.jsonl";
const STEPS: &str = "steps.jsonl";
const REPORT: &str = "report.html";
const CURVES: &str = "curves.png";

/// How the names of TensorBoard's event files begin, and how ours end.
pub(crate) const EVENT_FILE_PREFIX: &str = "events.out.tfevents.";
pub(crate) const EVENT_FILE_SUFFIX: &str = ".charlet";

/// Whether a file of this name belongs to a run, besides its model.
fn is_of_a_run(name: &str) -> bool {
    let fixed = [
        CONFIG,
        BEST,
        LAST,
        EPOCH,
        FORMER_EPOCH,
        METRICS,
        STEPS,
        REPORT,
        CURVES,
    ];
    fixed.contains(&name) || is_kept(name)
}

/// Whether it is named as [`RunFolder::kept`] does.
fn is_kept(name: &str) -> bool {
    let parts = || {
        let name = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?;
        let (epoch, loss) = name.split_once('-')?;
        let (whole, decimals) = loss.split_once('.')?;
        Some((epoch, whole, decimals))
    };
    parts().is_some_and(|(epoch, whole, decimals)| {
        let is_number = [epoch, whole, decimals].into_iter().all(is_digits);
        is_number && epoch.len() >= 3 && decimals.len() == 4
    })
}

fn is_event_file(name: &str) -> bool {
    let second = name.strip_prefix(EVENT_FILE_PREFIX);
    let second = second.and_then(|name| name.strip_suffix(EVENT_FILE_SUFFIX));
    second.is_some_and(is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The files in a folder with such names; links count, folders don't. In one that isn't there, none.
fn files_named(folder: &Path, is_named: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_named = entry.file_name().to_str().is_some_and(&is_named);
            if is_named && !entry.file_type()?.is_dir() {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    };
    read().with_context(|| format!("can't read the folder {}", folder.display()))
}

/// Makes a folder; returns those that were not there before, the innermost first.
fn make(folder: &Path) -> Result<Vec<PathBuf>> {
    let in_the_way = folder
        .ancestors()
        .find(|folder| folder.exists() && !folder.is_dir());
    if let Some(file) = in_the_way {
        bail!("{} is no folder: choose another --out", file.display());
    }
    let missing = folder.ancestors().filter(|folder| *folder != Path::new(""));
    let missing = missing.take_while(|folder| !folder.exists());
    let missing = missing.map(Path::to_owned).collect();
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("can't make the folder {shown}"))?;
    Ok(missing)
}

/// The output folder of a run, locked while this lives. If no run begins in it, no trace is left of it.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    name: String,
    lock: Option<Lock>,
    /// Whether a run that is there may be replaced.
    replaces: bool,
    /// The name of the run that is there, which its model has.
    former_name: Option<String>,
    /// What goes again if no run begins: folders that were made, the innermost first, and the file of the lock.
    made: Vec<PathBuf>,
    made_lock: bool,
}

impl RunFolder {
    pub(super) const TENSORBOARD: &str = "tensorboard";

    /// The folder of a run, for reading: it is not locked.
    pub fn at(folder: &Path, name: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            lock: None,
            replaces: false,
            former_name: None,
            made: Vec::new(),
            made_lock: false,
        }
    }

    /// Makes the folder, locks it and checks that it can be written. A run that is there stays until another
    /// [begins](Self::begin).
    ///
    /// # Errors
    /// If it can't be made or written, another process has locked it, or it holds a run already and
    /// `replace` is not set.
    pub fn create(folder: &Path, name: &str, replace: bool) -> Result<Self> {
        // Complete from the start: its drop cleans up whatever fails.
        let mut run = Self::at(folder, name);
        run.replaces = replace;
        run.made = make(folder)?;
        run.made_lock = !folder.join(Lock::FILE).exists();
        run.lock = Some(Self::open(folder)?);
        run.check_occupied()?;
        Ok(run)
    }

    /// Names the run that is there: with it its model is replaced.
    pub fn set_former_name(&mut self, name: String) {
        self.former_name = Some(name);
    }

    /// The folder of a run that is resumed, locked before its checkpoint was read. Removes what a killed
    /// process left half written, and gives files of older versions their present names.
    ///
    /// # Errors
    /// If the folder can't be read or written.
    pub fn resume(lock: Lock, name: &str) -> Result<Self> {
        let folder = lock.folder().to_owned();
        let mut run = Self::at(&folder, name);
        run.lock = Some(lock);
        run.remove_temporaries()?;
        let former = folder.join(FORMER_EPOCH);
        if former.exists() && !run.epoch_checkpoint().exists() {
            fs::rename(&former, run.epoch_checkpoint())
                .with_context(|| format!("can't rename {}", former.display()))?;
        }
        Ok(run)
    }

    /// Locks a folder that exists, and puts right what a killed process left: a run half replaced, files half written.
    ///
    /// # Errors
    /// If another process has locked it, or it can't be written.
    pub fn open(folder: &Path) -> Result<Lock> {
        let lock = Lock::take(folder)?;
        let run = Self::at(folder, "");
        replaced::recover(&run)?;
        run.remove_temporaries()?;
        Ok(lock)
    }

    /// The same for who only reads, and reads on if it can't be done.
    pub fn recover(folder: &Path) {
        if replaced::is_unfinished(folder) {
            let _ = Self::open(folder);
        }
    }

    /// Makes way for a new run: sets the files aside of the one that it replaces, if there is one. They are put
    /// back if what is returned is dropped before the new run has its first checkpoint and its settings.
    ///
    /// # Errors
    /// If a file can't be moved, or there is a run that must not be replaced.
    pub fn begin(&self) -> Result<Replaced<'_>> {
        self.check_occupied()?;
        Replaced::set_aside(self)
    }

    /// Whether a run in this folder has its first checkpoint and its settings, which are written last.
    pub(super) fn has_begun(&self) -> bool {
        self.config().exists() && self.last().exists()
    }

    /// The files here that a run of this name writes or removes.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let names = std::iter::once(&self.name).chain(&self.former_name);
        let models: Vec<String> = names.map(|name| format!("{name}.charlet")).collect();
        Self::files_in(self.path(), |name| models.iter().any(|model| model == name))
    }

    /// The files of a run in this folder; `is_model` recognises its model.
    pub(super) fn files_in(folder: &Path, is_model: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let mut files = files_named(folder, |name| is_of_a_run(name) || is_model(name))?;
        files.extend(files_named(&folder.join(Self::TENSORBOARD), is_event_file)?);
        Ok(files)
    }

    /// The checkpoints that a run in this folder may be resumed from, the newest first.
    pub fn resumable_in(folder: &Path) -> [PathBuf; 3] {
        [LAST, EPOCH, FORMER_EPOCH].map(|name| folder.join(name))
    }

    /// All checkpoints in this folder.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn checkpoints_in(folder: &Path) -> Result<Vec<PathBuf>> {
        files_named(folder, |name| {
            is_of_a_run(name) && name.ends_with(".safetensors")
        })
    }

    /// The newest checkpoint of a run in this folder.
    pub fn last_in(folder: &Path) -> PathBuf {
        folder.join(LAST)
    }

    /// Whether there may be a run in this folder that can be resumed.
    pub fn is_resumable(folder: &Path) -> bool {
        let checkpoints = Self::checkpoints_in(folder);
        replaced::is_unfinished(folder) || checkpoints.is_ok_and(|found| !found.is_empty())
    }

    fn remove_temporaries(&self) -> Result<()> {
        let temporary = files_named(self.path(), is_temporary)?;
        temporary.iter().try_for_each(|file| remove(file))
    }

    /// Refuses to write over a run, unless it is to be replaced.
    fn check_occupied(&self) -> Result<()> {
        let (files, shown) = (self.files()?, self.path().display());
        let Some(file) = files.first().filter(|_| !self.replaces) else {
            return Ok(());
        };
        if Self::resumable_in(self.path())
            .iter()
            .any(|file| file.exists())
        {
            bail!(
                "{shown} already holds a run: choose another --out, replace it with --force, or go on with it: \
                 {} train --resume {}",
                shell::program(),
                shell::path(self.path())
            );
        }
        bail!(
            "{shown} already holds files of a run, such as {}: choose another --out, or replace them with \
             --force",
            file.display()
        )
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// All settings of the run.
    pub fn config(&self) -> PathBuf {
        self.path().join(CONFIG)
    }

    /// The checkpoint with the lowest held-out loss.
    pub fn best(&self) -> PathBuf {
        self.path().join(BEST)
    }

    /// The newest checkpoint.
    pub fn last(&self) -> PathBuf {
        Self::last_in(self.path())
    }

    /// The checkpoint of the last full epoch, which a rollback returns to.
    pub fn epoch_checkpoint(&self) -> PathBuf {
        self.path().join(EPOCH)
    }

    /// The checkpoint of an epoch that is among the best, see `--keep`.
    pub fn kept(&self, epoch: usize, loss: f64) -> PathBuf {
        self.path()
            .join(format!("epoch-{epoch:03}-{loss:.4}.safetensors"))
    }

    /// A line of JSON for each epoch.
    pub fn metrics(&self) -> PathBuf {
        self.path().join(METRICS)
    }

    /// A line of JSON for every few batches.
    pub fn steps(&self) -> PathBuf {
        self.path().join(STEPS)
    }

    /// The HTML report.
    pub fn html_report(&self) -> PathBuf {
        self.path().join(REPORT)
    }

    /// The loss curves as a picture.
    pub fn curves(&self) -> PathBuf {
        self.path().join(CURVES)
    }

    /// Event files for TensorBoard.
    pub fn tensorboard(&self) -> PathBuf {
        self.path().join(Self::TENSORBOARD)
    }

    /// The exported model.
    pub fn model(&self) -> PathBuf {
        self.path().join(format!("{}.charlet", self.name))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.config().exists() {
            return;
        }
        // What can't be removed holds something.
        if self.made_lock && self.lock.is_some() {
            let _ = remove(&self.path().join(Lock::FILE));
        }
        for folder in &self.made {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), "x", false).unwrap();
        let locked = |replace| {
            let error = RunFolder::create(folder.path(), "x", replace).unwrap_err();
            error.to_string().contains("another charlet")
        };
        assert!(locked(false) && locked(true));
        drop(run);
        assert_eq!(names(folder.path()), [""; 0]);
        let run = RunFolder::at(folder.path(), "x");
        fs::create_dir(run.tensorboard()).unwrap();
        for file in [
            run.config(),
            run.best(),
            run.last(),
            run.epoch_checkpoint(),
            folder.path().join(FORMER_EPOCH),
            run.kept(7, 1.23456),
            run.metrics(),
            run.steps(),
            run.model(),
            run.html_report(),
            run.curves(),
            run.tensorboard().join("events.out.tfevents.1.charlet"),
        ] {
            fs::write(&file, b"").unwrap();
            let error = RunFolder::create(folder.path(), "x", false).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("--force"), "{error}");
            assert!(file.exists());
            RunFolder::create(folder.path(), "x", true).unwrap();
            assert!(file.exists());
            fs::remove_file(file).unwrap();
        }
    }

    #[test]
    fn what_is_not_ours_is_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let mine = [
            ".charlet-notes",
            ".charlet-notes1",
            "epoch-001-1.0.safetensors",
            "epoch-best.safetensors",
            "other.charlet",
        ];
        for name in mine {
            fs::write(folder.path().join(name), b"mine").unwrap();
        }
        drop(RunFolder::create(folder.path(), "x", false).unwrap());
        drop(
            RunFolder::create(folder.path(), "x", true)
                .unwrap()
                .begin()
                .unwrap(),
        );
        assert_eq!(names(folder.path()), mine);
    }

    #[test]
    fn folders_in_which_no_run_begins_go_again() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("outer/inner");
        let run = RunFolder::create(&inner, "x", false).unwrap();
        assert!(inner.join(Lock::FILE).exists());
        drop(run.begin().unwrap());
        drop(run);
        assert_eq!(names(folder.path()), [""; 0]);
        let run = RunFolder::create(&inner, "x", false).unwrap();
        fs::write(run.config(), b"").unwrap();
        drop(run);
        assert_eq!(names(&inner), [Lock::FILE, CONFIG]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            ".charlet-link.partial",
            ".charlet-a1B2c3.partial",
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
