//! What is done with a file of each format, however it came about. Nothing of it may panic.
//!
//! The fuzzer calls these functions with what it makes up, and `cargo test` with what it found once.

/// Checkpoints: safetensors with settings and progress.
pub mod checkpoint;
/// A file for those who read one.
mod file;
/// Networks of other programs.
pub mod import;
/// Which bits of a model file have one value only.
pub mod layout;
/// `steps.jsonl` and `metrics.jsonl`.
pub mod logs;
/// Compressed texts.
pub mod message;
/// Model files.
pub mod model;
/// Texts with numbers.
pub mod numbers;
/// `config.toml`
pub mod settings;
/// What `--state-out` wrote.
pub mod state;
/// Texts and lists to learn from.
pub mod text;
