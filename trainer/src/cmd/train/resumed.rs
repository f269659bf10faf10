//! What `--resume` and `--config` lead to: a run's folder, and data that may have moved.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use charlet_trainer::config::Config;
use charlet_trainer::util::run_dir::RunFolder;
use charlet_trainer::util::shell;

use super::Args;

/// The folder of the run to go on with. Its newest checkpoint stands for it, since that is what a run
/// goes on from.
pub(super) fn folder_of(given: &Path) -> Result<PathBuf> {
    if !given.is_file() {
        return match RunFolder::last_in(given).metadata() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(error).with_context(|| format!("can't read the run in {}", given.display()))
            }
            _ => Ok(given.to_owned()),
        };
    }
    let folder = match given.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let last = RunFolder::last_in(folder);
    if given.file_name() == last.file_name() {
        return Ok(folder.to_owned());
    }
    let shown = given.display();
    let is_run = RunFolder::is_resumable(folder);
    if let Some(command) = shell::with_path(given, folder).filter(|_| is_run) {
        bail!(
            "{shown} is a file, and --resume takes the folder of a run; to go on after the newest \
             checkpoint beside it: {command}"
        );
    }
    bail!(
        "{shown} is a file, and --resume takes the folder of a run, with last.safetensors in it; a new run \
         starts from the weights of a checkpoint with --init-from"
    )
}

impl Args {
    /// Refuses data of a settings file or a run that aren't where they were, with the command that says
    /// where they are now.
    pub(super) fn check_data(&self, config: &Config) -> Result<()> {
        let given = [self.data.is_some(), self.input.val.is_some()];
        let files = [&config.data.path, &config.data.validation];
        let options = ["NEW/PATH", "--val NEW/PATH"];
        for ((is_given, file), option) in given.into_iter().zip(files).zip(options) {
            let Some(file) = file.as_ref().filter(|_| !is_given) else {
                continue;
            };
            if file != Path::new("-") && !file.exists() {
                bail!(
                    "can't read {}, which the settings name: No such file or directory; if it has moved: {}",
                    file.display(),
                    shell::with_option(option)
                );
            }
        }
        Ok(())
    }
}
