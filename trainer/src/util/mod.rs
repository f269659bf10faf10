//! Utilities: atomic files, run folders, memory, random numbers,
//! requests to stop, terminal styles.

pub mod atomic_file;
pub mod lock;
pub mod memory;
pub mod rng;
pub mod run_dir;
pub mod stop;
pub mod style;
