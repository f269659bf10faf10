//! Utilities: atomic files, run folders, random numbers, what terminals and shells take.

pub mod atomic_file;
pub mod file_kind;
pub mod lock;
pub mod rng;
pub mod run_dir;
pub mod shell;
pub mod shown;
pub mod style;
