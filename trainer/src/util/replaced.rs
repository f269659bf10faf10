//! The run that a new one replaces: set aside until the new one has begun.
//!
//! Its files are moved into a folder beside them. A mark in there tells the stage, and is renamed from one to the
//! next. Whenever a process dies, the next one sees what to do:
//!
//! | stage | where the files are | what the next process does |
//! | --- | --- | --- |
//! | moving | those of the old run here and in place, none of the new run | moves the old ones back |
//! | moved | the old run here, the new one in place | if the new run has begun: on to obsolete; if not: removes its files, back to moving |
//! | obsolete | the new run in place, the rest of the old one here | removes the old one |

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::atomic_file::{remove, sync_folder};
use super::run_dir::RunFolder;

/// The folder, in that of the run.
const FOLDER: &str = ".charlet-replaced";

/// The stages, by the names of their marks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Moving,
    Moved,
    Obsolete,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Moving, Self::Moved, Self::Obsolete];

    fn mark(self) -> &'static str {
        match self {
            Self::Moving => ".charlet-moving",
            Self::Moved => ".charlet-moved",
            Self::Obsolete => ".charlet-obsolete",
        }
    }
}

/// The replaced run. Unless the new one has begun, it is put back when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Replaced<'f>(Option<&'f RunFolder>);

impl<'f> Replaced<'f> {
    /// Sets the files of a run aside, and makes way for a new one; there may be none.
    pub(super) fn set_aside(run: &'f RunFolder) -> Result<Self> {
        let (folder, aside) = (run.path(), aside(run.path()));
        make(&aside)?;
        // From here on it is put back if anything fails.
        let replaced = Self(Some(run));
        for file in run.files()? {
            move_file(&file, folder, &aside)?;
        }
        advance(folder, Stage::Moving, Stage::Moved)?;
        Ok(replaced)
    }

    /// Removes the replaced run, now that the new one can be resumed.
    ///
    /// # Errors
    /// If a file can't be removed; the next process tries again.
    pub fn discard(mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), recover)
    }
}

impl Drop for Replaced<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.0 {
            // The error that led here is told. What can't be put back now, the next process puts back.
            let _ = recover(run);
        }
    }
}

/// Whether a run was being replaced in this folder when its process died.
pub(super) fn is_unfinished(folder: &Path) -> bool {
    stage(&aside(folder)).is_some()
}

/// Finishes what a process left that replaced a run: the folder holds the new run if that has begun, and else the
/// old one.
///
/// # Errors
/// If a file can't be moved or removed.
pub(super) fn recover(run: &RunFolder) -> Result<()> {
    let (folder, aside) = (run.path(), aside(run.path()));
    match stage(&aside) {
        // An empty folder may be left of ours; another stays.
        None => {}
        Some(Stage::Moving) => move_back(folder, &aside)?,
        Some(Stage::Moved) if run.has_begun() => {
            advance(folder, Stage::Moved, Stage::Obsolete)?;
            remove_files(&aside)?;
        }
        Some(Stage::Moved) => {
            for file in run.files()? {
                remove_file(&file)?;
            }
            advance(folder, Stage::Moved, Stage::Moving)?;
            move_back(folder, &aside)?;
        }
        Some(Stage::Obsolete) => remove_files(&aside)?,
    }
    for stage in Stage::ALL {
        remove_file(&aside.join(stage.mark()))?;
    }
    step()?;
    // If someone has put a file of theirs there, the folder stays.
    let _ = fs::remove_dir(&aside);
    Ok(())
}

fn aside(folder: &Path) -> PathBuf {
    folder.join(FOLDER)
}

/// The stage that a mark tells. A folder without one isn't ours.
fn stage(aside: &Path) -> Option<Stage> {
    let is_marked = |stage: &Stage| aside.join(stage.mark()).is_file();
    Stage::ALL.into_iter().find(is_marked)
}

/// Makes the folder, with its first mark.
fn make(aside: &Path) -> Result<()> {
    let shown = aside.display();
    step()?;
    match fs::create_dir(aside) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let is_empty = fs::read_dir(aside).is_ok_and(|mut entries| entries.next().is_none());
            ensure!(
                is_empty,
                "{shown} is in the way, and not one of charlet's: rename it, or choose another --out"
            );
        }
        made => made.with_context(|| format!("can't make the folder {shown}"))?,
    }
    step()?;
    let mark = aside.join(Stage::Moving.mark());
    if let Err(error) = File::create(&mark) {
        let _ = fs::remove_dir(aside);
        return Err(error).with_context(|| format!("can't write {}", mark.display()));
    }
    Ok(())
}

/// Goes on to another stage, when all before is on the disk.
fn advance(folder: &Path, from: Stage, to: Stage) -> Result<()> {
    let aside = aside(folder);
    let sync = || sync_folder(&aside).and_then(|()| sync_folder(folder));
    sync().with_context(|| format!("can't write into {}", folder.display()))?;
    move_to(&aside.join(from.mark()), &aside.join(to.mark()))?;
    sync().with_context(|| format!("can't write into {}", folder.display()))
}

/// Moves all files back that were set aside.
fn move_back(folder: &Path, aside: &Path) -> Result<()> {
    for file in files(aside)? {
        let place = folder.join(file.strip_prefix(aside)?);
        if fs::symlink_metadata(&place).is_ok() {
            bail!(
                "{} was set aside by --force, and there is another in its place: remove one of them",
                file.display()
            );
        }
        move_file(&file, aside, folder)?;
    }
    let sync = sync_folder(folder);
    sync.with_context(|| format!("can't write into {}", folder.display()))?;
    step()?;
    let _ = fs::remove_dir(aside.join(RunFolder::TENSORBOARD));
    Ok(())
}

/// Removes what was set aside.
fn remove_files(aside: &Path) -> Result<()> {
    for file in files(aside)? {
        remove_file(&file)?;
    }
    step()?;
    let _ = fs::remove_dir(aside.join(RunFolder::TENSORBOARD));
    Ok(())
}

/// The files that were set aside. The model may have any name.
fn files(aside: &Path) -> Result<Vec<PathBuf>> {
    RunFolder::files_in(aside, |name| name.ends_with(".charlet"))
}

/// Moves a file from one folder into another, and into the same folder within.
fn move_file(file: &Path, from: &Path, to: &Path) -> Result<()> {
    let place = to.join(file.strip_prefix(from)?);
    if let Some(parent) = place.parent().filter(|parent| !parent.exists()) {
        step()?;
        let made = fs::create_dir(parent);
        made.with_context(|| format!("can't make the folder {}", parent.display()))?;
    }
    move_to(file, &place)
}

fn move_to(file: &Path, place: &Path) -> Result<()> {
    step()?;
    fs::rename(file, place).with_context(|| format!("can't rename {}", file.display()))
}

fn remove_file(file: &Path) -> Result<()> {
    step()?;
    remove(file)
}

/// Called before each change, so that a test can die there.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "a test's has an error")]
fn step() -> Result<()> {
    Ok(())
}

#[cfg(test)]
use tests::step;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;

    thread_local! {
        /// Changes until the process dies.
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    pub(super) fn step() -> Result<()> {
        let left = LEFT.get().checked_sub(1);
        LEFT.set(left.unwrap_or(0));
        left.map(drop).context("killed")
    }

    fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    all.insert(path, bytes);
                }
            }
        }
        all
    }

    /// What the new run writes until it has begun.
    fn begin(run: &RunFolder) -> Result<()> {
        let events = run
            .tensorboard()
            .join("events.out.tfevents.0000000002.charlet");
        for file in [
            run.metrics(),
            run.steps(),
            events,
            run.epoch_checkpoint(),
            run.last(),
            run.config(),
        ] {
            step()?;
            fs::create_dir_all(file.parent().unwrap())?;
            fs::write(file, b"new")?;
        }
        Ok(())
    }

    fn replace(run: &RunFolder) -> Result<()> {
        let replaced = Replaced::set_aside(run)?;
        begin(run)?;
        replaced.discard()
    }

    /// A folder with a run, and with files of its user.
    fn old_run(folder: &Path) -> RunFolder {
        let run = RunFolder::at(folder, "x");
        let events = run.tensorboard();
        fs::create_dir(&events).unwrap();
        for file in [
            run.config(),
            run.best(),
            run.last(),
            run.epoch_checkpoint(),
            run.kept(3, 1.25),
            run.metrics(),
            run.steps(),
            run.model(),
            run.html_report(),
            run.curves(),
            events.join("events.out.tfevents.0000000001.charlet"),
        ] {
            fs::write(file, b"old").unwrap();
        }
        for file in [
            folder.join("data.txt"),
            folder.join("other.charlet"),
            folder.join(".charlet-notes"),
            folder.join("epoch-notes.safetensors"),
            events.join("events.out.tfevents.1.workstation"),
        ] {
            fs::write(file, b"mine").unwrap();
        }
        run
    }

    /// Dies at every change there is, and then at every change of the recovery.
    #[test]
    fn a_folder_holds_the_old_run_or_the_new_one_wherever_the_process_dies() {
        let mut outcomes = [0, 0];
        for kill in 0.. {
            let mut is_killed = false;
            for second_kill in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let run = old_run(folder.path());
                let old = contents(folder.path());
                LEFT.set(kill);
                is_killed = replace(&run).is_err();
                LEFT.set(second_kill);
                let is_done = recover(&run).is_ok();
                LEFT.set(usize::MAX);
                recover(&run).unwrap();
                let now = contents(folder.path());
                let is_mine = |file: &(&PathBuf, &Vec<u8>)| file.1 == b"mine";
                assert!(now.iter().filter(is_mine).eq(old.iter().filter(is_mine)));
                let is_new = run.has_begun() && fs::read(run.config()).unwrap() == b"new";
                outcomes[usize::from(is_new)] += 1;
                if is_new {
                    assert_eq!(now.len(), 5 + 6, "{now:?}");
                    assert!(!now.values().any(|bytes| bytes == b"old"));
                } else {
                    assert_eq!(now, old);
                }
                assert!(!folder.path().join(FOLDER).exists());
                if is_done {
                    break;
                }
            }
            if !is_killed {
                break;
            }
        }
        assert!(outcomes[0] > 100 && outcomes[1] > 50, "{outcomes:?}");
    }

    #[test]
    fn a_new_run_that_cannot_begin_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let run = old_run(folder.path());
        let old = contents(folder.path());
        let replaced = Replaced::set_aside(&run).unwrap();
        assert_ne!(contents(folder.path()), old);
        fs::write(run.metrics(), b"new").unwrap();
        fs::write(run.last(), b"new").unwrap();
        drop(replaced);
        assert_eq!(contents(folder.path()), old);
    }

    #[test]
    fn a_folder_of_that_name_that_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let run = old_run(folder.path());
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        fs::write(folder.path().join(FOLDER).join("last.safetensors"), b"mine").unwrap();
        let before = contents(folder.path());
        assert!(!is_unfinished(folder.path()));
        recover(&run).unwrap();
        let error = Replaced::set_aside(&run).unwrap_err().to_string();
        assert!(error.contains(FOLDER) && error.contains("--out"), "{error}");
        assert_eq!(contents(folder.path()), before);
    }

    #[test]
    fn a_file_that_came_since_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let run = old_run(folder.path());
        LEFT.set(6);
        assert!(Replaced::set_aside(&run).is_err());
        LEFT.set(usize::MAX);
        let moved = files(&aside(folder.path())).unwrap().remove(0);
        let place = folder.path().join(moved.file_name().unwrap());
        fs::write(&place, b"mine").unwrap();
        let error = recover(&run).unwrap_err().to_string();
        assert!(error.contains("remove one"), "{error}");
        assert_eq!(fs::read(&place).unwrap(), b"mine");
        fs::remove_file(&place).unwrap();
        recover(&run).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"old");
    }
}
