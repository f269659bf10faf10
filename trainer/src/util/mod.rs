//! Utilities: atomic files, run folders, memory, random numbers, terminal styles.

pub mod atomic_file;
pub mod distinct;
pub mod lock;
pub mod memory;
pub mod replace;
pub mod rng;
pub mod run_dir;
pub mod style;
