//! What knows nothing of networks: files, random numbers, a terminal's colours.

pub mod atomic_file;
pub mod lock;
pub mod rng;
pub mod run_dir;
pub mod style;
