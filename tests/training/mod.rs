//! Training: gradients, runs, and what they leave.

/// Networks as large as a budget allows.
mod budget;
/// What a GPU runs, on the processor where there is none.
mod cuda;
/// Checkpoints that no run can have written.
mod damaged;
/// The trainer's gradients against PyTorch, finite differences and each other.
mod gradients;
/// Networks that start from the weights of another.
mod init_from;
/// Two processes and one folder.
mod lock;
/// A learning rate that is looked for.
mod lr_finder;
/// Rare characters that become one mark.
mod mark;
/// Memory, before it is taken.
mod need;
/// Runs that are replaced, and processes that are killed meanwhile.
mod replace;
/// Runs that are stopped or killed, and go on.
mod resume;
/// Whole runs: the same seed gives the same model.
mod runs;
/// What a run accepts, its files give back.
mod settings;
/// The models and data that are shipped.
mod shipped;
