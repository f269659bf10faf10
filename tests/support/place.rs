//! A folder for a test, and the command run in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use charlet_trainer::util::lock::Lock;
use tempfile::TempDir;

/// A folder for a test, and the command run in it.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), contents).unwrap();
        name.to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_charlet"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// The same under a limit of the shell's `ulimit`, such as `-f 64`. A file that grows too large is an error
    /// then, as on a full disk, and no signal.
    #[cfg(unix)]
    pub fn limited(&self, limit: &str, arguments: &[&str]) -> Command {
        let script = format!("trap '' XFSZ; ulimit {limit} && exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_charlet")])
            .args(arguments)
            .current_dir(self.folder.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that succeeds.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails if a command whose output nobody reads calls that an error.
    #[cfg(unix)]
    pub fn succeed_unread(&self, arguments: &[&str]) {
        let mut command = self.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    /// What a command says that fails as it should: one line on stderr, exit code 1, no panic.
    pub fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
        stderr
    }

    /// Fails if a message lacks one of these words.
    pub fn fail_with(&self, arguments: &[&str], words: &[&str]) {
        let message = self.fail(arguments);
        for word in words {
            assert!(
                message.contains(word),
                "{arguments:?} says {message:?} without {word:?}"
            );
        }
    }

    /// What is in a folder, but for the lock that every run leaves.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != Lock::FILE)
            .collect();
        names.sort();
        names
    }
}

/// Options of a run that takes a moment.
pub const SHORT: [&str; 8] = [
    "--hidden",
    "8",
    "--embedding",
    "4",
    "--epochs",
    "1",
    "--sample-every",
    "1",
];

pub fn lines() -> String {
    ["anna", "berta", "carla", "dora", "emma"]
        .map(|name| format!("{name}\n{name}a\n"))
        .concat()
}
