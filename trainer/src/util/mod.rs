//! Utilities: atomic files, run folders, random numbers, terminal styles.

pub mod atomic_file;
pub mod distinct;
pub mod lock;
pub mod replaced;
pub mod rng;
pub mod run_dir;
pub mod style;
