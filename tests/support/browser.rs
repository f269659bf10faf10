//! A browser without a window: Chromium, where there is one.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Set where a missing browser is a failure.
const NEEDED: &str = "CHARLET_NEEDS_CHROMIUM";

/// Chromium, with a profile of its own.
pub struct Browser {
    program: PathBuf,
    profile: TempDir,
}

/// What came of a page.
pub struct Shown {
    /// The document after its scripts have run.
    pub dom: String,
    /// What went to the console.
    pub console: Vec<String>,
}

impl Browser {
    /// The browser of this machine: `$CHROMIUM`, or one in `$PATH`.
    pub fn find() -> Option<Self> {
        let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
        let program = named.or_else(|| {
            let path = std::env::var_os("PATH")?;
            let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
            let names = ["chromium", "chromium-browser", "google-chrome"];
            let mut all = names
                .iter()
                .flat_map(|name| folders.iter().map(move |it| it.join(name)));
            all.find(|program| program.is_file())
        });
        if program.is_none() {
            assert!(
                std::env::var_os(NEEDED).is_none(),
                "{NEEDED} is set, and there is no Chromium"
            );
            eprintln!("skipped: there is no Chromium here");
        }
        Some(Self {
            program: program?,
            profile: tempfile::tempdir().unwrap(),
        })
    }

    /// Loads a page.
    pub fn show(&self, page: &Path) -> Shown {
        let output = self.run(page, &["--dump-dom"]);
        let log = String::from_utf8_lossy(&output.stderr);
        Shown {
            dom: String::from_utf8(output.stdout).unwrap(),
            console: log
                .lines()
                .filter(|line| line.contains(":CONSOLE"))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// A picture of a page of this width, dark or not, as PNG.
    pub fn photograph(&self, page: &Path, width: u32, is_dark: bool) -> Vec<u8> {
        let picture = self.profile.path().join("picture.png");
        let scheme = if is_dark { 0 } else { 1 };
        let options = [
            format!("--screenshot={}", picture.display()),
            format!("--window-size={width},1200"),
            format!("--blink-settings=preferredColorScheme={scheme}"),
            "--hide-scrollbars".to_owned(),
        ];
        self.run(page, &options.each_ref().map(String::as_str));
        std::fs::read(picture).unwrap()
    }

    fn run(&self, page: &Path, options: &[&str]) -> std::process::Output {
        let output = Command::new(&self.program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--no-first-run", "--enable-logging=stderr", "--v=0"])
            .arg(format!("--user-data-dir={}", self.profile.path().display()))
            .args(options)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {log}", page.display());
        output
    }
}
