use std::cell::RefCell;
use std::path::Path;

use tempfile::NamedTempFile;

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a temporary file"));
}

/// Calls something with the path of a file that holds these bytes.
pub(super) fn with_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    FILE.with_borrow(|file| {
        std::fs::write(file.path(), bytes).expect("room for a temporary file");
        read(file.path())
    })
}
