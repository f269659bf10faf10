//! Outputs replace files of their own kind only.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Result, ensure};

/// Refuses to replace a file that is neither empty nor begins as such a file does, as in "charlet model".
///
/// # Errors
/// If there is such a file, or something that is no file.
pub fn refuse_replacing(output: &Path, kind: &str, beginning: &[u8]) -> Result<()> {
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
        file.take(beginning.len() as u64).read_to_end(&mut found)?;
    }
    ensure!(
        found.is_empty() || found == beginning,
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
        let error = refuse_replacing(folder.path(), "poem", b"o ").unwrap_err();
        assert!(error.to_string().contains("no file"), "{error}");
    }
}
