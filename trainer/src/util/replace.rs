//! Outputs replace files of their own kind only.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Result, bail, ensure};

/// Refuses to replace a file that is neither empty nor begins as such a file does, as in "charlet model".
///
/// # Errors
/// If there is such a file, something that is no file, or no folder for it.
pub fn refuse_replacing(output: &Path, kind: &str, beginning: &[u8]) -> Result<()> {
    refuse_replacing_unless(output, kind, beginning.len(), |found| found == beginning)
}

/// Refuses to replace a file that is not empty, unless so many of its first bytes are those of such a file.
///
/// # Errors
/// As [`refuse_replacing`].
pub fn refuse_replacing_unless(
    output: &Path,
    kind: &str,
    len: usize,
    is_such: impl FnOnce(&[u8]) -> bool,
) -> Result<()> {
    ensure!(
        output != Path::new("-"),
        "a {kind} isn't written to standard output: name a file, with ./- one of that name"
    );
    let folder = output.parent().filter(|folder| *folder != Path::new(""));
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!(
            "can't write {}: there is no folder {}",
            output.display(),
            folder.display()
        );
    }
    // What isn't there is no problem, and what can't be read will be one for those who write.
    let Ok(metadata) = fs::metadata(output) else {
        return Ok(());
    };
    let shown = output.display();
    ensure!(
        metadata.is_file(),
        "{shown} is no file, and can't be replaced by one: choose another name for the output"
    );
    let mut found = Vec::new();
    if let Ok(file) = File::open(output) {
        file.take(len as u64).read_to_end(&mut found)?;
    }
    ensure!(
        found.is_empty() || is_such(&found),
        "{shown} is no {kind}, and would be lost: remove it first, or choose another name for the output"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_same_kind_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let refuse = || refuse_replacing(&path, "poem", b"o ");
        refuse().unwrap();
        for good in ["", "o rose", "o "] {
            fs::write(&path, good).unwrap();
            refuse().unwrap();
        }
        for other in ["rose", "o", "thesis"] {
            fs::write(&path, other).unwrap();
            let error = refuse().unwrap_err().to_string();
            assert!(error.contains("output is no poem"), "{error}");
        }
        for wrong in ["-", "-/", "missing/output"] {
            assert!(refuse_replacing(Path::new(wrong), "poem", b"o ").is_err());
        }
        let error = refuse_replacing(folder.path(), "poem", b"o ").unwrap_err();
        assert!(error.to_string().contains("no file"), "{error}");
    }
}
