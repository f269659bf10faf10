//! Outputs are other files than the inputs of the same command.

use std::fs::{self, Metadata};
use std::path::Path;

use anyhow::{Result, bail};

use super::memory::STDIN;

/// Refuses to write a file that is one of these inputs under any name. Each input comes with what it is,
/// as in "the model" or "--val".
///
/// # Errors
/// If the output exists and is one of the inputs.
pub fn refuse_overwriting(output: &Path, inputs: &[(&str, &Path)]) -> Result<()> {
    for (what, input) in inputs {
        if is_same_file(output, input) {
            bail!(
                "{} is {what} of this command, and would be overwritten: choose another name or folder \
                 for the output",
                output.display()
            );
        }
    }
    Ok(())
}

/// Whether two paths lead to the same file. Neither is opened: a pipe would notice. What can't be found is no
/// file; those who read it will say so.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path| fs::metadata(place(path)).ok().filter(Metadata::is_file);
    match (file(one), file(other)) {
        (Some(a), Some(b)) => is_same(one, &a, other, &b),
        _ => false,
    }
}

/// Where a path leads. Standard input may be a file, too.
fn place(path: &Path) -> &Path {
    if cfg!(unix) && path == Path::new(STDIN) {
        Path::new("/dev/stdin")
    } else {
        path
    }
}

#[cfg(unix)]
fn is_same(_: &Path, one: &Metadata, _: &Path, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Path, _: &Metadata, other: &Path, _: &Metadata) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("model"), b"one").unwrap();
        fs::write(path("other"), b"one").unwrap();
        fs::create_dir(path("folder")).unwrap();
        let refuse = |output: &str| {
            let model = path("model");
            refuse_overwriting(&path(output), &[("the model", &model)])
        };
        refuse("other").unwrap();
        refuse("missing").unwrap();
        refuse_overwriting(&path("missing"), &[("the model", &path("missing"))]).unwrap();
        refuse_overwriting(&path("folder"), &[("the model", &path("folder"))]).unwrap();
        for name in ["model", "folder/../model"] {
            let error = refuse(name).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("the model"),
                "{error}"
            );
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("model", path("link")).unwrap();
            refuse("link").unwrap_err();
            fs::hard_link(path("model"), path("twin")).unwrap();
            refuse("twin").unwrap_err();
        }
    }
}
